/** Losses of students, as graphs: the number to show, and its gradient in closed form, where the way back starts. */
import { dtypeOf, type Emitter } from '../autodiff/emit.js';
import { QuantcError } from '../errors/error.js';
import type { Value } from '../ir/graph.js';
import { isStatic, tensorType } from '../ir/type.js';

/** What a student is to come near to. */
export type Loss =
  | {
      /**
       * (1 − α)·CE(labels) + α·τ²·KL(teacher ‖ student), both means over rows (tokens). Rows whose label is negative do
       * not count in the CE. (With a KL that is summed over the tokens of a sample and a CE that is their mean, as
       * `reduction="batchmean"` gives, "half and half" would be a thousand to one.)
       */
      readonly kind: 'distill';
      /** Share of the teacher, from 0 (labels alone) to 1 (no labels; the default). */
      readonly teacher?: number;
      /** τ; default 1. */
      readonly temperature?: number;
    }
  /** Mean squared difference of the student's and the teacher's logits, counted in `unit` (default 1). */
  | { readonly kind: 'logits-mse'; readonly unit?: number };

export interface LossGraph {
  /** A float of no dimensions. */
  readonly loss: Value;
  /** Its parts by name, of no dimensions. */
  readonly parts: Readonly<Record<string, Value>>;
  /** ∂loss/∂logits, in their shape. */
  readonly gradient: Value;
}

/** True when a loss reads labels. */
export const readsLabels = (loss: Loss): boolean => loss.kind === 'distill' && (loss.teacher ?? 1) < 1;
/** True when a loss reads a teacher's logits. */
export const readsTeacher = (loss: Loss): boolean => loss.kind !== 'distill' || (loss.teacher ?? 1) > 0;

/**
 * Appends a loss to a graph.
 * @param logits [… , classes], sizes fixed
 * @param teacher the teacher's logits in the same shape, for losses that read them
 * @param labels int64 [… ], for losses that read them
 * @throws QuantcError E_TRAINING_LOSS for a share outside of [0, 1], a temperature that is not positive, or a part that
 * the loss reads and that is not given; E_TRAINING_SHAPE for open sizes.
 */
export function lossGraph(
  emit: Emitter,
  loss: Loss,
  logits: Value,
  { teacher, labels }: { readonly teacher?: Value; readonly labels?: Value },
): LossGraph {
  const { shape } = logits;
  if (!isStatic(shape) || shape.length === 0) {
    throw new QuantcError('E_TRAINING_SHAPE', `${logits.name} must have fixed sizes`, {
      place: { value: logits.name },
      hint: 'Give every size of the model a number before training.',
    });
  }
  if (readsTeacher(loss) && teacher === undefined) throw missing('a teacher');
  if (readsLabels(loss) && labels === undefined) throw missing('labels');
  emit.prefix = 'loss/';
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  if (loss.kind === 'logits-mse')
    return squared(emit, logits, teacher!, rows * shape.at(-1)! * (loss.unit ?? 1));
  const share = loss.teacher ?? 1;
  const temperature = loss.temperature ?? 1;
  if (!(share >= 0 && share <= 1) || !(temperature > 0)) {
    throw new QuantcError('E_TRAINING_LOSS', `share ${share} and temperature ${temperature} make no loss`, {
      kind: 'usage',
      hint: 'The share of the teacher lies in [0, 1], the temperature above 0.',
    });
  }
  const parts: { name: string; weight: number; loss: Value; gradient: Value }[] = [];
  if (share > 0) {
    const weight = share * temperature ** 2;
    parts.push({ name: 'kl', weight, ...divergence(emit, logits, teacher!, rows, temperature) });
  }
  if (share < 1) parts.push({ name: 'ce', weight: 1 - share, ...crossEntropy(emit, logits, labels!) });
  const weighted = (value: Value, weight: number) =>
    weight === 1 ? value : emit.op('Mul', [value, emit.scalar(weight, logits)]);
  return {
    loss: emit.total(parts.map((part) => weighted(part.loss, part.weight))),
    parts: Object.fromEntries(parts.map((part) => [part.name, part.loss])),
    gradient: emit.total(parts.map((part) => weighted(part.gradient, part.weight))),
  };
}

const missing = (what: string): QuantcError =>
  new QuantcError('E_TRAINING_LOSS', `the loss reads ${what}, and none is given`, { kind: 'usage' });

const sumOfAll = (emit: Emitter, value: Value): Value =>
  emit.op('ReduceSum', [value], { keepdims: 0 }, tensorType(dtypeOf(value), []));

/** Σ (z − t)²/n, whose gradient is 2(z − t)/n. */
function squared(emit: Emitter, logits: Value, teacher: Value, count: number): LossGraph {
  const difference = emit.op('Sub', [logits, teacher]);
  const sum = sumOfAll(emit, emit.op('Mul', [difference, difference]));
  const loss = emit.op('Mul', [sum, emit.scalar(1 / count, logits)]);
  const gradient = emit.op('Mul', [difference, emit.scalar(2 / count, logits)]);
  return { loss, parts: { mse: loss }, gradient };
}

/** Mean over rows of Σ p_T·(ln p_T − ln p_S) at temperature τ, whose gradient is (p_S − p_T)/(τ·rows). */
function divergence(emit: Emitter, logits: Value, teacher: Value, rows: number, temperature: number) {
  const rate = emit.scalar(1 / temperature, logits);
  const logs = [teacher, logits].map((each) => {
    const cooled = temperature === 1 ? each : emit.op('Mul', [each, rate]);
    return emit.op('LogSoftmax', [cooled], { axis: -1 }, each.type);
  }) as [Value, Value];
  const [sure, told] = logs.map((each) => emit.op('Exp', [each])) as [Value, Value];
  const sum = sumOfAll(emit, emit.op('Mul', [sure, emit.op('Sub', logs)]));
  return {
    loss: emit.op('Mul', [sum, emit.scalar(1 / rows, logits)]),
    gradient: emit.op('Mul', [emit.op('Sub', [told, sure]), emit.scalar(1 / (temperature * rows), logits)]),
  };
}

/** Mean over the rows that have a label of −ln p[label], whose gradient is (p − 1[label])/rows. */
function crossEntropy(emit: Emitter, logits: Value, labels: Value) {
  const zero = emit.ints([0], []);
  const known = emit.op('GreaterOrEqual', [labels, zero]);
  const weight = emit.cast(known, logits);
  const count = emit.op('Max', [sumOfAll(emit, weight), emit.scalar(1, logits)]);
  const share = emit.op('Unsqueeze', [emit.op('Div', [weight, count]), emit.ints([-1])]);
  const place = emit.op('Unsqueeze', [emit.op('Where', [known, labels, zero]), emit.ints([-1])]);
  const logs = emit.op('LogSoftmax', [logits], { axis: -1 }, logits.type);
  const chosen = emit.op('GatherElements', [logs, place], { axis: -1 });
  const shares = emit.op('Mul', [emit.op('Exp', [logs]), share]);
  const gradient = emit.op(
    'ScatterElements',
    [shares, place, emit.op('Neg', [share])],
    { axis: -1, reduction: 'add' },
    logits.type,
  );
  return { loss: emit.op('Neg', [sumOfAll(emit, emit.op('Mul', [chosen, share]))]), gradient };
}
