/** Which nodes compute in 16 bits and which stay float, with the reason. */
import {
  cloneModel,
  createNode,
  type DType,
  dtypeFacts,
  exclusionFact,
  type Graph,
  type HalfType,
  isInteger,
  largestMagnitude,
  type Model,
  type Node,
  type PassContext,
  setGraphOutputs,
  type Tensor,
  targetFact,
  type Value,
} from '../../src/index.js';
import { carries, floatReason } from './operators.js';

/** Largest number of each dtype, and the smallest that is not flushed to zero. */
const RANGE: Readonly<Record<HalfType, readonly [most: number, least: number]>> = {
  float16: [65504, 2 ** -25],
  bfloat16: [(2 - 2 ** -7) * 2 ** 127, 2 ** -134],
};

/** How far back from a sine its angles are followed. */
const ANGLE_DEPTH = 12;
/** Constants of more elements are weights, behind which angles are a network's own affair. */
const WEIGHT_COUNT = 65_536;

/**
 * The nodes that stay float.
 * @param graphs those that are converted
 * @returns a reason each
 */
export async function floatNodes(
  model: Model,
  graphs: readonly Graph[],
  half: HalfType,
  context: PassContext,
): Promise<Map<Node, string>> {
  const exclude = exclusionFact.find(context);
  const stays = new Map<Node, string>();
  const fits = fitting(half);
  const large = half === 'float16' ? await largeValues(model, context) : new Set<Value>();
  const folded = targetFact.find(context)?.provider ? widening(graphs) : new Set<Node>();
  const local = new Set(model.functions.map((each) => `${each.domain}:${each.name}`));
  for (const graph of graphs) {
    for (const node of graph.nodes()) {
      const reason =
        exclude?.(node) ??
        (local.has(`${node.domain}:${node.opType}`) ? 'its function keeps its types' : undefined) ??
        (folded.has(node) ? 'folded while the model loads' : undefined) ??
        floatReason(node) ??
        largeReason(node, large) ??
        constantReason(node, fits);
      if (reason !== undefined) stays.set(node, reason);
    }
  }
  for (const graph of graphs) {
    for (const node of graph.nodes()) {
      if (node.is('Sin') || node.is('Cos')) keepAngles(node, stays, ANGLE_DEPTH);
    }
  }
  carryOn(graphs, stays, fits, large);
  return stays;
}

/**
 * Nodes that compute from constants alone: int8 weights that are widened. They are folded while the model loads, before a
 * provider is asked, by kernels of the CPU, which has them for float everywhere and for float16 on some processors.
 */
function widening(graphs: readonly Graph[]): Set<Node> {
  const fixed = new Set<Node>();
  for (const graph of graphs)
    for (const node of graph.nodes()) {
      const known = node.inputs.every(
        (input) => input === undefined || input.isConstant || (input.producer && fixed.has(input.producer)),
      );
      if (node.inputs.length > 0 && known) fixed.add(node);
    }
  return fixed;
}

/** What of a constant does not fit, or nothing; each is read once. */
type Fits = (tensor: Tensor) => string | undefined;

function fitting(half: HalfType): Fits {
  const [most, least] = RANGE[half];
  const known = new Map<Tensor, string | undefined>();
  return (tensor) => {
    if (tensor.dtype !== 'float') return undefined;
    if (!known.has(tensor)) {
      const largest = largestMagnitude(tensor);
      const tooLarge = largest > most ? `${largest.toPrecision(3)} is beyond ${half}` : undefined;
      const tooSmall =
        largest > 0 && largest <= least ? `${largest.toPrecision(3)} would become 0` : undefined;
      known.set(tensor, tooLarge ?? tooSmall);
    }
    return known.get(tensor);
  };
}

function constantReason(node: Node, fits: Fits): string | undefined {
  for (const input of node.inputs) {
    const why = input?.isConstant ? fits(input.constant!) : undefined;
    if (why !== undefined) return `its constant ${input!.name} does not fit: ${why}`;
  }
  return undefined;
}

const largeReason = (node: Node, large: ReadonlySet<Value>): string | undefined => {
  const seen = [...node.inputs, ...node.outputs].find((value) => value && large.has(value));
  return seen && `calibration saw ${seen.name} near the end of float16’s range`;
};

/** Samples that are looked at for numbers that are too large. */
const SAMPLES = 16;

/** Values that came near 65504 on calibration samples, where there are some. */
async function largeValues(model: Model, context: PassContext): Promise<Set<Value>> {
  const large = new Set<Value>();
  const { watch } = context.engine;
  if (watch === undefined) return large;
  const copy = cloneModel(model);
  const { graph } = copy.model;
  const probes = new Map<Value, Value>();
  for (const node of model.graph.nodes()) {
    for (const output of node.outputs) {
      if (output.dtype !== 'float' || output.isOmitted) continue;
      const magnitude = createNode({ endOf: graph }, { opType: 'Abs', inputs: [copy.values.get(output)] });
      const most = { opType: 'ReduceMax', inputs: magnitude.outputs, attributes: { keepdims: 0 } };
      probes.set(createNode({ endOf: graph }, most).outputs[0]!, output);
    }
  }
  setGraphOutputs(graph, [...probes.keys()]);
  await watch(copy.model, [...probes.keys()], SAMPLES, (seen) => {
    for (const [probe, value] of probes) {
      const [most] = seen.get(probe)!.toNumbers();
      if (!(most! <= RANGE.float16[0] / 2)) large.add(value);
    }
  });
  return large;
}

/** Angles are products of positions: 16 bits are too few for them, all the way from where they become float. */
function keepAngles(node: Node, stays: Map<Node, string>, depth: number): void {
  if (depth === 0) return;
  const weighty = node.inputs.some((input) => (input?.constant?.count ?? 0) > WEIGHT_COUNT);
  if (weighty) return;
  if (!stays.has(node)) stays.set(node, 'it makes angles');
  for (const input of node.inputs) {
    if (input?.producer && input.dtype === 'float') keepAngles(input.producer, stays, depth - 1);
  }
}

/**
 * Numbers that are too large for 16 bits (masks of −10⁹, positions) go on through arithmetic and movement in float, until
 * something takes them that makes other numbers of them.
 */
function carryOn(
  graphs: readonly Graph[],
  stays: Map<Node, string>,
  fits: Fits,
  large: ReadonlySet<Value>,
): void {
  const wide = new Set<Value>(large);
  const mark = (node: Node) => {
    for (const output of node.outputs) if (output.dtype === 'float') wide.add(output);
  };
  for (const graph of graphs) {
    for (const node of graph.nodes()) {
      if (!carries(node)) continue;
      const reads = node.inputs.find(
        (input) => input && (wide.has(input) || (input.isConstant && !!fits(input.constant!))),
      );
      const fromInteger = node.is('Cast') && isWhole(node.inputs[0]?.dtype) && node.int('to') === 1;
      if (reads === undefined && !fromInteger) continue;
      mark(node);
      const why = reads
        ? `${reads.name} may be too large for 16 bits`
        : 'whole numbers lose their last digits in 16 bits';
      if (!stays.has(node)) stays.set(node, why);
    }
  }
}

/** Integers of more bits than a 16-bit float has digits. */
const isWhole = (dtype: DType | undefined): boolean =>
  dtype !== undefined && isInteger(dtype) && dtypeFacts(dtype).bits > 8;
