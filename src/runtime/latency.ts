import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { openSession, type SessionOptions } from './session.js';

/** One model in a race, with the session options of its own that it needs to be right or fast. */
export interface Contender {
  readonly name: string;
  readonly model: Model | Uint8Array | string;
  readonly options?: SessionOptions;
}

export interface RaceOptions {
  /** Times that every contender runs every feed; default 30. */
  readonly rounds?: number;
  /** Uncounted rounds before; default 3. */
  readonly warmup?: number;
  readonly threads?: number;
}

/** Milliseconds of one contender over all its counted runs. */
export interface Latency {
  readonly name: string;
  readonly median: number;
  readonly min: number;
  readonly runs: readonly number[];
}

/**
 * Times several models side by side on the same feeds: A B A B …, every other round backwards, so that a machine that
 * grows slower or busier meanwhile touches all alike. All sessions are open at once: their weights must fit together.
 * Threads do not spin while they wait, or the idle contenders would take the cores of the running one.
 * @param feeds the same for every contender; at least one.
 */
export async function race(
  contenders: readonly Contender[],
  feeds: readonly Readonly<Record<string, Tensor>>[],
  options: RaceOptions = {},
): Promise<Latency[]> {
  const { rounds = 30, warmup = 3 } = options;
  const runners: { name: string; runs: number[]; steps: (() => Promise<void>)[] }[] = [];
  const sessions = [];
  try {
    for (const { name, model, options: own } of contenders) {
      const session = await openSession(model, racing(own, options.threads));
      sessions.push(session);
      runners.push({ name, runs: [], steps: feeds.map((feed) => session.prepare(feed)) });
    }
    for (let round = -warmup; round < rounds; round++) {
      for (let at = 0; at < feeds.length; at++) {
        for (const runner of round % 2 === 0 ? runners : runners.toReversed()) {
          const start = performance.now();
          await runner.steps[at]!();
          const elapsed = performance.now() - start;
          if (round >= 0) runner.runs.push(elapsed);
        }
      }
    }
  } finally {
    for (const session of sessions) await session.release();
  }
  return runners.map(({ name, runs }) => ({ name, median: median(runs), min: Math.min(...runs), runs }));
}

function racing(own: SessionOptions | undefined, threads: number | undefined): SessionOptions {
  const session = own?.extra?.['session'];
  const nested = typeof session === 'object' ? session : {};
  return {
    ...own,
    threads: threads ?? own?.threads,
    extra: { ...own?.extra, session: { ...nested, 'intra_op.allow_spinning': '0' } },
  };
}

/** The middle value; the mean of the two middle ones for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
