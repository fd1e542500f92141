/**
 * Bits of weights layer by layer: those that lose least for the bytes that all may take together. What a weight loses is
 * measured, on the whole model's outputs, one weight at a time; losses of single weights add up well enough to choose by
 * (HAWQ-V2 adds up the same way). The choice is a knapsack, solved over all weights at once.
 */
import {
  chooseWithin,
  definePass,
  exclusionFact,
  type GridBits,
  type Node,
  type PassContext,
  QuantcError,
  simulatedWeight,
  targetFact,
  type WeightBits,
  type WeightTrials,
  weightBitsFact,
  weightBytesFact,
  weightFact,
  weightMixFact,
} from '../src/index.js';
import { type WeightGroup, weightGroups } from './mix-weights/groups.js';
import {
  type BitsFigure,
  type GroupFigures,
  replaced,
  specOf,
  type Trial,
  weightSensitivities,
} from './mix-weights/sensitivity.js';
import { blockSizeFor, type Plan, planProduct, planWith } from './quantize-weights-nbits/plan.js';

/** Samples that every weight is tried on. */
const SAMPLES = 8;
const UNIFORM = 4;

export const mixWeights = definePass({
  name: 'mix-weights',
  doc: 'bits of each weight of a product: those that lose least, as measured, for the bytes that all may take',
  needs: ['typed'],
  async run(model, context) {
    const target = targetFact.get(context);
    const choice = weightFact.find(context);
    if (choice?.mixed !== true) return;
    const { weightTrials } = context.engine;
    if (weightTrials === undefined) {
      throw new QuantcError(
        'E_CALIBRATION_MISSING',
        'bits are chosen by what they do to outputs on samples',
        {
          kind: 'usage',
          hint: 'Give data with --calib and room with --max-memory, or choose one precision for all weights.',
        },
      );
    }
    const plan: Plan = {
      target,
      form: target.weightOnly!.form,
      choice,
      blockSize: blockSizeFor(target, choice),
    };
    const known = weightBitsFact.find(context) ?? new Map();
    const exclude = exclusionFact.find(context);
    const allowed = (Object.keys(target.weightOnly!.blockSizes).map(Number) as WeightBits[]).toSorted(
      (a, b) => a - b,
    );
    const groups = weightGroups(
      model,
      (product) =>
        exclude?.(product.node) === undefined &&
        !known.has(product.node) &&
        allowed.some(
          (bits) =>
            planProduct(product, planWith(plan, bits, product.tensor.shape[product.axis]!)) === undefined,
        ),
    );
    if (groups.length === 0) return context.decline('no weight may have bits of its own');
    const trial: Trial = {
      method: choice.method ?? 'mse',
      symmetric: choice.symmetric ?? false,
      blockSize: (bits, { tensor, axis }) =>
        planWith(plan, bits as WeightBits, tensor.shape[axis]!).blockSize,
    };
    const weights = groups.flatMap(({ weight, twins }) => [weight, ...twins]);
    await weightTrials(model, weights, SAMPLES, async (trials) => {
      context.engine.onSearch?.(0);
      const figures = await weightSensitivities(
        model,
        groups,
        allowed,
        trial,
        trials,
        context.engine,
        (done, of) => context.engine.onSearch?.(done / of),
      );
      await choose(figures, trial, trials, context, known);
    });
  },
});

async function choose(
  found: readonly GroupFigures[],
  trial: Trial,
  trials: WeightTrials,
  context: PassContext,
  known: ReadonlyMap<Node, { bits: WeightBits | 16; reason: string }>,
): Promise<void> {
  const options = found.map(({ figures }) =>
    figures.map(({ bytes, noise }) => ({ cost: bytes, loss: noise })),
  );
  const sum = (pick: (figures: readonly BitsFigure[]) => number): number =>
    found.reduce((total, { figures }) => total + pick(figures), 0);
  const least = sum((figures) => Math.min(...figures.map(({ bytes }) => bytes)));
  const most = sum((figures) => Math.max(...figures.map(({ bytes }) => bytes)));
  const uniform = found.map(({ figures }) =>
    Math.max(
      0,
      figures.findIndex(({ bits }) => bits === UNIFORM),
    ),
  );
  const limit =
    weightBytesFact.find(context) ??
    found.reduce((all, { figures }, at) => all + figures[uniform[at]!]!.bytes, 0);
  // The fewest bits of all are what a limit below them gets: the budget says then that it is not met.
  const chosen =
    chooseWithin(options, limit) ??
    options.map((each) =>
      each.findIndex(({ cost }) => cost === Math.min(...each.map((option) => option.cost))),
    );
  const noiseOf = async (picks: readonly number[]): Promise<number> => {
    const all = new Map(
      found.flatMap(({ group, figures }, at) => [...tried(group, figures[picks[at]!]!.bits, trial)]),
    );
    return (await trials.measure(all)).noise;
  };
  const assigned = new Map(known);
  for (const [at, { group, figures }] of found.entries()) {
    const { bits, noise, bytes } = figures[chosen[at]!]!;
    const unit =
      trials.metric === 'kl'
        ? `${noise.toPrecision(2)} nats`
        : `${(100 * noise).toPrecision(2)} % of the outputs' energy`;
    const reason = `${bits} bits: alone they cost ${unit} for ${bytes} bytes`;
    for (const node of group.nodes) assigned.set(node, { bits: bits as WeightBits, reason });
    for (const node of group.nodes) context.ledger.record(node, { reason });
    context.changed(reason, group.nodes[0]!);
  }
  weightBitsFact.set(context, assigned);
  weightMixFact.set(context, {
    metric: trials.metric,
    samples: trials.samples,
    bytes: chosen.reduce((all, at, thing) => all + options[thing]![at]!.cost, 0),
    least,
    most,
    noise: await noiseOf(chosen),
    uniform: await noiseOf(uniform),
    layers: found.map(({ group, figures }, at) => {
      const { bits, bytes, noise } = figures[chosen[at]!]!;
      const nodes = group.nodes.map(({ label }) => label);
      return { nodes, ...(group.role !== undefined && { role: group.role }), bits, bytes, noise };
    }),
  });
}

const tried = (group: WeightGroup, bits: GridBits, trial: Trial) =>
  replaced(group, simulatedWeight(group.tensor.toFloat32(), specOf(group, bits, trial)));
