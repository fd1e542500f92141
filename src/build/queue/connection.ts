/** The queue that jobs of a build are handed out by: BullMQ's, on a Redis that people run already. */
import type * as BullMQ from 'bullmq';
import type { Redis } from 'ioredis';
import { QuantcError } from '../../errors/error.js';

/** Name of the queue: builds and workers of every project share it, since jobs are told apart by their keys. */
export const QUEUE = 'quantc';
/** How long the first answer of Redis may take. */
const PATIENCE_MS = 10_000;

/** What a job tells a worker. A config is named by the worker itself: what is in it may be code. */
export interface QueuedJob {
  /** Digest of all that the outputs depend on: a worker with another checkout, data or version has another. */
  readonly key: string;
  readonly name: string;
  readonly target: string;
  /** Stands in the store of the build: a worker that sees it there shares the store. */
  readonly mark: string;
}

/** A connection, and the packages behind it. */
export interface QueueConnection {
  readonly bullmq: typeof BullMQ;
  /** Opens one more connection; it is closed with the others. */
  redis(): Redis;
  /** Hears what goes wrong, for queues and workers on these connections. */
  readonly trouble: (error: Error) => void;
  close(): void;
}

/**
 * Connects to the Redis at a URL, `redis://[user:password@]host[:port][/database]`, or `rediss://` over TLS.
 * @param tell told of connections that are lost, each trouble once: they are taken up again by themselves, and what
 * waits on them goes on waiting
 * @throws QuantcError E_QUEUE_URL, E_QUEUE_ABSENT where BullMQ or ioredis is not installed, E_QUEUE_UNREACHABLE
 */
export async function connect(
  url: string,
  tell: (trouble: string) => void = () => {},
): Promise<QueueConnection> {
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (!['redis:', 'rediss:'].includes(protocol)) {
    throw new QuantcError('E_QUEUE_URL', `"${url}" is no address of a Redis`, {
      kind: 'usage',
      hint: 'Write redis://host:6379, or rediss:// for TLS.',
    });
  }
  const [bullmq, { Redis }] = await packages();
  const open: Redis[] = [];
  const told = new Set<string>();
  const trouble = ({ message }: Error): void => {
    if (!told.has(message)) tell(message);
    told.add(message);
  };
  const redis = (): Redis => {
    const made = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: false });
    made.on('error', trouble);
    open.push(made);
    return made;
  };
  const close = (): void => {
    for (const each of open) each.disconnect();
  };
  const first = redis();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), PATIENCE_MS);
  });
  const said = await Promise.race([first.ping(), late]).finally(() => clearTimeout(timer));
  if (said !== 'late') return { bullmq, redis, trouble, close };
  close();
  throw new QuantcError('E_QUEUE_UNREACHABLE', `no Redis answers at ${plain(url)}`, { kind: 'usage' });
}

/** Passwords stay out of messages. */
function plain(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

async function packages() {
  try {
    return [await import('bullmq'), await import('ioredis')] as const;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new QuantcError('E_QUEUE_ABSENT', 'a queue needs the packages bullmq and ioredis', {
      kind: 'usage',
      hint: '`npm install bullmq ioredis`',
      cause,
    });
  }
}
