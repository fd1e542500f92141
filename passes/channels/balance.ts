/** Chooses factors for the free channels of a model, so that quantizing it loses least, and applies them. */
import {
  cloneModel,
  exclusionFact,
  floatModelFact,
  type Model,
  type PassContext,
  type Plan,
  placementOf,
  planStatic,
  type Target,
  targetFact,
  type Value,
} from '../../src/index.js';
import { type Choice, chooseFactors, topOf } from './choose.js';
import { ChannelGraph, type Space } from './graph.js';
import { Reader } from './noise.js';
import { type Factors, rescale } from './rescale.js';
import { type ChannelStatistics, channelStatistics } from './statistics.js';
import { likenessQuantized } from './trial.js';

/** Samples that channels are measured on. */
const SAMPLES = 128;
/** Weights that are looked at again and again while candidates are compared; spaces with more stay as they are. */
const MOST_WEIGHTS = 1 << 26;

/**
 * How boldly spaces are scaled: those that promise so much, where the whole model then answers so much better on
 * calibration samples. Channels that were quiet on the samples may be loud on others, so that a small promise is not
 * worth having unless a large one is kept; decibels both, found on the held-out samples of 15 models.
 */
const STRENGTHS = [
  { promised: 3, kept: 0.3 },
  { promised: 0.15, kept: 2.2 },
] as const;

/** Scales the spaces that `takes` accepts, where samples show that the quantized model answers better for it. */
export async function balance(
  model: Model,
  context: PassContext,
  takes: (space: Space) => boolean,
): Promise<void> {
  const { watch, likeness } = context.engine;
  if (watch === undefined || likeness === undefined) {
    context.decline('there are no samples to measure channels on');
    return;
  }
  const target = targetFact.get(context);
  const plan = planStatic(model.graph, target, exclusionFact.find(context));
  const channels = new ChannelGraph(model.graph);
  const spaces = channels.spaces().filter((space) => takes(space) && readersOf(space, plan).length > 0);
  if (spaces.length === 0) return;
  const values = watched(spaces, plan);
  const statistics = await channelStatistics(model, values, channels, watch, SAMPLES);
  const choices = new Map<Space, Choice>();
  for (const space of spaces) {
    const choice = choose(space, channels, plan, target, statistics);
    if (typeof choice === 'string') context.decline(choice, space.values[0]);
    else choices.set(space, choice);
  }
  const best = await strongest(model, context, choices);
  for (const [space, { gain, how }] of choices) {
    const what = `${gain.toFixed(1)} dB less noise promised by ${how}`;
    if (best?.spaces.has(space)) context.changed(what, space.readers[0]);
    else context.decline(`${what}: not worth the risk`, space.readers[0]);
  }
  if (best === undefined) return;
  rescale(model.graph, channels, best.factors);
  if (floatModelFact.find(context)) floatModelFact.set(context, cloneModel(model).model);
}

function readersOf({ readers }: Space, plan: Plan) {
  return readers.flatMap((node) => {
    const found = plan.nodes.get(node);
    return Reader.reads(found) ? [found] : [];
  });
}

/** Values that decide on factors: what is quantized, what integer products read, what leaves a Clip. */
function watched(spaces: readonly Space[], plan: Plan): Value[] {
  const quantized = placementOf(plan).values;
  const wanted = new Set<Value>();
  for (const space of spaces) {
    for (const value of space.values)
      if (quantized.has(value) || topOf(value) !== undefined) wanted.add(value);
    for (const { node } of readersOf(space, plan)) wanted.add(node.inputs[0]!);
  }
  return [...wanted];
}

function choose(
  space: Space,
  channels: ChannelGraph,
  plan: Plan,
  target: Target,
  statistics: ReadonlyMap<Value, ChannelStatistics>,
): Choice | string {
  const plans = readersOf(space, plan);
  const weights = plans.reduce((sum, { node }) => sum + (node.inputs[1]?.constant?.count ?? 0), 0);
  if (weights > MOST_WEIGHTS) return 'its weights are too many to be weighed';
  const readers = plans.flatMap((each) => {
    const seen = statistics.get(each.node.inputs[0]!);
    return seen ? [new Reader(each, seen, target)] : [];
  });
  return chooseFactors(space, channels, readers, statistics);
}

interface Strongest {
  readonly spaces: ReadonlySet<Space>;
  readonly factors: Factors;
}

/** The strength with which the whole model answers best; undefined for none. */
async function strongest(
  model: Model,
  context: PassContext,
  choices: ReadonlyMap<Space, Choice>,
): Promise<Strongest | undefined> {
  let best: (Strongest & { score: number }) | undefined;
  let plain: number | undefined;
  const scores: string[] = [];
  for (const { promised, kept } of STRENGTHS) {
    const bold = [...choices].filter(([, { gain }]) => gain >= promised);
    if (bold.length === 0 || bold.length === best?.spaces.size) continue;
    plain ??= await likenessQuantized(model, context);
    if (plain === undefined) return undefined;
    const factors = new Map(bold.flatMap(([, choice]) => [...choice.factors]));
    const score = await likenessQuantized(model, context, (copy) =>
      rescale(copy.graph, new ChannelGraph(copy.graph), factors),
    );
    scores.push(`${bold.length} spaces ${score!.toFixed(1)} dB`);
    if (score! > (best?.score ?? plain) + kept)
      best = { score: score!, factors, spaces: new Set(bold.map(([space]) => space)) };
  }
  if (plain !== undefined) {
    const outcome = best ? `${best.spaces.size} spaces of channels scaled` : 'channels left as they are';
    context.ledger.note(
      'info',
      'channels',
      `${outcome}: ${plain.toFixed(1)} dB as they are, ${scores.join(', ')} on calibration samples`,
    );
  }
  return best;
}
