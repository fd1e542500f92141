/** What data must satisfy to feed a model. */
import { QuantcError } from '../errors/error.js';
import type { Dim } from '../ir/type.js';

/** Samples a feed where neither the model nor the data says: large enough to keep two cores busy, small in memory. */
const USUAL_BATCH = 8;

/** Sizes of symbolic dimensions, each with the input that told it first. */
export type KnownSizes = Map<string, { size: number; value: string }>;

/**
 * Compares a feed's shape with the input's, from axis `from` on; dimensions of one symbol must agree everywhere.
 * @throws QuantcError E_DATA_SHAPE
 */
export function checkShape(
  feed: readonly number[],
  expected: readonly Dim[] | undefined,
  from: number,
  symbols: KnownSizes,
  place: { file: string; value: string },
  transformed: boolean,
): void {
  if (expected === undefined) return;
  const wrong = (why: string): QuantcError =>
    new QuantcError(
      'E_DATA_SHAPE',
      `a feed is [${feed}], the input takes [${expected.map((d) => d ?? '?')}]: ${why}`,
      {
        place,
        hint: transformed ? undefined : 'Pictures stored as NHWC bytes need a data.json with a transform.',
      },
    );
  if (feed.length !== expected.length) throw wrong(`${feed.length} dimensions for ${expected.length}`);
  for (let axis = from; axis < feed.length; axis++) {
    const dim = expected[axis]!;
    const size = feed[axis]!;
    if (typeof dim === 'number' && dim > 0 && dim !== size) throw wrong(`axis ${axis} must be ${dim}`);
    if (typeof dim !== 'string' || dim === '') continue;
    const known = symbols.get(dim);
    if (known === undefined) symbols.set(dim, { size, value: place.value });
    else if (known.size !== size) throw wrong(`${dim} is ${known.size} in input "${known.value}"`);
  }
}

/**
 * Samples a feed: what model and data demand, else the wish, else the usual.
 * @throws QuantcError E_DATA_BATCH where two of them cannot both be had
 */
export function chooseBatch(
  whole: boolean,
  fixed: ReadonlySet<number>,
  stated: number | undefined,
  wish: number | undefined,
  file: string,
): number {
  const demands = new Set(whole ? [1] : [...fixed, ...(stated === undefined ? [] : [stated])]);
  if (demands.size > 1) {
    throw new QuantcError('E_DATA_BATCH', `model and data demand batches of ${[...demands].join(' and ')}`, {
      place: { file },
    });
  }
  const [demand] = demands;
  if (
    wish !== undefined &&
    (!Number.isInteger(wish) || wish < 1 || (demand !== undefined && demand !== wish))
  ) {
    throw new QuantcError(
      'E_DATA_BATCH',
      `a batch of ${wish} was asked for${demand ? `, but only ${demand} works` : ''}`,
      {
        kind: 'usage',
        place: { file },
      },
    );
  }
  return demand ?? wish ?? USUAL_BATCH;
}
