/**
 * Static int8: QuantizeLinear/DequantizeLinear pairs exactly where the plan has an integer kernel read or give a value.
 * The executor's selectors turn each DequantizeLinear → node → QuantizeLinear group into the kernel of the plan.
 */
import {
  addInitializer,
  biasScaleFloor,
  createNode,
  definePass,
  type Graph,
  type Node,
  type NodePlan,
  type NodePosition,
  type NodeSpec,
  type Parameters,
  type PassContext,
  type Plan,
  placementOf,
  planFact,
  type QuantizedType,
  type QuantizedWeight,
  quantizedBias,
  quantizedWeight,
  rangeOf,
  rangesFact,
  removeNode,
  renameNode,
  replaceAllUses,
  roleOf,
  setInput,
  startOf,
  type Target,
  type Tensor,
  targetFact,
  tensorType,
  typeBounds,
  type Value,
} from '../src/index.js';
import { type Grid, Grids, type Width, widthOf } from './insert-qdq/grids.js';
import { type Scales, scalesOf } from './insert-qdq/scales.js';

export const insertQdq = definePass({
  name: 'insert-qdq',
  doc: 'x → kernel → y becomes x → Q → DQ → kernel → Q → DQ → y where the plan names an integer kernel',
  needs: ['planned', 'calibrated'],
  run(model, context) {
    new Insertion(model.graph, context).run();
  },
});

/** A node named for its output: no two values share a name, and ONNX Runtime refuses nodes that do. */
function named(position: NodePosition, spec: NodeSpec): Node {
  const node = createNode(position, spec);
  renameNode(node, node.outputs[0]!.name);
  return node;
}

/** A quantized weight in the graph. */
interface StoredWeight {
  readonly tensor: QuantizedWeight;
  readonly q: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

class Insertion {
  readonly #graph: Graph;
  readonly #context: PassContext;
  readonly #target: Target;
  readonly #plan: Plan;
  readonly #grids: Grids;
  /** DequantizeLinear outputs that stand for each quantized value, in 8 bits and in 16. */
  readonly #dequantized = new Map<Value, { narrow?: Value; wide?: Value }>();
  /** The grid of each such output. */
  readonly #gridOfOutput = new Map<Value, Grid>();
  /** Weights by the value they were and how their scales lie: nodes that share one share its integers. */
  readonly #weights = new Map<Value, Map<string, StoredWeight>>();

  constructor(graph: Graph, context: PassContext) {
    this.#graph = graph;
    this.#context = context;
    this.#target = targetFact.get(context);
    this.#plan = planFact.get(context);
    this.#grids = new Grids(graph, this.#target.activation, (parameters) =>
      rangeOf(parameters, rangesFact.get(context)),
    );
  }

  run(): void {
    const { values, givers } = placementOf(this.#plan);
    for (const [value, parameters] of values) {
      const giver = givers.get(value);
      this.#quantizeValue(value, parameters, giver);
    }
    for (const each of this.#plan.nodes.values()) {
      each.node.inputs.forEach((input, index) => {
        if (input !== undefined) this.#quantizeInput(each, input, index);
      });
      this.#context.changed(each.row.kernel, each.node);
    }
  }

  /**
   * Puts a Q/DQ pair behind a computed value; only kernels of the plan read a value that some kernel gives in float.
   * Readers of another width get a second pair: of the value, or of what the first pair makes of it.
   */
  #quantizeValue(value: Value, parameters: Parameters, giver: NodePlan | undefined): void {
    const readers = value.uses.flatMap(({ node, index }) => {
      const plan = this.#plan.nodes.get(node);
      return plan && roleOf(plan.row, index) === 'activation' ? [widthOf(plan)] : [];
    });
    const width = giver ? widthOf(giver) : readers.includes('narrow') ? 'narrow' : 'wide';
    const position = value.producer ? { after: value.producer } : startOf(this.#graph);
    const pair = this.#pair(value, value.name, parameters, width, position);
    const stands = pair.dequantize.outputs[0]!;
    if (giver) {
      replaceAllUses(value, stands);
      setInput(pair.quantize, 0, value);
    }
    const known = { [width]: stands };
    const other = width === 'wide' ? 'narrow' : 'wide';
    if (readers.includes(other)) {
      const from = giver ? stands : value;
      const second = this.#pair(from, `${value.name}_${other}`, parameters, other, {
        after: pair.dequantize,
      });
      known[other] = second.dequantize.outputs[0]!;
    }
    for (const each of [value, stands]) this.#dequantized.set(each, known);
    if (giver?.tail) this.#dropTail(giver.node, giver.tail, pair.quantize, this.#gridOfOutput.get(stands)!);
  }

  #pair(value: Value, name: string, parameters: Parameters, width: Width, position: NodePosition) {
    const grid = this.#grids.of(parameters, width);
    const inputs = [grid.scaleValue, grid.zeroPoint];
    const quantize = named(position, {
      opType: 'QuantizeLinear',
      inputs: [value, ...inputs],
      outputs: [{ name: `${name}_quantized`, type: tensorType(grid.zeroPoint.dtype!, value.shape) }],
    });
    const dequantize = named(
      { after: quantize },
      {
        opType: 'DequantizeLinear',
        inputs: [quantize.outputs[0], ...inputs],
        outputs: [{ name: `${name}_dequantized`, type: value.type }],
      },
    );
    this.#gridOfOutput.set(dequantize.outputs[0]!, grid);
    return { quantize, dequantize };
  }

  /** What the activation function cuts off, a grid from zero to its top cuts off too: Q(Relu(x)) = Q(x). */
  #dropTail(node: Node, tail: Node, quantize: Node, grid: Grid): void {
    const steps = typeBounds(grid.zeroPoint.dtype as QuantizedType);
    const most = tail.inputs[2]?.constant?.toNumbers()[0] ?? Number.POSITIVE_INFINITY;
    // Scales are rounded to float32, so that the top may stand a hair above the range.
    if (grid.zero !== steps.min || grid.scale * (steps.max - grid.zero) > most * (1 + 1e-6)) return;
    setInput(quantize, 0, node.outputs[0]);
    removeNode(tail);
  }

  #quantizeInput(plan: NodePlan, input: Value, index: number): void {
    const { node, row } = plan;
    const role = roleOf(row, index);
    if (role === 'activation') {
      const stands = this.#dequantized.get(input)?.[widthOf(plan)];
      if (stands) setInput(node, index, stands);
      else if (input.isConstant) setInput(node, index, this.#quantizeConstant(plan, input.constant!));
    } else if (role === 'weight') this.#quantizeWeight(plan, input, index);
  }

  /** A constant that an elementwise kernel reads as data: one scale, the activations' dtype. */
  #quantizeConstant(plan: NodePlan, tensor: Tensor): Value {
    const { dtype } = this.#grids.typeOf(widthOf(plan));
    const { q, scale, zeroPoint } = quantizedWeight(tensor, { dtype, symmetric: false });
    const add = (part: Tensor, what: string) => addInitializer(this.#graph, part, `${tensor.name}_${what}`);
    const stored = [add(q, 'quantized'), add(scale, 'scale'), add(zeroPoint, 'zero_point')];
    return this.#dequantize(plan.node, tensor.name, stored);
  }

  /** The weight, and with it the bias, whose scale follows from the weight's and the activation's. */
  #quantizeWeight(plan: NodePlan, weight: Value, index: number): void {
    const { node } = plan;
    const scales = scalesOf(plan);
    const { tensor, q, scale, zeroPoint } = this.#storedWeight(weight, scales);
    setInput(node, index, this.#dequantize(node, weight.name, [q, scale, zeroPoint], scales));
    this.#context.ledger.record(node, {
      bytesBefore: weight.constant!.byteLength,
      bytesAfter: tensor.q.byteLength,
    });
    const bias = this.#biasOf(plan);
    if (bias === undefined) return;
    // A row or a scalar is the same bias as a list, which is what an axis of scales fits.
    const list = bias.value.constant!.with({ shape: [bias.value.constant!.count] });
    const integers = quantizedBias(list, bias.grid.scale, tensor.scale).q;
    const { name } = bias.value;
    const parts = [
      addInitializer(this.#graph, integers, `${name}_quantized`),
      this.#biasScale(node, name, bias.grid, scale),
    ];
    setInput(node, bias.index, this.#dequantize(node, name, parts, { axis: 0 }));
  }

  /**
   * The bias that a kernel adds in int32, with the grid of the activation that its scale follows from. Blocks of
   * weights have no one scale for an output, so that a bias beside them stays float.
   */
  #biasOf(plan: NodePlan): { value: Value; index: number; grid: Grid } | undefined {
    const { node, row } = plan;
    if (scalesOf(plan).blockSize !== undefined) return undefined;
    const [input] = node.inputs;
    const grid = input && this.#gridOfOutput.get(this.#dequantized.get(input)?.[widthOf(plan)] ?? input);
    const index = row.inputs.indexOf('bias');
    const value = index < 0 ? undefined : node.inputs[index];
    return value?.constant && grid ? { value, index, grid } : undefined;
  }

  /** Integers that serve every kernel which reads this weight so: no scale may be too small for any of their biases. */
  #storedWeight(weight: Value, { axis, blockSize }: Scales): StoredWeight {
    const known = this.#weights.get(weight) ?? new Map<string, StoredWeight>();
    this.#weights.set(weight, known);
    const key = `${axis}/${blockSize}`;
    let stored = known.get(key);
    if (stored === undefined) {
      let scaleFloor: Float64Array | undefined;
      for (const use of weight.uses) {
        const plan = this.#plan.nodes.get(use.node);
        if (!plan || roleOf(plan.row, use.index) !== 'weight') continue;
        const scales = scalesOf(plan);
        if (scales.axis !== axis || scales.blockSize !== blockSize) continue;
        const bias = this.#biasOf(plan);
        if (bias === undefined) continue;
        const floor = biasScaleFloor(bias.value.constant!.toFloat32(), bias.grid.scale);
        scaleFloor = scaleFloor?.map((least, channel) => Math.max(least, floor[channel]!)) ?? floor;
      }
      const tensor = quantizedWeight(weight.constant!, {
        dtype: this.#target.weight.dtype as QuantizedType,
        symmetric: true,
        clamp: this.#target.weight.limit,
        ...(axis !== undefined && { granularity: blockSize === undefined ? 'axis' : { blockSize }, axis }),
        ...(scaleFloor && { scaleFloor }),
      });
      const add = (part: Tensor, what: string) => addInitializer(this.#graph, part, `${weight.name}_${what}`);
      const [q, scale] = [add(tensor.q, 'quantized'), add(tensor.scale, 'scale')];
      stored = { tensor, q, scale, zeroPoint: add(tensor.zeroPoint, 'zero_point') };
      known.set(key, stored);
    }
    return stored;
  }

  /**
   * float32(s_x · s_w), which the kernel demands of a bias: computed in the graph, where every executor folds it while
   * loading, since both factors are in the file already.
   */
  #biasScale(reader: Node, name: string, grid: Grid, weightScale: Value): Value {
    const product = named(
      { before: reader },
      {
        opType: 'Mul',
        inputs: [grid.scaleValue, weightScale],
        outputs: [{ name: `${name}_scale`, type: weightScale.type }],
      },
    );
    return product.outputs[0]!;
  }

  /** @param inputs integers, scale, and perhaps zero point */
  #dequantize(reader: Node, name: string, inputs: readonly Value[], { axis, blockSize }: Scales = {}): Value {
    const [q, scale] = inputs;
    const node = named(
      { before: reader },
      {
        opType: 'DequantizeLinear',
        inputs,
        // 1 is the operator's default; a per-tensor scale has no axis.
        attributes: {
          axis: axis === 1 || scale!.shape?.length === 0 ? undefined : axis,
          block_size: blockSize,
        },
        outputs: [{ name: `${name || 'constant'}_dequantized`, type: tensorType('float', q!.shape) }],
      },
    );
    return node.outputs[0]!;
  }
}
