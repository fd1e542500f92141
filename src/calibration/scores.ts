/** What of a model's outputs is compared, and how far two answers lie apart. */
import { isFloat } from '../ir/dtype.js';
import type { Tensor } from '../ir/tensor.js';
import type { Batch, DataSet } from './dataset.js';

/** What one feed gave. */
export interface Answer {
  readonly batch: Batch;
  readonly outputs: ReadonlyMap<string, Float32Array>;
}

/** Elements that count: rows that only fill up a fixed batch repeat other samples and must not weigh twice. */
export function elementsOf(values: Float32Array, { count, padding }: Batch): number {
  const end = (values.length / (count + padding)) * count;
  return Number.isInteger(end) ? end : values.length;
}

/** What noise is relative to: the energy of the outputs, or the number of distributions. */
export function signalOf({ batch, outputs }: Answer, classes: number): number {
  let sum = 0;
  for (const values of outputs.values()) {
    const end = elementsOf(values, batch);
    if (classes > 0) sum += end / classes;
    else for (let i = 0; i < end; i++) sum += values[i]! * values[i]!;
  }
  return sum;
}

/** The output that holds scores of classes or words, where the data are judged by labels rather than by likeness. */
export function scoresAmong(
  outputs: Readonly<Record<string, Tensor>>,
  { metric }: DataSet,
): string | undefined {
  const floats = Object.entries(outputs).filter(([, { dtype }]) => isFloat(dtype));
  if (metric === 'sqnr') return undefined;
  if (metric === undefined && (floats.length !== 1 || floats[0]![1].shape.length !== 2)) return undefined;
  const rank = metric === 'perplexity' ? 3 : 2;
  return floats.find(([, { shape }]) => shape.length >= rank && shape.at(-1)! > 1)?.[0];
}

/** Length of one distribution: the last axis of words, all that a sample has of classes. */
export function classesOf({ batch, outputs }: Answer, data: DataSet): number {
  const [values] = outputs.values();
  if (data.metric !== 'perplexity') return values!.length / (batch.count + batch.padding);
  const ids = Object.values(batch.feeds).find(({ shape }) => shape.length === 2)!;
  return values!.length / ids.count;
}

export function squaredError(expected: Float32Array, found: Float32Array, end: number): number {
  let sum = 0;
  for (let i = 0; i < end; i++) sum += (expected[i]! - found[i]!) ** 2;
  return sum;
}

/** Σ p·ln(p / q) over rows, where p and q are the softmax of scores, or the rows themselves where they are distributions. */
export function divergence(
  expected: Float32Array,
  found: Float32Array,
  end: number,
  classes: number,
): number {
  const [logP, logQ] = [new Float64Array(classes), new Float64Array(classes)];
  let sum = 0;
  for (let row = 0; row + classes <= end; row += classes) {
    const given = isDistribution(expected, row, classes);
    logarithms(expected, row, given, logP);
    logarithms(found, row, given, logQ);
    for (let i = 0; i < classes; i++) sum += Math.exp(logP[i]!) * (logP[i]! - logQ[i]!);
  }
  return Math.max(0, sum);
}

function isDistribution(values: Float32Array, start: number, classes: number): boolean {
  let sum = 0;
  for (let i = 0; i < classes; i++) {
    const each = values[start + i]!;
    if (!(each >= 0 && each <= 1)) return false;
    sum += each;
  }
  return Math.abs(sum - 1) < 1e-3;
}

/** Below this a probability is rounding noise. */
const LEAST = 1e-9;

/** The logarithms of one row's probabilities. */
function logarithms(values: Float32Array, start: number, given: boolean, into: Float64Array): void {
  const classes = into.length;
  if (given) {
    for (let i = 0; i < classes; i++) into[i] = Math.log(Math.max(values[start + i]!, LEAST));
    return;
  }
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < classes; i++) top = Math.max(top, values[start + i]!);
  let sum = 0;
  for (let i = 0; i < classes; i++) sum += Math.exp(values[start + i]! - top);
  const shift = top + Math.log(sum);
  const least = Math.log(LEAST);
  for (let i = 0; i < classes; i++) into[i] = Math.max(values[start + i]! - shift, least);
}

/** Distributions that many others are compared with: what depends on them alone is computed once. */
export class Distributions {
  readonly #classes: number;
  readonly #given: boolean;
  /** Probabilities, row after row, and Σ p·ln p of each row. */
  readonly #p: Float32Array;
  readonly #negentropy: Float64Array;

  /** @param end elements of `scores` that count */
  constructor(scores: Float32Array, end: number, classes: number) {
    const rows = Math.floor(end / classes);
    this.#classes = classes;
    this.#given = rows > 0 && isDistribution(scores, 0, classes);
    this.#p = new Float32Array(rows * classes);
    this.#negentropy = new Float64Array(rows);
    const logs = new Float64Array(classes);
    for (let row = 0; row < rows; row++) {
      logarithms(scores, row * classes, this.#given, logs);
      for (let i = 0; i < classes; i++) {
        const p = Math.exp(logs[i]!);
        this.#p[row * classes + i] = p;
        this.#negentropy[row]! += p * logs[i]!;
      }
    }
  }

  /** Σ p·ln(p / q) over all rows. NaN where the scores are. */
  divergence(scores: Float32Array): number {
    const [classes, p] = [this.#classes, this.#p];
    let total = 0;
    for (const [row, negentropy] of this.#negentropy.entries()) {
      const start = row * classes;
      let dot = 0;
      let mass = 0;
      if (this.#given) {
        for (let i = start; i < start + classes; i++) dot += p[i]! * Math.log(Math.max(scores[i]!, LEAST));
        total += negentropy - dot;
        continue;
      }
      let top = Number.NEGATIVE_INFINITY;
      for (let i = start; i < start + classes; i++) if (!(scores[i]! <= top)) top = scores[i]!;
      let sum = 0;
      for (let i = start; i < start + classes; i++) {
        sum += Math.exp(scores[i]! - top);
        dot += p[i]! * (scores[i]! - top);
        mass += p[i]!;
      }
      total += negentropy - dot + mass * Math.log(sum);
    }
    return total > 0 ? total : total <= 0 ? 0 : Number.NaN;
  }
}
