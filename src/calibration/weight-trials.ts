/**
 * One model run again and again with other weights: they are inputs of a single session, so that a trial costs a run and
 * nothing is loaded twice.
 */
import { cloneModel } from '../ir/clone.js';
import { isFloat, isInteger } from '../ir/dtype.js';
import { addInput, removeInitializer, replaceAllUses } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import type { TrialFigures, WeightTrials } from '../pipeline/weight-trials.js';
import { withSession } from '../runtime/session.js';
import type { Batch, DataSet } from './dataset.js';
import {
  type Answer,
  classesOf,
  Distributions,
  elementsOf,
  scoresAmong,
  signalOf,
  squaredError,
} from './scores.js';

export interface WeightTrialOptions {
  readonly threads?: number;
  /** Bytes of the float model's answers that may be kept; later samples are left out. Default 256 MiB. */
  readonly maxBytes?: number;
}

/**
 * Opens trials over data, hands them on, and closes them whatever happens.
 * @param weights initializers of the main graph that trials may replace
 * @throws errors of the data and of the session
 */
export async function withWeightTrials<T>(
  model: Model,
  weights: readonly Value[],
  data: DataSet,
  use: (trials: WeightTrials) => Promise<T>,
  { threads, maxBytes = 256 << 20 }: WeightTrialOptions = {},
): Promise<T> {
  const { model: copy, values } = cloneModel(model);
  const fed = new Map<Value, { name: string; tensor: Tensor }>();
  for (const weight of new Set(weights)) {
    const own = values.get(weight)!;
    const tensor = weight.constant!;
    const input = addInput(copy.graph, `${weight.name}_fed`, tensorType(tensor.dtype, tensor.shape));
    replaceAllUses(own, input);
    removeInitializer(own);
    fed.set(weight, { name: input.name, tensor });
  }
  const own = Object.fromEntries(Array.from(fed.values(), ({ name, tensor }) => [name, tensor]));
  return withSession(copy, { ...(threads !== undefined && { threads }) }, async (session) => {
    const kept: Answer[] = [];
    let scores: string | undefined;
    let room = maxBytes;
    for await (const batch of data.batches()) {
      const outputs = await session.run({ ...batch.feeds, ...own });
      if (kept.length === 0) scores = scoresAmong(outputs, data);
      const wanted = Object.entries(outputs).filter(
        ([name, { dtype }]) => isFloat(dtype) && (scores === undefined || name === scores),
      );
      room -= wanted.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
      if (room < 0 && kept.length > 0) break;
      kept.push({ batch, outputs: new Map(wanted.map(([name, tensor]) => [name, tensor.toFloat32()])) });
    }
    const classes = scores === undefined ? 0 : classesOf(kept[0]!, data);
    const distributions =
      classes > 0
        ? kept.map(({ batch, outputs }) => {
            const [values] = outputs.values();
            return new Distributions(values!, elementsOf(values!, batch), classes);
          })
        : [];
    const signal = kept.reduce((sum, each) => sum + signalOf(each, classes), 0);
    const measure = async (replaced: ReadonlyMap<Value, Tensor>, predicts = false): Promise<TrialFigures> => {
      const feeds: Record<string, Tensor> = { ...own };
      for (const [weight, tensor] of replaced) feeds[fed.get(weight)!.name] = tensor;
      const words = predicts && data.metric === 'perplexity' ? new Words(classes) : undefined;
      let noise = 0;
      for (const [at, { batch, outputs }] of kept.entries()) {
        const found = await session.run({ ...batch.feeds, ...feeds }, [...outputs.keys()]);
        for (const [name, expected] of outputs) {
          const values = found[name]!.toFloat32();
          noise +=
            distributions[at]?.divergence(values) ??
            squaredError(expected, values, elementsOf(expected, batch));
          words?.add(batch, values);
        }
      }
      const share = noise === 0 ? 0 : noise / signal;
      return { noise: Number.isFinite(share) ? share : Number.POSITIVE_INFINITY, ...words?.figures };
    };
    return use({
      metric: classes > 0 ? 'kl' : 'sqnr',
      samples: kept.reduce((sum, { batch }) => sum + batch.count, 0),
      measure,
    });
  });
}

/** How well the next token is told: perplexity, and how often the likeliest word is the right one. */
class Words {
  readonly #words: number;
  #loss = 0;
  #right = 0;
  #tokens = 0;

  constructor(words: number) {
    this.#words = words;
  }

  add({ feeds, padding }: Batch, logits: Float32Array): void {
    const ids =
      feeds['input_ids'] ??
      Object.values(feeds).find(({ dtype, shape }) => isInteger(dtype) && shape.length === 2);
    const [rows = 0, length = 0] = ids?.shape ?? [];
    const tokens = ids?.toNumbers() ?? [];
    const mask = feeds['attention_mask'];
    const real = mask?.shape.join() === ids?.shape.join() ? mask?.toNumbers() : undefined;
    const words = this.#words;
    for (let row = 0; row < rows - padding; row++) {
      for (let at = 0; at + 1 < length; at++) {
        const next = tokens[row * length + at + 1]!;
        if (real?.[row * length + at + 1] === 0 || next < 0 || next >= words) continue;
        const from = (row * length + at) * words;
        let best = 0;
        for (let w = 1; w < words; w++) if (logits[from + w]! > logits[from + best]!) best = w;
        const top = logits[from + best]!;
        let sum = 0;
        for (let w = 0; w < words; w++) sum += Math.exp(logits[from + w]! - top);
        this.#loss += top + Math.log(sum) - logits[from + next]!;
        this.#tokens += 1;
        if (best === next) this.#right += 1;
      }
    }
  }

  get figures(): Pick<TrialFigures, 'perplexity' | 'accuracy'> {
    if (this.#tokens === 0) return {};
    return { perplexity: Math.exp(this.#loss / this.#tokens), accuracy: this.#right / this.#tokens };
  }
}
