/** ONNX Runtime's native WebGPU provider as an executor: the system's adapter, else SwiftShader where it is installed. */
import { type ChildProcess, fork } from 'node:child_process';
import { QuantcError } from '../../errors/error.js';
import type { Feed } from '../compare.js';
import {
  type Execution,
  type ExecutionOptions,
  type Executor,
  fromWire,
  toWire,
  type WireTensor,
} from '../executor.js';
import type { ExtraOptions } from '../session.js';
import type { ChildAnswer, ChildJob } from './child.js';
import { swiftShader, swiftShaderMissing } from './packs.js';

/** How a machine without an adapter, or a binding without the provider, answers. */
const NO_ADAPTER =
  /Failed to get a WebGPU adapter|No supported adapters|is unsupported: 'webgpu'|backend not found/i;
const TEN_MINUTES = 600_000;

/** Where the last run of this process found an adapter: asked of every machine once. */
let known: 'system' | 'swiftshader' | undefined;

/**
 * Runs each model in a child process, with fallback to the CPU forbidden where that is possible, and says for every
 * kernel which provider ran it.
 */
export const webgpuNative: Executor = {
  get name() {
    return known === 'swiftshader' ? 'WebGPU, native on SwiftShader' : 'WebGPU, native';
  },
  async run(file, feeds, options = {}) {
    if (known !== 'swiftshader') {
      const answer = await runIn({}, file, feeds, options);
      if (answer.ok || !NO_ADAPTER.test(answer.message)) {
        known = 'system';
        return executionOf(file, answer);
      }
      const missing = swiftShaderMissing();
      if (missing !== undefined) {
        throw new QuantcError('E_EXECUTOR_ABSENT', `there is no WebGPU adapter here, and ${missing}`, {
          kind: 'usage',
          hint: 'Run `npm install --save-dev @sparticuz/chromium@143.0.4` for a software adapter.',
        });
      }
      known = 'swiftshader';
    }
    return executionOf(file, await runIn(swiftShader(), file, feeds, options));
  },
  async close() {},
};

function runIn(
  more: Readonly<Record<string, string>>,
  file: string,
  feeds: readonly Feed[],
  options: ExecutionOptions,
): Promise<ChildAnswer> {
  const job: ChildJob = {
    file,
    feeds: feeds.map((feed) =>
      Object.fromEntries(Object.entries(feed).map(([name, tensor]) => [name, toWire(tensor)])),
    ),
    extra: (options.extra ?? {}) as ExtraOptions,
    strict: options.strict ?? 'preferred',
  };
  const child = start(more);
  return new Promise((resolve, reject) => {
    let noise = '';
    const timeout = options.timeout ?? TEN_MINUTES;
    const lost = (what: string) =>
      reject(
        new QuantcError('E_EXECUTOR_LOST', `the process that ran the model on WebGPU ${what}`, {
          place: { file },
          hint: noise.trim().split('\n').at(-1),
        }),
      );
    const clock = setTimeout(() => {
      lost(`gave no answer for ${timeout / 1000} s`);
      child.kill('SIGKILL');
    }, timeout);
    child.stderr?.on('data', (text) => {
      noise = (noise + text).slice(-4000);
    });
    child.once('message', (answer) => resolve(answer as ChildAnswer));
    child.once('error', (error) => lost(`could not be started: ${error.message}`));
    child.once('close', (code, signal) => {
      clearTimeout(clock);
      // Nothing happens here when it has answered.
      lost(`died of ${signal ?? `exit code ${code}`}`);
    });
    child.send(job, (error) => error && lost(`did not take the model: ${error.message}`));
  });
}

function start(more: Readonly<Record<string, string>>): ChildProcess {
  const source = import.meta.url.endsWith('.ts');
  return fork(new URL(source ? './child.ts' : './child.js', import.meta.url), [], {
    execArgv: source ? ['--import', import.meta.resolve('tsx/esm')] : [],
    env: { ...process.env, ...more },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}

function executionOf(file: string, answer: ChildAnswer): Execution {
  if (!answer.ok) {
    throw new QuantcError('E_EXECUTOR_RUN', `WebGPU does not run the model: ${answer.message}`, {
      place: { file },
    });
  }
  const { outputs, strict, nodes } = answer;
  return { outputs: outputs.map(tensorsOf), strict, ...(nodes && { nodes }) };
}

const tensorsOf = (record: Readonly<Record<string, WireTensor>>) =>
  Object.fromEntries(Object.entries(record).map(([name, tensor]) => [name, fromWire(name, tensor)]));
