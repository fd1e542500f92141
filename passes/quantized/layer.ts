/**
 * Weights that earlier passes made integers of, read off the graph: their integers are tensors derived from the float
 * ones, so that the weight, and how it was quantized, are at hand.
 */
import {
  type Model,
  type Node,
  QUANTIZE_WEIGHT,
  type Tensor,
  type Value,
  type WeightSpec,
  weightJob,
} from '../../src/index.js';

/** A bias that may be moved to make up for what the integers of the weight shift; `float` is what it should be now. */
export type Bias = { readonly float: Tensor } & (
  | { readonly kind: 'int32'; readonly q: Value; readonly inputScale: number }
  | { readonly kind: 'float'; readonly reader: Node; readonly index: number }
);

/** A node that reads a quantized weight. */
export interface Reader {
  readonly node: Node;
  /** What the weight is multiplied with, as floats. */
  readonly input: Value;
  /** Absent where there is none, or one that cannot be moved. */
  readonly bias?: Bias;
}

/** A quantized weight and its readers, all of which read it alike. */
export interface QuantizedLayer {
  readonly weight: Tensor;
  readonly spec: WeightSpec;
  readonly q: Value;
  readonly scale: Value;
  readonly readers: readonly Reader[];
  /** The weight as a matrix: output channels, and what each sums over within its group. */
  readonly rows: number;
  readonly size: number;
  readonly groups: number;
  /** True when the matrix is stored with its rows along the last axis. */
  readonly turned: boolean;
  /** Extent of a convolution's kernel along each spatial axis; empty for a product. */
  readonly kernel: readonly number[];
}

/** Operators that multiply their input 0 with a weight, input 1. */
const PRODUCTS = new Set(['Conv', 'MatMul', 'Gemm', 'DynamicQuantizeMatMul', 'MatMulIntegerToFloat']);

interface Found {
  readonly q: Value;
  readonly scale: Value;
}

/**
 * The quantized layers of the main graph, in its order.
 * @param decline told of each quantized weight that is none, and why
 */
export function quantizedLayers(
  model: Model,
  decline: (reason: string, at: Node) => void,
): readonly QuantizedLayer[] {
  const readers = new Map<Value, { found: Found; list: Node[] }>();
  const spoilt = new Map<Value, string>();
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      node.inputs.forEach((input, index) => {
        const found = input && storedIntegers(node, input);
        if (found === undefined) return;
        const known = readers.get(found.q);
        if (known) known.list.push(node);
        else readers.set(found.q, { found, list: [node] });
        const reason = unreadable(node, index, model);
        if (reason !== undefined) spoilt.set(found.q, reason);
      });
    }
  }
  const layers: QuantizedLayer[] = [];
  for (const [q, { found, list }] of readers) {
    const answer = spoilt.get(q) ?? layerOf(found, list);
    if (typeof answer === 'string') decline(answer, list[0]!);
    else layers.push(answer);
  }
  return layers;
}

/** The integers behind an input: dequantized, widened by a multiplication, or read as they are. */
function storedIntegers(node: Node, input: Value): Found | undefined {
  const maker = input.producer;
  let [q, scale]: (Value | undefined)[] = [];
  if (maker?.is('DequantizeLinear')) [q, scale] = maker.inputs;
  else if (maker?.is('Mul') && maker.inputs[0]?.producer?.is('Cast')) {
    q = maker.inputs[0].producer.inputs[0];
    scale = maker.inputs[1];
  } else if (node.is('DynamicQuantizeMatMul', MICROSOFT)) [, q, scale] = node.inputs;
  else if (node.is('MatMulIntegerToFloat', MICROSOFT)) [, q, , scale] = node.inputs;
  if (!q?.isConstant || !scale?.isConstant) return undefined;
  if (node.domain === MICROSOFT && input !== q) return undefined;
  return originOf(q.constant!) && { q, scale };
}

const MICROSOFT = 'com.microsoft';

/** What integers stand for that are derived no more, since a pass has chosen them one by one. */
const origins = new WeakMap<Tensor, { readonly weight: Tensor; readonly spec: WeightSpec }>();
const floatBiases = new WeakMap<Tensor, Tensor>();

/** Keeps what a weight's new integers stand for, so that later passes find the layer again. */
export function rememberOrigin(integers: Tensor, { weight, spec }: QuantizedLayer): void {
  origins.set(integers, { weight, spec });
}

/** Keeps the float bias that int32 integers stand for. */
export function rememberBias(integers: Tensor, float: Tensor): void {
  floatBiases.set(integers, float);
}

function originOf(q: Tensor): { readonly weight: Tensor; readonly spec: WeightSpec } | undefined {
  const { source } = q;
  if (source.kind !== 'derived' || source.job?.kernel !== QUANTIZE_WEIGHT) return origins.get(q);
  return { weight: source.from[0]!, spec: weightJob(source.job)!.spec };
}

function floatBiasOf(q: Tensor | undefined): Tensor | undefined {
  if (q?.source.kind === 'derived') return q.source.from[0];
  return q && floatBiases.get(q);
}

function unreadable(node: Node, index: number, model: Model): string | undefined {
  if (node.graph !== model.graph)
    return 'inside a subgraph or function, whose inputs no run over samples shows';
  if (!PRODUCTS.has(node.opType)) return `${node.opType} is no plain product of its input and a weight`;
  if (index !== 1) return 'the weight stands on the left';
  if (node.int('transA', 0) !== 0) return 'transA is set';
  if (node.float('alpha', 1) !== 1 || (node.inputs[2] && node.float('beta', 1) !== 1))
    return 'alpha or beta is not 1';
  if (node.is('Conv') && node.string('auto_pad', 'NOTSET') !== 'NOTSET') return 'auto_pad is set';
  return undefined;
}

function layerOf({ q, scale }: Found, nodes: readonly Node[]): QuantizedLayer | string {
  const { weight, spec } = originOf(q.constant!)!;
  const [first] = nodes as [Node];
  const conv = first.is('Conv');
  if (nodes.some((node) => node.opType !== first.opType || node.int('group', 1) !== first.int('group', 1)))
    return 'nodes of several kinds share the weight';
  if (nodes.some((node) => node.int('transB', 0) !== first.int('transB', 0)))
    return 'some of the nodes that share the weight transpose it';
  const known = spec.dtype === 'int8' || spec.dtype === 'int4';
  if (!known || !spec.symmetric) return `it is ${spec.dtype}, not symmetric int8 or int4`;
  if (typeof spec.granularity === 'object') return 'it has scales for blocks';
  if (!conv && weight.shape.length !== 2) return `it has ${weight.shape.length} axes`;
  const turned = !conv && first.int('transB', 0) === 0;
  const axis = turned ? 1 : 0;
  if (spec.granularity === 'axis' && spec.axis !== axis) return 'its scales are not those of output channels';
  const rows = weight.shape[axis]!;
  if (weight.count === 0) return 'it is empty';
  return {
    weight,
    spec,
    q,
    scale,
    readers: nodes.map((node) => ({ node, input: floatInput(node), bias: biasOf(node, rows) })),
    rows,
    size: weight.count / rows,
    groups: conv ? first.int('group', 1) : 1,
    turned,
    kernel: conv ? weight.shape.slice(2) : [],
  };
}

/** The float activation of a node that may quantize it by itself. */
function floatInput(node: Node): Value {
  const input = node.inputs[0]!;
  const maker = input.producer;
  return node.is('MatMulIntegerToFloat', MICROSOFT) && maker?.is('DynamicQuantizeLinear')
    ? maker.inputs[0]!
    : input;
}

const BIAS_INPUT: Readonly<Record<string, number>> = {
  Conv: 2,
  Gemm: 2,
  DynamicQuantizeMatMul: 4,
  MatMulIntegerToFloat: 6,
};

function biasOf(node: Node, rows: number): Bias | undefined {
  const index = BIAS_INPUT[node.opType];
  const input = index === undefined ? undefined : node.inputs[index];
  if (input?.producer?.is('DequantizeLinear')) {
    const [q, scale] = input.producer.inputs;
    const inputScale = scale?.producer?.is('Mul') ? scale.producer.inputs[0]?.constant : undefined;
    const float = floatBiasOf(q?.constant);
    if (inputScale?.count !== 1 || q!.uses.length !== 1) return undefined;
    return float?.count === rows
      ? { kind: 'int32', float, q: q!, inputScale: inputScale.toNumbers()[0]! }
      : undefined;
  }
  if (index !== undefined && input !== undefined) return floatBias(node, index, input, rows);
  const use =
    node.outputs[0]!.uses.length === 1 && !node.outputs[0]!.isOutput ? node.outputs[0]!.uses[0]! : undefined;
  if (node.is('Conv') || use === undefined || !use.node.is('Add') || use.node.graph !== node.graph)
    return undefined;
  const other = use.node.inputs[1 - use.index];
  return other && floatBias(use.node, 1 - use.index, other, rows);
}

/** A constant of one element a row, laid out along the last axis. */
function floatBias(reader: Node, index: number, value: Value, rows: number): Bias | undefined {
  const tensor = value.isConstant ? value.constant! : undefined;
  if (tensor?.dtype !== 'float' || tensor.count !== rows || tensor.shape.at(-1) !== rows) return undefined;
  return { kind: 'float', float: tensor, reader, index };
}
