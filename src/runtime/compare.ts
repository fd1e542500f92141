/** Two models on the same feeds: how far their outputs lie apart. */
import { QuantcError } from '../errors/error.js';
import { isFloat } from '../ir/dtype.js';
import type { Model } from '../ir/graph.js';
import { type Tensor, viewBytes } from '../ir/tensor.js';
import { type ErrorFacts, ErrorSum } from '../quant/error.js';
import { openSession, type Session, type SessionOptions } from './session.js';

/** One set of inputs, by name. */
export type Feed = Readonly<Record<string, Tensor>>;
export type Feeds = AsyncIterable<Feed> | Iterable<Feed>;

/** How one output (or inner value) of a candidate lies to the reference's, over all feeds. */
export interface Comparison extends ErrorFacts {
  readonly name: string;
  /** Share of rows whose largest column is the same; only for outputs that look like a classifier's. */
  readonly top1?: number;
  /** True when every element of every feed is the same, bit for bit. */
  readonly identical: boolean;
  readonly feeds: number;
}

export interface CompareOptions {
  readonly reference?: SessionOptions;
  readonly candidate?: SessionOptions;
}

type Source = Model | Uint8Array | string;

/** What runs a model: a session, or a model that another executor has loaded. */
export type Runner = Pick<Session, 'inputs' | 'outputs'> & {
  run(feeds: Feed): Promise<Readonly<Record<string, Tensor>>>;
};

/**
 * Runs two models on the same feeds, one feed at a time, and sums up how far their outputs lie apart. Outputs are
 * matched by name, or by position when the names differ altogether.
 * @throws QuantcError E_COMPARE_OUTPUT when the outputs do not match, E_COMPARE_SHAPE when a pair differs in shape,
 * E_COMPARE_EMPTY without feeds; errors of {@link openSession} and `Session.run`.
 */
export async function compareOutputs(
  reference: Source,
  candidate: Source,
  feeds: Feeds,
  options: CompareOptions = {},
): Promise<Comparison[]> {
  const first = await openSession(reference, options.reference);
  try {
    const second = await openSession(candidate, options.candidate);
    try {
      return await compareSessions(first, second, feeds);
    } finally {
      await second.release();
    }
  } finally {
    await first.release();
  }
}

/** As {@link compareOutputs}, for sessions that are already open. */
export async function compareSessions(first: Runner, second: Runner, feeds: Feeds): Promise<Comparison[]> {
  const pairs = matchOutputs(first, second);
  const sums = pairs.map(([name]) => new OutputSum(name));
  let count = 0;
  for await (const feed of feeds) {
    const expected = await first.run(feed);
    const actual = await second.run(feed);
    pairs.forEach(([mine, theirs], at) => {
      sums[at]!.add(expected[mine]!, actual[theirs]!);
    });
    count++;
  }
  if (count === 0) {
    throw new QuantcError('E_COMPARE_EMPTY', 'there is no data to compare the models on', { kind: 'usage' });
  }
  return sums.map((sum) => sum.comparison);
}

function matchOutputs(first: Runner, second: Runner): [string, string][] {
  const names = new Set(second.outputs.map((output) => output.name));
  const shared = first.outputs.filter((output) => names.has(output.name));
  if (shared.length === first.outputs.length) return shared.map(({ name }) => [name, name]);
  if (shared.length === 0 && first.outputs.length === second.outputs.length)
    return first.outputs.map(({ name }, at) => [name, second.outputs[at]!.name]);
  const missing = first.outputs.find((output) => !names.has(output.name))!;
  throw new QuantcError('E_COMPARE_OUTPUT', `the second model has no output "${missing.name}"`, {
    place: { value: missing.name },
    hint: `Its outputs are ${[...names].map((name) => `"${name}"`).join(', ')}.`,
  });
}

/** Sums one pair of outputs over feeds. */
class OutputSum {
  readonly #errors = new ErrorSum();
  #rows = 0;
  #agreeing = 0;
  #feeds = 0;
  #identical = true;

  constructor(readonly name: string) {}

  add(reference: Tensor, candidate: Tensor): void {
    if (reference.shape.join() !== candidate.shape.join()) {
      throw new QuantcError(
        'E_COMPARE_SHAPE',
        `"${this.name}" is [${candidate.shape}] in the second model, [${reference.shape}] in the first`,
        { place: { value: this.name } },
      );
    }
    this.#feeds++;
    this.#identical &&= sameTensor(reference, candidate);
    if (reference.dtype === 'string' || candidate.dtype === 'string') return;
    const [expected, actual] = [numbersOf(reference), numbersOf(candidate)];
    this.#errors.add(expected, actual);
    const [rows = 0, columns = 0] = reference.shape;
    if (reference.shape.length !== 2 || columns < 2 || !isFloat(reference.dtype)) return;
    this.#rows += rows;
    for (let row = 0; row < rows; row++) {
      const [start, end] = [row * columns, (row + 1) * columns];
      if (largest(expected, start, end) === largest(actual, start, end)) this.#agreeing++;
    }
  }

  get comparison(): Comparison {
    return {
      name: this.name,
      ...this.#errors.facts,
      ...(this.#rows > 0 ? { top1: this.#agreeing / this.#rows } : {}),
      identical: this.#identical,
      feeds: this.#feeds,
    };
  }
}

/** A tensor's elements as numbers. */
export const numbersOf = (tensor: Tensor): ArrayLike<number> =>
  tensor.dtype === 'double' ? (tensor.data() as Float64Array) : tensor.toFloat32();

function largest(values: ArrayLike<number>, start: number, end: number): number {
  let best = start;
  for (let at = start + 1; at < end; at++) if (values[at]! > values[best]!) best = at;
  return best - start;
}

/** True when dtype, shape and every byte are the same. */
export function sameTensor(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  if (a.source.kind === 'strings' && b.source.kind === 'strings') {
    const other = b.source.values;
    return a.source.values.every((text, at) => Buffer.compare(text, other[at]!) === 0);
  }
  return Buffer.compare(viewBytes(a.bytes()), viewBytes(b.bytes())) === 0;
}
