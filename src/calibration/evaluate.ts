/** How good a model is on data: top-1 accuracy, perplexity, or its likeness to the float model. */
import { QuantcError } from '../errors/error.js';
import { isFloat, isInteger } from '../ir/dtype.js';
import type { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import type { Session } from '../runtime/session.js';
import type { Batch, DataSet } from './dataset.js';
import type { Metric } from './manifest.js';

/** A model's score on data. */
export interface Evaluation {
  readonly metric: Metric;
  /** `top1`: share of right answers, 0 to 1. `perplexity`: lower is better. `sqnr`: decibels, Infinity for equality. */
  readonly value: number;
  /** Samples that were scored. */
  readonly samples: number;
}

type Outputs = Readonly<Record<string, Tensor>>;

/** Scores outputs feed by feed; nothing but sums is kept. */
export interface Evaluator {
  readonly metric: Metric;
  /** @param reference the float model's outputs for the same feeds; `sqnr` needs them, the others do not look */
  add(batch: Batch, outputs: Outputs, reference?: Outputs): void;
  /** @throws QuantcError E_EVAL_EMPTY when nothing was scored */
  evaluation(): Evaluation;
}

/**
 * The evaluator of a metric.
 * @param metric default: what the data says, else `top1` where it has labels, else `sqnr`
 * @throws QuantcError E_EVAL_LABELS for `top1` without labels; while adding, E_EVAL_OUTPUT where the outputs do not
 * have the metric's form
 */
export function evaluatorFor(data: DataSet, metric?: Metric): Evaluator {
  const chosen = metric ?? data.metric ?? (data.labels ? 'top1' : 'sqnr');
  switch (chosen) {
    case 'top1':
      return new Top1Evaluator(data);
    case 'perplexity':
      return new PerplexityEvaluator();
    case 'sqnr':
      return new SqnrEvaluator();
  }
}

/**
 * Runs a session over data and scores it.
 * @param options.reference session of the float model, for `sqnr`
 * @param options.onProgress told after every feed; a share of 1 is the end
 */
export async function evaluate(
  session: Session,
  data: DataSet,
  options: { metric?: Metric; reference?: Session; onProgress?: (share: number) => void } = {},
): Promise<Evaluation> {
  const evaluator = evaluatorFor(data, options.metric);
  for await (const batch of data.batches()) {
    const outputs = await session.run(batch.feeds);
    const reference = evaluator.metric === 'sqnr' ? await options.reference?.run(batch.feeds) : undefined;
    evaluator.add(batch, outputs, reference);
    options.onProgress?.((batch.start + batch.count) / data.count);
  }
  return evaluator.evaluation();
}

/** Share of samples whose largest score is that of their label: the first of equals counts. */
class Top1Evaluator implements Evaluator {
  readonly metric = 'top1';
  readonly #labels: Int32Array;
  #right = 0;
  #samples = 0;

  constructor(data: DataSet) {
    if (data.labels === undefined) {
      throw new QuantcError('E_EVAL_LABELS', 'top-1 accuracy needs labels', {
        place: { file: data.source },
        hint: 'Name a "labels" array in the data.json; it belongs to the evaluation split.',
      });
    }
    this.#labels = data.labels;
  }

  add({ start, count }: Batch, outputs: Outputs): void {
    const scores = Object.values(outputs).find(
      ({ dtype, shape }) =>
        isFloat(dtype) && shape.length >= 2 && shape[0]! >= count && elementCount(shape.slice(1)) > 1,
    );
    if (scores === undefined) {
      throw new QuantcError('E_EVAL_OUTPUT', 'no output has a row of scores for each sample', {
        hint: 'Top-1 accuracy is for classifiers; set "metric": "sqnr" in the data.json.',
      });
    }
    const classes = elementCount(scores.shape.slice(1));
    const values = scores.toFloat32();
    for (let i = 0; i < count; i++) {
      let best = 0;
      for (let c = 1; c < classes; c++) {
        if (values[i * classes + c]! > values[i * classes + best]!) best = c;
      }
      if (best === this.#labels[start + i] && !Number.isNaN(values[i * classes + best]!)) this.#right += 1;
    }
    this.#samples += count;
  }

  evaluation(): Evaluation {
    return scored('top1', this.#right / this.#samples, this.#samples);
  }
}

/** exp of the mean cross-entropy of each token under the model, given those before it in its row. */
class PerplexityEvaluator implements Evaluator {
  readonly metric = 'perplexity';
  #loss = 0;
  #tokens = 0;
  #samples = 0;

  add({ feeds, count, padding }: Batch, outputs: Outputs): void {
    const ids =
      feeds['input_ids'] ??
      Object.values(feeds).find(({ dtype, shape }) => isInteger(dtype) && shape.length === 2);
    const [rows = 0, length = 0] = ids?.shape ?? [];
    const logits = Object.values(outputs).find(
      ({ dtype, shape }) => isFloat(dtype) && shape.length === 3 && shape[0] === rows && shape[1] === length,
    );
    if (ids === undefined || logits === undefined) {
      throw new QuantcError(
        'E_EVAL_OUTPUT',
        'perplexity needs token ids [rows, tokens] and logits [rows, tokens, words]',
        {
          hint: 'It is for language models; set another "metric" in the data.json.',
        },
      );
    }
    const tokens = ids.toNumbers();
    const values = logits.toFloat32();
    const words = logits.shape[2]!;
    const mask = feeds['attention_mask'];
    const real = mask?.shape.join() === ids.shape.join() ? mask.toNumbers() : undefined;
    for (let row = 0; row < rows - padding; row++) {
      for (let at = 0; at + 1 < length; at++) {
        // Padding is no text: it is not predicted.
        if (real?.[row * length + at + 1] === 0) continue;
        const next = tokens[row * length + at + 1]!;
        if (next < 0 || next >= words) {
          throw new QuantcError('E_EVAL_OUTPUT', `token ${next} is not among the model's ${words} words`);
        }
        const from = (row * length + at) * words;
        let top = Number.NEGATIVE_INFINITY;
        for (let w = 0; w < words; w++) if (values[from + w]! > top) top = values[from + w]!;
        let sum = 0;
        for (let w = 0; w < words; w++) sum += Math.exp(values[from + w]! - top);
        this.#loss += top + Math.log(sum) - values[from + next]!;
        this.#tokens += 1;
      }
    }
    this.#samples += count;
  }

  evaluation(): Evaluation {
    return scored('perplexity', Math.exp(this.#loss / this.#tokens), this.#samples);
  }
}

/** 10·log10(Σ float² / Σ (float − ours)²) over all float outputs and all feeds. */
class SqnrEvaluator implements Evaluator {
  readonly metric = 'sqnr';
  #signal = 0;
  #noise = 0;
  #samples = 0;

  add({ count, padding }: Batch, outputs: Outputs, reference?: Outputs): void {
    if (reference === undefined) {
      throw new QuantcError('E_EVAL_REFERENCE', 'SQNR needs the float model to compare with', {
        kind: 'usage',
      });
    }
    for (const [name, expected] of Object.entries(reference)) {
      if (!isFloat(expected.dtype)) continue;
      const ours = outputs[name];
      if (ours === undefined || ours.shape.join() !== expected.shape.join()) {
        throw new QuantcError(
          'E_EVAL_OUTPUT',
          `output "${name}" is [${ours?.shape ?? 'absent'}], not [${expected.shape}]`,
          {
            place: { value: name },
          },
        );
      }
      const [y, z] = [expected.toFloat32(), ours.toFloat32()];
      // Rows that only fill up a fixed batch repeat other samples and must not weigh twice.
      const end = expected.shape[0] === count + padding ? (y.length / (count + padding)) * count : y.length;
      for (let i = 0; i < end; i++) {
        this.#signal += y[i]! * y[i]!;
        this.#noise += (y[i]! - z[i]!) ** 2;
      }
    }
    this.#samples += count;
  }

  evaluation(): Evaluation {
    const value = this.#noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(this.#signal / this.#noise);
    return scored('sqnr', value, this.#samples);
  }
}

function scored(metric: Metric, value: number, samples: number): Evaluation {
  if (samples === 0) throw new QuantcError('E_EVAL_EMPTY', 'there was nothing to score', { kind: 'usage' });
  return { metric, value, samples };
}
