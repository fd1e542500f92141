import { Command } from 'commander';
import { type WorkEvent, type WorkRequest, work } from '../../build/queue/worker.js';
import { interruptible } from '../interrupt.js';
import { parseCount } from '../quantity.js';

interface Options extends Pick<WorkRequest, 'queue' | 'config' | 'parallel' | 'threads'> {
  /** Seconds. */
  readonly lostAfter?: number;
}

export function make(): Command {
  return new Command('quantc worker')
    .description(
      'Does jobs of builds that run with `quantc build --queue`, until it is stopped. It needs the same quantc, config, ' +
        'models and data as the build: a job whose digest it does not find here goes back for others.',
    )
    .requiredOption('--queue <url>', 'the Redis that hands out jobs: redis://[user:password@]host[:port]')
    .option('--config <file>', 'the config (default: the nearest quantc.config.ts here or above)')
    .option('--parallel <n>', 'jobs at once (default: 1)', parseCount)
    .option('--threads <n>', 'threads of each (default: all cores, shared among them)', parseCount)
    .option(
      '--lost-after <seconds>',
      'silence after which a job goes to another worker (default: 30)',
      parseCount,
    )
    .addHelpText(
      'after',
      `
Examples
  quantc worker --queue redis://build-queue:6379 --parallel 2
  quantc build --queue redis://build-queue:6379

The packages bullmq and ioredis are installed by whoever uses a queue: npm install bullmq ioredis`,
    )
    .action(run);
}

async function run({ lostAfter, ...options }: Options): Promise<void> {
  const onEvent = (event: WorkEvent): void => {
    process.stderr.write(`${line(event)}\n`);
  };
  const silence = lostAfter === undefined ? {} : { lostAfter: lostAfter * 1000 };
  await interruptible((signal) => work({ ...options, ...silence, signal, onEvent }));
}

function line(event: WorkEvent): string {
  switch (event.kind) {
    case 'ready':
      return 'waiting for jobs';
    case 'trouble':
      return `the queue: ${event.message}`;
    case 'begun':
      return `compiling ${event.name} for ${event.target}`;
    case 'done':
      return `compiled ${event.name} for ${event.target}`;
    case 'failed':
      return `gave back ${event.name} for ${event.target}: ${event.message}`;
  }
}
