/** One job in a process of its own, so that what it takes is given back whole, and that its loss is nobody else's. */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { QuantcError } from '../errors/error.js';
import type { JobAnswer, JobOrder } from './job-message.js';

/**
 * @returns undefined when the process was lost
 * @throws QuantcError E_ABORTED after a signal
 */
export function inProcess(order: JobOrder, signal?: AbortSignal): Promise<JobAnswer | undefined> {
  const source = new URL('./job-process.ts', import.meta.url);
  // Run from its TypeScript source, the process must first learn to read that.
  const built = !import.meta.url.endsWith('.ts') || !existsSync(source);
  const module = built ? new URL('./job-process.js', import.meta.url) : source;
  return new Promise((resolve, reject) => {
    const child = fork(module, {
      execArgv: built ? [] : ['--import', import.meta.resolve('tsx')],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    let answer: JobAnswer | undefined;
    const stop = () => child.kill();
    signal?.addEventListener('abort', stop, { once: true });
    child.once('message', (told) => {
      answer = told as JobAnswer;
    });
    child.once('error', reject);
    child.once('exit', () => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) reject(new QuantcError('E_ABORTED', 'the build was stopped', { kind: 'usage' }));
      else resolve(answer);
    });
    child.send(order);
  });
}
