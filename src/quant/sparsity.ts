/**
 * Which weights of a matrix become 0. A weight's score is |w|, or |w|·‖x‖ with the size of what it is multiplied with
 * (Wanda, Sun et al. 2023); those with the lowest scores go, the earlier of equal ones first. What has to be known of
 * a whole matrix is one number a row or two, so that the pruned weight is derived like any other: in one pass.
 */
import { QuantcError } from '../errors/error.js';

/**
 * How many go: a share of all, above 0 and below 1, or so many zeros among every `of` weights that lie beside each
 * other along the inputs of an output.
 */
export type Sparsity =
  | { readonly kind: 'share'; readonly share: number }
  | { readonly kind: 'pattern'; readonly zeros: number; readonly of: number };

/** A weight as a matrix: a row an output, what each sums over within its group of channels. */
export interface WeightMatrix {
  readonly rows: number;
  readonly size: number;
  /** Groups of rows, each with inputs of its own (convolutions); they divide the rows. */
  readonly groups: number;
  /** Positions of a convolution's kernel, which lie innermost in a row; 1 for products. */
  readonly taps: number;
  /** Rows lie along the last axis: element (r, k) is at k·rows + r. */
  readonly turned: boolean;
}

/** Where pruning ends: scores below `threshold` go, and the first `equal` of those that equal it. One a row, or one for all. */
export interface PruneLimits {
  readonly threshold: Float64Array;
  readonly equal: Uint32Array;
}

/** @throws QuantcError F_SPARSITY for a share or a pattern that keeps nothing, or everything */
function checkSparsity(sparsity: Sparsity): void {
  const valid =
    sparsity.kind === 'share'
      ? sparsity.share > 0 && sparsity.share < 1
      : Number.isInteger(sparsity.zeros) && sparsity.zeros > 0 && sparsity.zeros < sparsity.of;
  if (!valid) throw new QuantcError('F_SPARSITY', 'no such sparsity', { kind: 'fault' });
}

const placeOf = ({ rows, size, turned }: WeightMatrix, row: number, k: number): number =>
  turned ? k * rows + row : row * size + k;

/** The score of a weight. @param norms ‖x‖ by group and position in a row; absent: all alike */
function scored(
  values: ArrayLike<number>,
  matrix: WeightMatrix,
  norms: Float64Array | undefined,
  row: number,
  k: number,
): number {
  const magnitude = Math.abs(values[placeOf(matrix, row, k)]!);
  if (norms === undefined) return magnitude;
  const group = Math.floor((row * matrix.groups) / matrix.rows);
  return magnitude * norms[group * matrix.size + k]!;
}

/**
 * Where pruning a share of a matrix ends: over the whole matrix where only magnitudes count, row by row where inputs
 * do, since rows of large weights would otherwise lose nothing.
 */
export function limitsOf(
  values: Float32Array,
  matrix: WeightMatrix,
  share: number,
  norms?: Float64Array,
): PruneLimits {
  checkSparsity({ kind: 'share', share });
  const { rows, size } = matrix;
  const [parts, length] = norms === undefined ? [1, values.length] : [rows, size];
  const threshold = new Float64Array(parts);
  const equal = new Uint32Array(parts);
  const count = Math.floor(share * length);
  if (count === 0) return { threshold, equal };
  const scores = new Float64Array(length);
  for (let part = 0; part < parts; part++) {
    if (norms === undefined) for (let at = 0; at < length; at++) scores[at] = Math.abs(values[at]!);
    else for (let k = 0; k < size; k++) scores[k] = scored(values, matrix, norms, part, k);
    scores.sort();
    const last = scores[count - 1]!;
    threshold[part] = last;
    let from = count - 1;
    while (from > 0 && scores[from - 1] === last) from--;
    equal[part] = count - from;
  }
  return { threshold, equal };
}

/** The weight with what limits say gone. Zeros are +0. Parameters as of {@link limitsOf}. */
export function prunedByLimits(
  values: Float32Array,
  matrix: WeightMatrix,
  { threshold, equal }: PruneLimits,
  norms?: Float64Array,
): Float32Array {
  const pruned = values.slice();
  const left = equal.slice();
  const visit = (at: number, part: number, score: number): void => {
    const end = threshold[part]!;
    if (score < end) pruned[at] = 0;
    else if (score === end && left[part]! > 0) {
      left[part]! -= 1;
      pruned[at] = 0;
    }
  };
  if (norms === undefined) {
    for (let at = 0; at < values.length; at++) visit(at, 0, Math.abs(values[at]!));
    return pruned;
  }
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < matrix.size; k++)
      visit(placeOf(matrix, row, k), row, scored(values, matrix, norms, row, k));
  }
  return pruned;
}

/**
 * The weight with `zeros` of every `of` neighbours gone: neighbours along the input channels, at one position of the
 * kernel. The last channels of a row, where fewer than `of` are left, stay as they are.
 */
export function prunedByPattern(
  values: Float32Array,
  matrix: WeightMatrix,
  { zeros, of }: { readonly zeros: number; readonly of: number },
  norms?: Float64Array,
): Float32Array {
  checkSparsity({ kind: 'pattern', zeros, of });
  const { rows, size, taps } = matrix;
  const channels = size / taps;
  const pruned = values.slice();
  const order = Array.from({ length: of }, (_, at) => at);
  const scores = new Float64Array(of);
  for (let row = 0; row < rows; row++) {
    for (let first = 0; first + of <= channels; first += of) {
      for (let tap = 0; tap < taps; tap++) {
        for (let i = 0; i < of; i++) {
          scores[i] = scored(values, matrix, norms, row, (first + i) * taps + tap);
          order[i] = i;
        }
        order.sort((a, b) => scores[a]! - scores[b]! || a - b);
        for (let i = 0; i < zeros; i++) pruned[placeOf(matrix, row, (first + order[i]!) * taps + tap)] = 0;
      }
    }
  }
  return pruned;
}

/** What share of a weight is 0, and what share of its energy (each weight counted with its input) is lost. */
export function pruningLoss(
  before: Float32Array,
  after: Float32Array,
  matrix: WeightMatrix,
  norms?: Float64Array,
): { readonly sparsity: number; readonly energyLost: number } {
  let [zeros, lost, all] = [0, 0, 0];
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < matrix.size; k++) {
      const at = placeOf(matrix, row, k);
      if (after[at] === 0) zeros++;
      all += scored(before, matrix, norms, row, k) ** 2;
      if (after[at] === 0) lost += scored(before, matrix, norms, row, k) ** 2;
    }
  }
  return { sparsity: zeros / before.length, energyLost: all === 0 ? 0 : lost / all };
}
