/** How far the outputs of candidates lie from one model's, whose own outputs are computed once and kept. */
import { isFloat } from '../ir/dtype.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Judge, NoiseMetric } from '../pipeline/judge.js';
import { withSession } from '../runtime/session.js';
import type { Batch, DataSet } from './dataset.js';

export interface OpenOptions {
  readonly threads?: number;
  /** Counts wrong answers where the data have labels, instead of comparing with the reference's. */
  readonly byLabels?: boolean;
  /** Compares all outputs by their signal to noise, whatever the data are judged by. */
  readonly byLikeness?: boolean;
  /** Bytes of feeds and outputs that may be kept; later samples are left out. The first feed always stays. Default 64 MiB. */
  readonly maxBytes?: number;
}

/** No integer kernels in the place of QuantizeLinear, float node, DequantizeLinear; no weights quantized unasked. */
const AS_WRITTEN = { session: { disable_quant_qdq: '1' } };

interface Kept {
  readonly batch: Batch;
  readonly outputs: ReadonlyMap<string, Float32Array>;
}

/** @throws errors of the data and of the session */
export async function openJudge(
  reference: Model,
  data: DataSet,
  { threads, byLabels = false, byLikeness = false, maxBytes = 64 << 20 }: OpenOptions = {},
): Promise<Judge> {
  const kept: Kept[] = [];
  let scores: string | undefined;
  await withSession(reference, { threads }, async (session) => {
    let room = maxBytes;
    for await (const batch of data.batches()) {
      const outputs = await session.run(batch.feeds);
      if (kept.length === 0) scores = byLikeness ? undefined : scoresAmong(outputs, data);
      const wanted = Object.entries(outputs).filter(
        ([name, { dtype }]) => isFloat(dtype) && (scores === undefined || name === scores),
      );
      room -= [...Object.values(batch.feeds), ...wanted.map(([, tensor]) => tensor)].reduce(
        (sum, { byteLength }) => sum + byteLength,
        0,
      );
      if (room < 0 && kept.length > 0) break;
      kept.push({ batch, outputs: new Map(wanted.map(([name, tensor]) => [name, tensor.toFloat32()])) });
    }
  });
  const labels = byLabels && scores !== undefined && data.metric !== 'perplexity' ? data.labels : undefined;
  const metric: NoiseMetric = labels ? 'wrong' : scores === undefined ? 'sqnr' : 'kl';
  const classes = metric !== 'sqnr' ? classesOf(kept[0]!, data) : 0;
  const signal = kept.reduce((sum, each) => sum + signalOf(each, classes), 0);
  return {
    metric,
    samples: kept.reduce((sum, { batch }) => sum + batch.count, 0),
    feeds: kept.length,
    noise(candidate, { feeds = kept.map((_, at) => at), asWritten = false } = {}) {
      const options = { threads, ...(asWritten && { extra: AS_WRITTEN }) };
      return withSession(candidate, options, async (session) => {
        const noises: number[] = [];
        for (const at of feeds) {
          const { batch, outputs } = kept[at]!;
          const ours = await session.run(batch.feeds, [...outputs.keys()]);
          let noise = 0;
          for (const [name, expected] of outputs) {
            const end = elementsOf(expected, batch);
            const found = ours[name]!.toFloat32();
            if (labels) noise += wrongAnswers(found, end, classes, labels.subarray(batch.start));
            else if (classes > 0) noise += divergence(expected, found, end, classes);
            else noise += squaredError(expected, found, end);
          }
          const share = noise === 0 ? 0 : noise / signal;
          noises.push(Number.isFinite(share) ? share : Number.POSITIVE_INFINITY);
        }
        return noises;
      });
    },
  };
}

/** Elements that count: rows that only fill up a fixed batch repeat other samples and must not weigh twice. */
function elementsOf(values: Float32Array, { count, padding }: Batch): number {
  const end = (values.length / (count + padding)) * count;
  return Number.isInteger(end) ? end : values.length;
}

/** What noise is relative to: the energy of the outputs, or the number of distributions. */
function signalOf({ batch, outputs }: Kept, classes: number): number {
  let sum = 0;
  for (const values of outputs.values()) {
    const end = elementsOf(values, batch);
    if (classes > 0) sum += end / classes;
    else for (let i = 0; i < end; i++) sum += values[i]! * values[i]!;
  }
  return sum;
}

/** The output that holds scores of classes or words, where the data are judged by labels rather than by likeness. */
function scoresAmong(outputs: Readonly<Record<string, Tensor>>, { metric }: DataSet): string | undefined {
  const floats = Object.entries(outputs).filter(([, { dtype }]) => isFloat(dtype));
  if (metric === 'sqnr') return undefined;
  if (metric === undefined && (floats.length !== 1 || floats[0]![1].shape.length !== 2)) return undefined;
  const rank = metric === 'perplexity' ? 3 : 2;
  return floats.find(([, { shape }]) => shape.length >= rank && shape.at(-1)! > 1)?.[0];
}

/** Length of one distribution: the last axis of words, all that a sample has of classes. */
function classesOf({ batch, outputs }: Kept, data: DataSet): number {
  const [values] = outputs.values();
  if (data.metric !== 'perplexity') return values!.length / (batch.count + batch.padding);
  const ids = Object.values(batch.feeds).find(({ shape }) => shape.length === 2)!;
  return values!.length / ids.count;
}

/** Rows whose first largest score is not that of their label. */
function wrongAnswers(found: Float32Array, end: number, classes: number, labels: Int32Array): number {
  let wrong = 0;
  for (let row = 0; (row + 1) * classes <= end; row++) {
    const scores = found.subarray(row * classes, (row + 1) * classes);
    let best = 0;
    for (let at = 1; at < classes; at++) if (scores[at]! > scores[best]!) best = at;
    if (best !== labels[row] || Number.isNaN(scores[best])) wrong += 1;
  }
  return wrong;
}

function squaredError(expected: Float32Array, found: Float32Array, end: number): number {
  let sum = 0;
  for (let i = 0; i < end; i++) sum += (expected[i]! - found[i]!) ** 2;
  return sum;
}

/** Σ p·ln(p / q) over rows, where p and q are the softmax of scores, or the rows themselves where they are distributions. */
function divergence(expected: Float32Array, found: Float32Array, end: number, classes: number): number {
  let sum = 0;
  for (let row = 0; row + classes <= end; row += classes) {
    const p = expected.subarray(row, row + classes);
    const given = isDistribution(p);
    const [logP, logQ] = [logarithms(p, given), logarithms(found.subarray(row, row + classes), given)];
    for (let i = 0; i < classes; i++) sum += Math.exp(logP[i]!) * (logP[i]! - logQ[i]!);
  }
  return Math.max(0, sum);
}

function isDistribution(row: Float32Array): boolean {
  let sum = 0;
  for (const each of row) {
    if (!(each >= 0 && each <= 1)) return false;
    sum += each;
  }
  return Math.abs(sum - 1) < 1e-3;
}

/** Below this a probability is rounding noise. */
const LEAST = 1e-9;

function logarithms(row: Float32Array, given: boolean): Float64Array {
  if (given) return Float64Array.from(row, (each) => Math.log(Math.max(each, LEAST)));
  const top = row.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const each of row) sum += Math.exp(each - top);
  const shift = top + Math.log(sum);
  return Float64Array.from(row, (each) => Math.max(each - shift, Math.log(LEAST)));
}
