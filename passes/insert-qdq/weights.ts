/** Weights, and the biases beside them, as integers in the graph. */
import {
  addInitializer,
  biasScaleFloor,
  type GivenGrid,
  type Graph,
  givenGridsFact,
  type Node,
  type NodePlan,
  type PassContext,
  type Plan,
  type QuantizedType,
  type QuantizedWeight,
  quantizedBias,
  quantizedWeight,
  roleOf,
  setInput,
  type Target,
  Tensor,
  usableBounds,
  type Value,
} from '../../src/index.js';
import { givenWeight, widenedIntegers } from './given-weight.js';
import type { Grid } from './grids.js';
import { dequantized, named } from './nodes.js';
import { type Scales, scalesOf } from './scales.js';

/** A quantized weight in the graph. */
interface StoredWeight {
  readonly tensor: QuantizedWeight;
  readonly q: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

/** How a weight is quantized: nodes that want the same share its integers. */
interface WeightForm extends Scales {
  readonly dtype: QuantizedType;
  readonly symmetric: boolean;
}

export class Weights {
  readonly #graph: Graph;
  readonly #context: PassContext;
  readonly #target: Target;
  readonly #plan: Plan;
  /** The grid of an activation that a node reads. */
  readonly #gridOf: (plan: NodePlan, input: Value) => Grid | undefined;
  /** Weights by the value they were and how they are quantized. */
  readonly #weights = new Map<Value, Map<string, StoredWeight>>();

  constructor(
    graph: Graph,
    context: PassContext,
    plan: Plan,
    gridOf: (plan: NodePlan, input: Value) => Grid | undefined,
  ) {
    this.#graph = graph;
    this.#context = context;
    this.#target = plan.target;
    this.#plan = plan;
    this.#gridOf = gridOf;
  }

  /** The weight, and with it the bias, whose scale follows from the weight's and the activation's. */
  quantize(plan: NodePlan, weight: Value, index: number): void {
    const { node } = plan;
    const form = this.#formOf(plan);
    const { tensor, q, scale, zeroPoint } = this.#stored(weight, form);
    setInput(node, index, dequantized(node, weight.name, [q, scale, zeroPoint], form));
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
    setInput(node, bias.index, dequantized(node, name, parts, { axis: 0 }));
  }

  #formOf(plan: NodePlan): WeightForm {
    const { weightBits, row } = plan;
    const { dtype, symmetric } = row.weightType ?? { dtype: this.#target.weight.dtype, symmetric: true };
    const wide = weightBits === 16 ? row.sixteenBits?.(plan.node) : undefined;
    if (wide) return { ...scalesOf(plan), dtype: wide, symmetric: wide === 'int16' };
    return { ...scalesOf(plan), dtype: weightBits === 4 ? 'int4' : (dtype as QuantizedType), symmetric };
  }

  /**
   * The bias that a kernel adds in int32, with the grid of the activation that its scale follows from. Blocks of
   * weights have no one scale for an output, so that a bias beside them stays float.
   */
  #biasOf(plan: NodePlan): { value: Value; index: number; grid: Grid } | undefined {
    const { node, row } = plan;
    if (scalesOf(plan).blockSize !== undefined) return undefined;
    const [input] = node.inputs;
    const grid = input && this.#gridOf(plan, input);
    const index = row.inputs.indexOf('bias');
    const value = index < 0 ? undefined : node.inputs[index];
    return value?.constant && grid ? { value, index, grid } : undefined;
  }

  /** Integers that serve every kernel which reads this weight so: no scale may be too small for any of their biases. */
  #stored(weight: Value, form: WeightForm): StoredWeight {
    const known = this.#weights.get(weight) ?? new Map<string, StoredWeight>();
    this.#weights.set(weight, known);
    const key = keyOf(form);
    let stored = known.get(key);
    if (stored === undefined) {
      const { axis, blockSize, dtype, symmetric } = form;
      const scaleFloor = this.#floorFor(weight, form);
      const given = this.#givenFor(weight, form);
      if (given !== undefined) {
        stored = this.#trained(weight, given, scaleFloor);
        known.set(key, stored);
        return stored;
      }
      const tensor = quantizedWeight(weight.constant!, {
        dtype,
        symmetric,
        ...(dtype === this.#target.weight.dtype && { clamp: this.#target.weight.limit }),
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

  /** The grid that the weight was trained on, where the kernel takes it. */
  #givenFor(weight: Value, { dtype, symmetric, axis, blockSize }: WeightForm): GivenGrid | undefined {
    const given = givenGridsFact.find(this.#context)?.weights.get(weight.name);
    if (given === undefined || dtype !== 'int8' || !symmetric) return undefined;
    const { max } = usableBounds(dtype, { symmetric, clamp: this.#target.weight.limit });
    const fits = given.low >= -max && given.high <= max;
    return fits && given.axis === axis && given.blockSize === blockSize ? given : undefined;
  }

  #trained(weight: Value, given: GivenGrid, floor: Float64Array | undefined): StoredWeight {
    const packs = this.#target.whole === undefined;
    const { q, scale } = givenWeight(weight.constant!, given, { packs, floor });
    const zeros = Tensor.of('int8', scale.shape, new Int8Array(scale.count));
    return {
      tensor: { q, scale, zeroPoint: zeros },
      q: widenedIntegers(this.#graph, q, 'int8', weight.name, this.#context),
      scale: addInitializer(this.#graph, scale, `${weight.name}_scale`),
      zeroPoint: addInitializer(this.#graph, zeros, `${weight.name}_zero_point`),
    };
  }

  /** The least scales with which the biases of all readers fit: one a channel, or one for all. */
  #floorFor(weight: Value, form: WeightForm): Float64Array | undefined {
    let scaleFloor: Float64Array | undefined;
    for (const use of weight.uses) {
      const plan = this.#plan.nodes.get(use.node);
      if (!plan || roleOf(plan.row, use.index) !== 'weight') continue;
      if (keyOf(this.#formOf(plan)) !== keyOf(form)) continue;
      const bias = this.#biasOf(plan);
      if (bias === undefined) continue;
      const each = biasScaleFloor(bias.value.constant!.toFloat32(), bias.grid.scale);
      const floor =
        form.axis === undefined ? Float64Array.of(each.reduce((a, b) => Math.max(a, b), 0)) : each;
      scaleFloor = scaleFloor?.map((least, channel) => Math.max(least, floor[channel]!)) ?? floor;
    }
    return scaleFloor;
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
}

const keyOf = ({ dtype, symmetric, axis, blockSize }: WeightForm): string =>
  `${dtype}/${symmetric}/${axis}/${blockSize}`;
