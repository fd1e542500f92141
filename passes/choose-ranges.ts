/**
 * Which ranges to quantize with. The extremes waste steps on outliers; ranges that cut them off serve most models
 * better, and ruin those whose answer lies in the tails (detectors, mostly). No rule on single values tells which is
 * which, so each way is tried on the whole model and judged by the outputs on calibration samples.
 */
import {
  cloneModel,
  definePass,
  exclusionFact,
  judgedByLikeness,
  Ledger,
  type Model,
  type PassContext,
  planFact,
  planStatic,
  type Range,
  rangeChoicesFact,
  rangesFact,
  targetFact,
  type Value,
} from '../src/index.js';
import { insertQdq } from './insert-qdq.js';

/**
 * The first choice stays unless another is better by this much, in dB: on samples that calibration has seen, ranges
 * that fit every outlier look better than they are, and labels care little for the size of the largest scores. A model
 * whose outputs themselves are the answer is judged without.
 */
const MARGIN = 2.2;

export const chooseRanges = definePass({
  name: 'choose-ranges',
  doc: 'of several ranges for every value, keep the kind whose quantized model answers most like the float one',
  needs: ['planned', 'calibrated'],
  async run(model, context) {
    const best = await bestRanges(model, context);
    if (best === undefined) return;
    rangesFact.set(context, best.ranges);
    context.ledger.note(
      'info',
      'ranges',
      `activation ranges by ${best.method}: ${best.scores.join(', ')} on calibration samples`,
    );
  },
});

interface Chosen {
  readonly method: string;
  readonly ranges: ReadonlyMap<Value, Range>;
  /** How like the float model's the answers are, in dB, with these ranges and with each kind of them. */
  readonly score: number;
  readonly scores: readonly string[];
}

/** The best of the kinds of ranges that were observed; undefined where there is nothing to choose or to judge by. */
export async function bestRanges(model: Model, context: PassContext): Promise<Chosen | undefined> {
  const choices = rangeChoicesFact.find(context);
  const { likeness } = context.engine;
  if (choices === undefined || likeness === undefined || planFact.get(context).nodes.size === 0)
    return undefined;
  const margin = judgedByLikeness.find(context) ? 0 : MARGIN;
  let best: Omit<Chosen, 'scores'> | undefined;
  const scores: string[] = [];
  for (const [method, ranges] of choices) {
    const score = await likeness(model, await quantizedCopy(model, ranges, context));
    scores.push(`${method} ${score.toFixed(1)} dB`);
    if (best === undefined || score > best.score + margin) best = { method, ranges, score };
  }
  return best && { ...best, scores };
}

/** What the model would become with these ranges. Its constants are shared with the original, unread. */
async function quantizedCopy(
  model: Model,
  ranges: ReadonlyMap<Value, Range>,
  context: PassContext,
): Promise<Model> {
  const copy = cloneModel(model);
  const facts = new Map(context.facts);
  const trial: PassContext = {
    ...context,
    facts,
    ledger: new Ledger(),
    changed: () => {},
    decline: () => {},
  };
  planFact.set(trial, planStatic(copy.model.graph, targetFact.get(context), exclusionFact.find(context)));
  rangesFact.set(trial, new Map([...ranges].map(([value, range]) => [copy.values.get(value)!, range])));
  await insertQdq.run(copy.model, trial);
  return copy.model;
}
