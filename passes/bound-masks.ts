/**
 * Scores that a mask pushes down to −10000 or −10⁹ would take nearly all of the grid in front of Softmax. All that
 * Softmax asks of them is to be well below the others: where unmasked scores lie in [a, b], a masked one at a − 20 or less
 * weighs e⁻²⁰ of the least of them. So the range in front of Softmax ends there, and constant masks are no deeper than
 * they must be to get there from b.
 */
import {
  addInitializer,
  definePass,
  type Node,
  type Plan,
  planFact,
  type Range,
  rangeChoicesFact,
  rangesFact,
  setInput,
  Tensor,
  type Value,
} from '../src/index.js';

/** Additions below this are a mask; scores are not as low. */
const MASKED = -1000;
/** How far below the least score: e⁻²⁰ is 2·10⁻⁹. */
const BELOW = 20;

export const boundMasks = definePass({
  name: 'bound-masks',
  doc: 'Softmax(scores + mask): the range ends 20 below the scores, whatever the mask; constant masks are cut there',
  needs: ['planned', 'calibrated'],
  run(model, context) {
    const plan = planFact.get(context);
    const ranges = new Map(rangesFact.get(context));
    const choices = new Map(
      [...(rangeChoicesFact.find(context) ?? [])].map(([method, found]) => [method, new Map(found)]),
    );
    const shallow = new Map<string, Value>();
    for (const { node } of plan.nodes.values()) {
      if (!node.is('Softmax')) continue;
      const masked = maskedScores(node, plan, ranges);
      if (masked === undefined) continue;
      const { sum, scores, mask, index } = masked;
      for (const each of [ranges, ...choices.values()]) {
        const [own, range] = [each.get(sum), rangeAt(scores, plan, each)];
        if (own && range) each.set(sum, { ...own, min: Math.max(own.min, floorOf(range)) });
      }
      context.changed(`its scores end at ${floorOf(rangeAt(scores, plan, ranges)!).toPrecision(3)}`, node);
      if (!mask.isConstant) continue;
      const { min, max } = rangeAt(scores, plan, ranges)!;
      // Powers of two, so that layers share a mask.
      const depth = 2 ** Math.ceil(Math.log2(Math.max(max, 0) - Math.min(min, 0) + BELOW));
      const key = `${mask.name}/${depth}`;
      const cut =
        shallow.get(key) ?? addInitializer(model.graph, cutAt(mask.constant!, -depth), `${mask.name}_cut`);
      shallow.set(key, cut);
      setInput(sum.producer!, index, cut);
    }
    rangesFact.set(context, ranges);
    if (choices.size > 0) rangeChoicesFact.set(context, choices);
  },
});

const floorOf = ({ min }: Range): number => Math.min(min, 0) - BELOW;

/** The value whose grid the planned value has. */
function originOf(value: Value, plan: Plan): Value {
  let origin = value;
  for (
    let giver = origin.producer;
    giver && plan.nodes.get(giver)?.row.output === 'same';
    giver = origin.producer
  )
    origin = giver.inputs[0]!;
  return origin;
}

function rangeAt(value: Value, plan: Plan, ranges: ReadonlyMap<Value, Range>): Range | undefined {
  return value.isConstant ? rangeOfTensor(value.constant!) : ranges.get(originOf(value, plan));
}

function rangeOfTensor(tensor: Tensor): Range {
  let [min, max] = [0, 0];
  for (const each of tensor.toFloat32()) {
    if (each < min) min = each;
    else if (each > max) max = each;
  }
  return { min, max };
}

/** What Softmax reads, where it is a sum (or a choice) of scores and a mask. */
function maskedScores(softmax: Node, plan: Plan, ranges: ReadonlyMap<Value, Range>) {
  const sum = originOf(softmax.inputs[0]!, plan);
  const maker = sum.producer;
  const first = maker?.is('Add') ? 0 : maker?.is('Where') ? 1 : undefined;
  if (first === undefined) return undefined;
  for (const index of [first, first + 1]) {
    const [mask, scores] = [maker!.inputs[index]!, maker!.inputs[2 * first + 1 - index]!];
    const [low, range] = [rangeAt(mask, plan, ranges), rangeAt(scores, plan, ranges)];
    if (low && range && low.min < MASKED && range.min > MASKED) return { sum, scores, mask, index };
  }
  return undefined;
}

const cutAt = (tensor: Tensor, least: number): Tensor =>
  Tensor.derive('float', tensor.shape, [tensor], ([values]) =>
    values!.toFloat32().map((each) => Math.max(each, least)),
  );
