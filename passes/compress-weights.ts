/**
 * Weights of nodes that stay float are stored as int8 and widened by nodes that every ONNX Runtime folds while it
 * loads the model, so that the file shrinks and the running graph is the float one:
 *   W  →  Mul(Cast(W_q, to = float), s)      W ≈ W_q · s, one scale along the node's own output axis
 * A DequantizeLinear instead would not be folded, and would run at every inference.
 */
import { Float16Array } from '@petamoriken/float16';
import {
  addInitializer,
  createNode,
  definePass,
  exclusionFact,
  type Graph,
  givenGridsFact,
  type Node,
  type PassContext,
  preciseFact,
  quantizedWeight,
  removeInitializer,
  setInput,
  startOf,
  Tensor,
  tensorType,
  type Value,
  weightBitsFact,
} from '../src/index.js';
import { givenWeight, widenedIntegers } from './insert-qdq/given-weight.js';

/** Constants smaller than this are not worth three more nodes' descriptions. */
const LEAST_BYTES = 1024;

/**
 * Operators whose large constants are data rather than weights (anchors, position tables): they are kept as float16,
 * 11 bits of mantissa, and widened by a Cast that folds just so.
 */
const TABLES = new Set(['Add', 'Sub', 'Mul', 'Div']);
const LEAST_TABLE_BYTES = 4096;

/** W and R, a scale for each gate and unit. */
const recurrent = () =>
  [
    [1, 1],
    [2, 1],
  ] as const;

/** Inputs that hold weights, and the axis whose entries get a scale each. */
export const WEIGHTS: Readonly<
  Record<string, (node: Node) => readonly (readonly [index: number, axis: number])[]>
> = {
  Conv: () => [[1, 0]],
  ConvTranspose: (node) => [[1, node.int('group', 1) === 1 ? 1 : 0]],
  Gemm: (node) => [[1, node.int('transB', 0) === 1 ? 0 : 1]],
  MatMul: (node) => [
    [0, 0],
    [1, (node.inputs[1]?.shape?.length ?? 2) - 1],
  ],
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
  Gather: () => [[0, 0]],
};

export const compressWeights = definePass({
  name: 'compress-weights',
  doc: 'a float weight W of a float node → Mul(Cast(int8 W), scale), a large table T → Cast(float16 T): folded back at load',
  needs: ['typed'],
  run(model, context) {
    const exclude = exclusionFact.find(context);
    const precise = preciseFact.find(context);
    const assigned = weightBitsFact.find(context);
    const widened = new Map<Value, Value>();
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        const bits = assigned?.get(node)?.bits;
        if (node.domain !== '' || (bits === undefined && exclude?.(node) !== undefined)) continue;
        if (TABLES.has(node.opType)) {
          node.inputs.forEach((table, index) => {
            if (table && isTable(table)) setInput(node, index, half(table, widened, context, node));
          });
        }
        for (const [index, axis] of WEIGHTS[node.opType]?.(node) ?? []) {
          const weight = node.inputs[index];
          if (!weight?.isConstant || weight.constant!.dtype !== 'float') continue;
          if (bits === 16 || precise?.has(node)) {
            // Its small elements may lose precision among the subnormals: next to the large ones they do not count.
            if (pays(weight.constant!, axis) && weight.constant!.toFloat32().every(belowOverflow))
              storeHalf(node, index, weight, widened, context, bits === 16);
            continue;
          }
          if (!pays(weight.constant!, axis)) continue;
          compress(node, index, axis, weight, widened, context);
        }
      }
    }
    for (const weight of widened.keys()) {
      if (weight.uses.length === 0 && !weight.isOutput) removeInitializer(weight);
    }
  },
});

/** Large enough, and with few scales to its elements. */
function pays({ shape, count, byteLength }: Tensor, axis: number): boolean {
  return byteLength >= LEAST_BYTES && axis < shape.length && count + 4 * shape[axis]! <= byteLength / 2;
}

const isTable = (value: Value): boolean =>
  value.isConstant &&
  value.constant!.dtype === 'float' &&
  value.constant!.byteLength >= LEAST_TABLE_BYTES &&
  fitsFloat16(value.constant!.toFloat32());

const belowOverflow = (value: number): boolean => Math.abs(value) <= 65504;

/** Nothing overflows, and nothing but zero falls below the smallest normal float16, where precision ends. */
function fitsFloat16(values: Float32Array): boolean {
  return values.every((value) => value === 0 || (belowOverflow(value) && Math.abs(value) >= 2 ** -14));
}

function storeHalf(
  node: Node,
  index: number,
  weight: Value,
  widened: Map<Value, Value>,
  context: PassContext,
  told: boolean,
): void {
  const { byteLength } = weight.constant!;
  setInput(node, index, half(weight, widened, context, node));
  if (!told) return;
  const bytes = { bytesBefore: byteLength, bytesAfter: byteLength / 2 };
  context.ledger.record(node, { precision: 'fp16-weights', kernel: node.opType, ...bytes });
}

/** float T → Cast(float16 T) */
function half(table: Value, widened: Map<Value, Value>, context: PassContext, reader: Node): Value {
  const known = widened.get(table);
  if (known !== undefined) return known;
  const tensor = table.constant!;
  const graph = table.graph;
  const stored = Tensor.derive('float16', tensor.shape, [tensor], ([source]) =>
    Float16Array.from(source!.toFloat32()),
  );
  const cast = createNode(startOf(graph), {
    opType: 'Cast',
    name: `${table.name}_cast`,
    inputs: [addInitializer(graph, stored, `${table.name}_half`)],
    attributes: { to: 1 },
    outputs: [{ name: `${table.name}_widened`, type: tensorType('float', tensor.shape) }],
  });
  context.ledger.record(cast, { precision: 'float', reason: 'folded while the model loads' });
  context.changed('float16 table, widened at load', reader);
  widened.set(table, cast.outputs[0]!);
  return cast.outputs[0]!;
}

function compress(
  node: Node,
  index: number,
  axis: number,
  weight: Value,
  widened: Map<Value, Value>,
  context: PassContext,
): void {
  const tensor = weight.constant!;
  const { q, scale } = integersOf(weight, axis, context);
  let value = widened.get(weight);
  if (value === undefined) {
    value = widen(weight.graph, weight, q, scale, context);
    widened.set(weight, value);
  }
  setInput(node, index, value);
  context.changed(`${q.dtype} weight, widened at load`, node);
  context.ledger.record(node, {
    precision: `${q.dtype}-weights`,
    kernel: node.opType,
    bytesBefore: tensor.byteLength,
    bytesAfter: q.byteLength + 4 * scale.count,
  });
}

/** Those that the weight was trained on, or the nearest of 8 bits. The scale broadcasts against the weight. */
function integersOf(weight: Value, axis: number, context: PassContext): { q: Tensor; scale: Tensor } {
  const tensor = weight.constant!;
  const given = givenGridsFact.find(context)?.weights.get(weight.name);
  const isTrained = given !== undefined && given.blockSize === undefined && given.axis === axis;
  const { q, scale } = isTrained
    ? givenWeight(tensor, given, { packs: true })
    : quantizedWeight(tensor, { dtype: 'int8', symmetric: true, granularity: 'axis', axis });
  return { q, scale: scale.with({ shape: tensor.shape.map((dim, at) => (at === axis ? dim : 1)) }) };
}

function widen(graph: Graph, weight: Value, q: Tensor, scale: Tensor, context: PassContext): Value {
  const cast = widenedIntegers(graph, q, 'float', weight.name, context);
  const scaled = createNode(
    { after: cast.producer! },
    {
      opType: 'Mul',
      name: `${weight.name}_widen`,
      inputs: [cast, addInitializer(graph, scale, `${weight.name}_scale`)],
      outputs: [{ name: `${weight.name}_widened`, type: tensorType('float', q.shape) }],
    },
  );
  context.ledger.record(scaled, { precision: 'float', reason: 'folded while the model loads' });
  return scaled.outputs[0]!;
}
