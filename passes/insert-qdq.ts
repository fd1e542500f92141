/**
 * Static int8: QuantizeLinear/DequantizeLinear pairs exactly where the plan has an integer kernel read or give a value.
 * The executor's selectors turn each DequantizeLinear → node → QuantizeLinear group into the kernel of the plan.
 */
import {
  activationGridsFact,
  addInitializer,
  definePass,
  type Graph,
  type GridReach,
  type Model,
  type Node,
  type NodePlan,
  type NodePosition,
  type Parameters,
  type PassContext,
  type Plan,
  placementOf,
  planFact,
  type QuantizedType,
  quantize,
  quantizedWeight,
  rangeOf,
  rangesFact,
  removeNode,
  replaceAllUses,
  roleOf,
  setInput,
  startOf,
  Tensor,
  targetFact,
  tensorType,
  typeBounds,
  type Value,
} from '../src/index.js';
import { type Grid, Grids, widthAt, widthOf } from './insert-qdq/grids.js';
import { dequantized, named } from './insert-qdq/nodes.js';
import { Weights } from './insert-qdq/weights.js';

export const insertQdq = definePass({
  name: 'insert-qdq',
  doc: 'x → kernel → y becomes x → Q → DQ → kernel → Q → DQ → y where the plan names an integer kernel',
  needs: ['planned', 'calibrated'],
  run(model, context) {
    new Insertion(model, context).run();
  },
});

class Insertion {
  readonly #graph: Graph;
  readonly #context: PassContext;
  readonly #plan: Plan;
  readonly #grids: Grids;
  readonly #weights: Weights;
  /** DequantizeLinear outputs that stand for each quantized value, in 8 bits and in 16. */
  readonly #dequantized = new Map<Value, { narrow?: Value; wide?: Value }>();
  /** The grid of each such output. */
  readonly #gridOfOutput = new Map<Value, Grid>();
  readonly #reaches = new Map<string, GridReach>();
  /** Parameters of values that carry a constant's bytes on, by the constant. */
  readonly #carried = new Map<NodePlan, Parameters>();

  constructor({ graph }: Model, context: PassContext) {
    this.#graph = graph;
    this.#context = context;
    this.#plan = planFact.get(context);
    this.#grids = new Grids(graph, targetFact.get(context).activation, (parameters) =>
      rangeOf(parameters, rangesFact.get(context)),
    );
    this.#weights = new Weights(graph, context, this.#plan, (plan, input) =>
      this.#gridOfOutput.get(this.#dequantized.get(input)?.[widthOf(plan)] ?? input),
    );
  }

  run(): void {
    activationGridsFact.set(this.#context, this.#reaches);
    const { values, givers } = placementOf(this.#plan);
    for (const [value, parameters] of values) {
      const giver = givers.get(value);
      if (giver?.row.output === 'same' && giver.node.inputs[0]?.isConstant)
        this.#carried.set(giver, parameters);
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
      return plan && roleOf(plan.row, index) === 'activation' ? [widthAt(plan, index)] : [];
    });
    const width = giver ? widthOf(giver) : readers.includes('narrow') ? 'narrow' : 'wide';
    const position = value.producer ? { after: value.producer } : startOf(this.#graph);
    const grid = this.#grids.of(parameters, width);
    this.#reaches.set(value.name, reachOf(grid));
    const pair = this.#pair(value, value.name, grid, position);
    const stands = pair.dequantize.outputs[0]!;
    if (giver) {
      replaceAllUses(value, stands);
      setInput(pair.quantize, 0, value);
    }
    const known = { [width]: stands };
    const other = width === 'wide' ? 'narrow' : 'wide';
    if (readers.includes(other)) {
      const from = giver ? stands : value;
      const second = this.#pair(from, `${value.name}_${other}`, this.#grids.of(parameters, other), {
        after: pair.dequantize,
      });
      known[other] = second.dequantize.outputs[0]!;
    }
    for (const each of [value, stands]) this.#dequantized.set(each, known);
    if (giver?.tail) this.#dropTail(giver.node, giver.tail, pair.quantize, this.#gridOfOutput.get(stands)!);
  }

  #pair(value: Value, name: string, grid: Grid, position: NodePosition) {
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
      const stands = this.#dequantized.get(input)?.[widthAt(plan, index)];
      if (stands) setInput(node, index, stands);
      else if (input.isConstant) setInput(node, index, this.#quantizeConstant(plan, input.constant!, index));
    } else if (role === 'weight') this.#weights.quantize(plan, input, index);
  }

  /**
   * A constant that a kernel reads as data: one scale, the activations' dtype; that of what leaves the kernel, where it
   * only moves bytes.
   */
  #quantizeConstant(plan: NodePlan, tensor: Tensor, index: number): Value {
    const add = (part: Tensor, what: string) => addInitializer(this.#graph, part, `${tensor.name}_${what}`);
    const carried = index === 0 ? this.#carried.get(plan) : undefined;
    if (carried) {
      const grid = this.#grids.of(carried, widthOf(plan));
      const q = add(onGrid(tensor, grid), 'quantized');
      return dequantized(plan.node, tensor.name, [q, grid.scaleValue, grid.zeroPoint]);
    }
    const { dtype } = this.#grids.typeOf(widthAt(plan, index));
    const { q, scale, zeroPoint } = quantizedWeight(tensor, { dtype, symmetric: false });
    const stored = [add(q, 'quantized'), add(scale, 'scale'), add(zeroPoint, 'zero_point')];
    return dequantized(plan.node, tensor.name, stored);
  }
}

/** How far the integers of a grid reach. */
function reachOf({ scale, zero, zeroPoint }: Grid): GridReach {
  const dtype = zeroPoint.dtype as QuantizedType;
  const { min, max } = typeBounds(dtype);
  return { min: (min - zero) * scale, max: (max - zero) * scale, bits: dtype.endsWith('16') ? 16 : 8 };
}

/** The constant's integers on a grid that others have, too. */
function onGrid(tensor: Tensor, { scale, zero, zeroPoint }: Grid): Tensor {
  const dtype = zeroPoint.dtype as QuantizedType;
  const { shape } = tensor;
  return Tensor.derive(
    dtype,
    shape,
    [tensor],
    ([floats]) =>
      quantize(floats!.toFloat32(), {
        dtype,
        shape,
        granularity: 'tensor',
        scale: [scale],
        zeroPoint: [zero],
      }),
    { name: `${tensor.name}_quantized` },
  );
}
