/** How far the outputs of candidates lie from one model's, whose own outputs are computed once and kept. */
import { isFloat } from '../ir/dtype.js';
import type { Model } from '../ir/graph.js';
import type { Judge, NoiseMetric } from '../pipeline/judge.js';
import { withSession } from '../runtime/session.js';
import type { DataSet } from './dataset.js';
import {
  type Answer,
  classesOf,
  divergence,
  elementsOf,
  scoresAmong,
  signalOf,
  squaredError,
} from './scores.js';

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

/** @throws errors of the data and of the session */
export async function openJudge(
  reference: Model,
  data: DataSet,
  { threads, byLabels = false, byLikeness = false, maxBytes = 64 << 20 }: OpenOptions = {},
): Promise<Judge> {
  const kept: Answer[] = [];
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
