import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cloneModel } from '../ir/clone.js';
import type { DType } from '../ir/dtype.js';
import { renameNode } from '../ir/edit.js';
import type { Graph, Model, Node, Value } from '../ir/graph.js';
import { readModel } from '../onnx/read.js';
import { type SessionOptions, withSession } from './session.js';

/**
 * What became of one of our nodes in the graph that ONNX Runtime runs.
 * - `integer`: an integer kernel computes it, or moves its quantized data.
 * - `float`: some other kernel computes it.
 * - `fused`: part of a kernel that stands for several nodes; `kernel` says which.
 * - `gone`: computed at load, or found to do nothing.
 */
export interface NodeFate {
  readonly node: Node;
  readonly fate: 'integer' | 'float' | 'fused' | 'gone';
  /** Operator of the kernel, e.g. `QLinearConv`. */
  readonly kernel?: string;
}

export interface KernelReport {
  /** One entry a node of the model, subgraphs included, in graph order. */
  readonly nodes: readonly NodeFate[];
  /** QuantizeLinear and DequantizeLinear nodes that run as such. */
  readonly unfused: readonly Node[];
  /** How often each kernel occurs in the graph that runs, our nodes or not. */
  readonly counts: ReadonlyMap<string, number>;
}

const PREFIX = 'quantc_';
const NAMED = /^quantc_(\d+)(?!\d)/;
/** Weights from this size on are not written with the optimized graph; nobody looks at them. */
const EXTERNAL_BYTES = '1024';

/**
 * Reads back what ONNX Runtime makes of a model: loads it with every optimization, has it write the graph that it will
 * run, and finds each of our nodes in it. Nodes are given unique names first, which fused nodes keep a part of.
 * @throws QuantcError E_RUNTIME_LOAD when ONNX Runtime refuses the model.
 */
export async function readKernels(model: Model, options: SessionOptions = {}): Promise<KernelReport> {
  const nodes = [...nodesOf(model.graph)];
  const copy = cloneModel(model).model;
  [...nodesOf(copy.graph)].forEach((node, at) => {
    renameNode(node, `${PREFIX}${at}`);
  });
  const folder = mkdtempSync(join(tmpdir(), 'quantc-kernels-'));
  try {
    const optimizedPath = join(folder, 'optimized.onnx');
    const session = typeof options.extra?.['session'] === 'object' ? { ...options.extra['session'] } : {};
    const extra = {
      ...options.extra,
      session: {
        ...session,
        optimized_model_external_initializers_file_name: 'optimized.data',
        optimized_model_external_initializers_min_size_in_bytes: EXTERNAL_BYTES,
      },
    };
    await withSession(copy, { ...options, optimization: 'all', optimizedPath, extra }, () => {});
    const optimized = await readModel(optimizedPath);
    return match(nodes, optimized);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function* nodesOf(graph: Graph): IterableIterator<Node> {
  for (const each of graph.withSubgraphs()) yield* each.nodes();
}

function match(nodes: readonly Node[], optimized: Model): KernelReport {
  const counts = new Map<string, number>();
  const takenBy = new Map<Node, Node>();
  const makers = new Map<string, Node>();
  const integers = new Set<Node>();
  const dtypes = new Map<Value, DType | undefined>();
  for (const kernel of nodesOf(optimized.graph)) {
    counts.set(kernel.opType, (counts.get(kernel.opType) ?? 0) + 1);
    if (computesIntegers(kernel, dtypes)) integers.add(kernel);
    const at = NAMED.exec(kernel.name)?.[1];
    if (at !== undefined && nodes[Number(at)] !== undefined) {
      const node = nodes[Number(at)]!;
      // Duplicates of a DequantizeLinear carry its name too; the first one stands for all.
      if (!takenBy.has(node)) takenBy.set(node, kernel);
    }
    for (const output of kernel.outputs) makers.set(output.name, behindLayout(kernel));
    // Kernels on blocked channels are named after the value that they make, which itself is another one by then.
    const blocked = /^(.*)_nchwc(_token_\d+)?$/.exec(kernel.name)?.[1];
    if (blocked !== undefined) makers.set(blocked, kernel);
  }
  const own = new Set(takenBy.keys());
  const whole = new Set<Node>();
  for (const [node, kernel] of takenBy) if (node.opType !== kernel.opType) whole.add(kernel);
  for (const node of nodes) {
    if (own.has(node)) continue;
    const maker = node.outputs.map((output) => makers.get(output.name)).find((each) => each !== undefined);
    if (maker === undefined) continue;
    takenBy.set(node, maker);
    whole.add(maker);
  }
  spread(nodes, takenBy, whole);
  const fates = nodes.map((node): NodeFate => {
    const kernel = takenBy.get(node);
    if (kernel === undefined) return { node, fate: 'gone' };
    if (!own.has(node) && node.opType !== kernel.opType)
      return { node, fate: 'fused', kernel: kernel.opType };
    return { node, fate: integers.has(kernel) ? 'integer' : 'float', kernel: kernel.opType };
  });
  const unfused = nodes.filter((node) => own.has(node) && isQdq(node) && isQdq(takenBy.get(node)!));
  return { nodes: fates, unfused, counts };
}

const isQdq = (node: Node): boolean => node.opType === 'QuantizeLinear' || node.opType === 'DequantizeLinear';

/** Applied by the kernel before them, or made superfluous by its quantization. */
const TRAILING = /^(Relu|Clip|LeakyRelu|Sigmoid|Tanh|HardSigmoid|Add|QuantizeLinear)$/;

/**
 * Gives nodes without a kernel of their own to the one that swallowed them.
 * @param whole kernels that are known to stand for more than the node that they are named after.
 */
function spread(nodes: readonly Node[], takenBy: Map<Node, Node>, whole: ReadonlySet<Node>): void {
  const constant = new Set<Node>();
  for (const node of nodes) {
    const fixed = (value: Value | undefined) =>
      value === undefined ||
      value.isConstant ||
      (value.producer !== undefined && constant.has(value.producer));
    if (node.inputs.every(fixed) && node.subgraphs.length === 0) constant.add(node);
  }
  for (const node of [...nodes].reverse()) {
    // What quantizes a result belongs to the kernel before it, not to the one behind.
    if (takenBy.has(node) || node.opType === 'QuantizeLinear') continue;
    const readers = node.outputs.flatMap((output) => output.uses.map((use) => takenBy.get(use.node)));
    const [first] = readers;
    if (first === undefined) continue;
    // What dequantizes an input of an integer kernel became part of it; what only one kernel reads and no other
    // node computes was its inside (the steps of a LayerNormalization).
    const inside = !constant.has(node) && whole.has(first) && readers.every((reader) => reader === first);
    if (inside || (node.opType === 'DequantizeLinear' && INTEGER_KERNELS.test(first.opType)))
      takenBy.set(node, first);
  }
  for (const node of nodes) {
    if (takenBy.has(node) || constant.has(node) || !TRAILING.test(node.opType)) continue;
    const before = node.inputs.map((input) => input?.producer && takenBy.get(input.producer));
    // The sum after a convolution may come as either operand.
    const kernel = before.find((each) => each && node.is('Add') === /Conv/.test(each.opType)) ?? before[0];
    if (kernel !== undefined) takenBy.set(node, kernel);
  }
}

/** Transposes and reorders that ONNX Runtime put in stand for the kernel whose result they carry. */
function behindLayout(kernel: Node): Node {
  if (NAMED.test(kernel.name) || !/^(Transpose|ReorderOutput|Cast)$/.test(kernel.opType)) return kernel;
  const before = kernel.inputs[0]?.producer;
  return before === undefined ? kernel : behindLayout(before);
}

const INTEGER_KERNELS =
  /^(QLinear\w+|QGemm|MatMulIntegerToFloat|MatMulInteger|ConvInteger|DynamicQuantize(MatMul|LSTM)|MatMulNBits|GatherBlockQuantized|QAttention|QMoE|QEmbedLayerNormalization)$/;
const MOVES_DATA =
  /^(Reshape|Flatten|Squeeze|Unsqueeze|Transpose|Gather|GatherElements|GatherND|Slice|Split|Concat|Expand|Tile|Pad|MaxPool|NhwcMaxPool|ReduceMax|ReduceMin|DepthToSpace|SpaceToDepth|Resize|ArgMax|ArgMin|Identity|Where|Max|Min)$/;

/** Follows 8-bit data through the optimized graph, which states no types for values that optimization made. */
function computesIntegers(kernel: Node, dtypes: Map<Value, DType | undefined>): boolean {
  const dtypeOf = (value: Value | undefined): DType | undefined =>
    value && (value.constant?.dtype ?? dtypes.get(value) ?? value.dtype);
  const set = (dtype: DType | undefined) => {
    for (const output of kernel.outputs) dtypes.set(output, dtype);
  };
  if (kernel.opType === 'QuantizeLinear') {
    set(dtypeOf(kernel.inputs[2]) ?? 'uint8');
    return false;
  }
  if (INTEGER_KERNELS.test(kernel.opType)) {
    // QLinear kernels end in their output's zero point; those that answer in float have none.
    const { length } = kernel.inputs;
    const last = kernel.opType === 'QLinearConv' ? kernel.inputs[7] : kernel.inputs[length - 1];
    set(kernel.opType.startsWith('QLinear') || kernel.opType === 'QGemm' ? dtypeOf(last) : undefined);
    return true;
  }
  const data = kernel.inputs[kernel.opType === 'Where' ? 1 : 0];
  const dtype = dtypeOf(data);
  if (!MOVES_DATA.test(kernel.opType)) return false;
  set(dtype);
  return dtype === 'int8' || dtype === 'uint8';
}
