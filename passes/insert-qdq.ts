/**
 * Static int8: QuantizeLinear/DequantizeLinear pairs exactly where the plan has an integer kernel read or give a value.
 * The executor's selectors turn each DequantizeLinear → node → QuantizeLinear group into the kernel of the plan.
 */
import {
  addInitializer,
  biasScaleFloor,
  chooseAffine,
  createNode,
  definePass,
  type Graph,
  type Node,
  type NodePlan,
  type NodePosition,
  type Parameters,
  type PassContext,
  placementOf,
  planFact,
  type QuantizedType,
  quantizedBias,
  quantizedWeight,
  rangesFact,
  replaceAllUses,
  roleOf,
  setInput,
  type Target,
  Tensor,
  targetFact,
  tensorType,
  type Value,
} from '../src/index.js';

export const insertQdq = definePass({
  name: 'insert-qdq',
  doc: 'x → kernel → y becomes x → Q → DQ → kernel → Q → DQ → y where the plan names an integer kernel',
  needs: ['planned', 'calibrated'],
  run(model, context) {
    new Insertion(model.graph, context).run();
  },
});

/** Scale and zero point of one quantized value, as numbers and as initializers. */
interface Grid {
  readonly scale: number;
  readonly scaleValue: Value;
  readonly zeroPoint: Value;
}

class Insertion {
  readonly #graph: Graph;
  readonly #context: PassContext;
  readonly #target: Target;
  readonly #grids = new Map<string, Grid>();
  /** DequantizeLinear output that stands for each quantized value. */
  readonly #dequantized = new Map<Value, Value>();
  /** The grid of each such output. */
  readonly #gridOfOutput = new Map<Value, Grid>();

  constructor(graph: Graph, context: PassContext) {
    this.#graph = graph;
    this.#context = context;
    this.#target = targetFact.get(context);
  }

  run(): void {
    const plan = planFact.get(this.#context);
    const { values, givers } = placementOf(plan);
    for (const [value, parameters] of values) this.#quantizeValue(value, parameters, givers.has(value));
    for (const each of plan.nodes.values()) {
      each.node.inputs.forEach((input, index) => {
        if (input !== undefined) this.#quantizeInput(each, input, index);
      });
      this.#context.changed(each.row.kernel, each.node);
    }
  }

  /** Puts a Q/DQ pair behind a computed value; only kernels of the plan read a value that some kernel gives in float. */
  #quantizeValue(value: Value, parameters: Parameters, givenQuantized: boolean): void {
    const grid = this.#gridOf(parameters);
    const position: NodePosition = value.producer
      ? { after: value.producer }
      : this.#graph.first
        ? { before: this.#graph.first }
        : { endOf: this.#graph };
    const { dtype } = this.#target.activation;
    const shape = value.shape;
    const inputs = [grid.scaleValue, grid.zeroPoint];
    const quantize = createNode(position, {
      opType: 'QuantizeLinear',
      name: `${value.name}_quantize`,
      inputs: [value, ...inputs],
      outputs: [{ name: `${value.name}_quantized`, type: tensorType(dtype, shape) }],
    });
    const dequantize = createNode(
      { after: quantize },
      {
        opType: 'DequantizeLinear',
        name: `${value.name}_dequantize`,
        inputs: [quantize.outputs[0], ...inputs],
        outputs: [{ name: `${value.name}_dequantized`, type: value.type }],
      },
    );
    const stands = dequantize.outputs[0]!;
    if (givenQuantized) {
      replaceAllUses(value, stands);
      setInput(quantize, 0, value);
    }
    this.#dequantized.set(value, stands);
    this.#gridOfOutput.set(stands, grid);
  }

  #quantizeInput(plan: NodePlan, input: Value, index: number): void {
    const { node, row } = plan;
    const role = roleOf(row, index);
    if (role === 'activation') {
      // A value that some kernel gives was replaced in all its readers already; its pair is found by what it was.
      const stands = this.#dequantized.get(input);
      if (stands) setInput(node, index, stands);
      else if (input.isConstant) setInput(node, index, this.#quantizeConstant(node, input.constant!));
    } else if (role === 'weight') this.#quantizeWeight(plan, input.constant!, index);
  }

  /** A constant that an elementwise kernel reads as data: one scale, the activations' dtype. */
  #quantizeConstant(reader: Node, tensor: Tensor): Value {
    const dtype = this.#target.activation.dtype as QuantizedType;
    const { q, scale, zeroPoint } = quantizedWeight(tensor, { dtype, symmetric: false });
    return this.#dequantize(reader, tensor.name, q, scale, zeroPoint);
  }

  /** The weight, and with it the bias, whose scale follows from the weight's and the activation's. */
  #quantizeWeight({ node, row }: NodePlan, weight: Tensor, index: number): void {
    const axis = row.weightAxis?.(node);
    const grid = node.inputs[0] && this.#gridOfOutput.get(node.inputs[0]);
    const biasIndex = row.inputs.indexOf('bias');
    const bias = biasIndex < 0 ? undefined : node.inputs[biasIndex]?.constant;
    const quantized = quantizedWeight(weight, {
      dtype: this.#target.weight.dtype as QuantizedType,
      symmetric: true,
      clamp: this.#target.weight.limit,
      ...(axis === undefined ? {} : { granularity: 'axis' as const, axis }),
      ...(bias && grid && { scaleFloor: biasScaleFloor(bias.toFloat32(), grid.scale) }),
    });
    setInput(
      node,
      index,
      this.#dequantize(node, weight.name, quantized.q, quantized.scale, quantized.zeroPoint, axis),
    );
    this.#context.ledger.record(node, { bytesBefore: weight.byteLength, bytesAfter: quantized.q.byteLength });
    if (bias && grid) {
      const { q, scale } = quantizedBias(bias, grid.scale, quantized.scale);
      setInput(node, biasIndex, this.#dequantize(node, bias.name, q, scale, undefined, 0));
    }
  }

  #dequantize(
    reader: Node,
    name: string,
    q: Tensor,
    scale: Tensor,
    zeroPoint?: Tensor,
    axis?: number,
  ): Value {
    const named = name || 'constant';
    const inputs = [
      addInitializer(this.#graph, q, `${named}_quantized`),
      addInitializer(this.#graph, scale, `${named}_scale`),
    ];
    if (zeroPoint) inputs.push(addInitializer(this.#graph, zeroPoint, `${named}_zero_point`));
    const node = createNode(
      { before: reader },
      {
        opType: 'DequantizeLinear',
        name: `${named}_dequantize`,
        inputs,
        // 1 is the operator's default; a per-tensor scale has no axis.
        attributes: { axis: axis === 1 || scale.shape.length === 0 ? undefined : axis },
        outputs: [{ name: `${named}_dequantized`, type: tensorType('float', q.shape) }],
      },
    );
    return node.outputs[0]!;
  }

  /** One pair of initializers for all values that share a grid. */
  #gridOf(parameters: Parameters): Grid {
    const dtype = this.#target.activation.dtype as QuantizedType;
    const range =
      parameters.kind === 'fixed' ? parameters : rangesFact.get(this.#context).get(parameters.of)!;
    const { scale, zeroPoint } = chooseAffine(range, dtype, { symmetric: this.#target.activation.symmetric });
    const key = `${scale}/${zeroPoint}`;
    let grid = this.#grids.get(key);
    if (grid === undefined) {
      const zero = dtype === 'int8' ? Int8Array.of(zeroPoint) : Uint8Array.of(zeroPoint);
      grid = {
        scale,
        scaleValue: addInitializer(this.#graph, Tensor.floats([scale], []), 'scale'),
        zeroPoint: addInitializer(this.#graph, Tensor.of(dtype, [], zero), 'zero_point'),
      };
      this.#grids.set(key, grid);
    }
    return grid;
  }
}
