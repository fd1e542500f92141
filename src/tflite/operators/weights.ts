/** Weights and biases of products as the format stores them. */
import { constantOf } from '../../ir/constant.js';
import type { Value } from '../../ir/graph.js';
import type { Tensor } from '../../ir/tensor.js';
import { bytesOf } from '../constant-bytes.js';
import type { Emitter, Operand } from '../emitter.js';
import { integerConstant, isDequantize, isRealConstant, realConstant } from '../grid.js';
import { permuted } from '../layout.js';
import { dataOf } from '../model.js';
import { refuse, shapeOf } from '../refusal.js';
import type { Unit } from '../unit.js';

/** A weight in the graph, with what its bias is scaled by. */
export interface StoredWeight {
  readonly operand: Operand;
  /** One scale, or one an output; undefined in float. */
  readonly scales: readonly number[] | undefined;
}

/** How a weight is laid out: its dimensions first seen in another shape, then permuted. */
export interface WeightOrder {
  /** Dimensions to permute; the weight's own where nothing is said. */
  readonly from?: readonly number[];
  readonly perm: readonly number[];
  /** The shape that is stored, the permuted one where nothing is said. */
  readonly shape?: readonly number[];
  /** The stored dimension that scales go along. */
  readonly axis: number;
  /** The dimension of the ONNX weight that has a scale an index. */
  readonly onnxAxis: number;
  /** Output channels in another order: place `i` gets channel `outputs[i]`; the first permuted dimension then. */
  readonly outputs?: readonly number[] | undefined;
}

const pick = <T extends ArrayLike<number>>(list: T, order: readonly number[] | undefined): number[] =>
  order && list.length > 1 ? order.map((at) => list[at]!) : Array.from(list);

/** The 16-bit floats that a Cast widens to a weight; delegates that compute in them read them as they are. */
function halfBehind({ producer }: Value): Tensor | undefined {
  const tensor = producer?.is('Cast') ? constantOf(producer.inputs[0]) : undefined;
  return tensor?.dtype === 'float16' ? tensor : undefined;
}

/** @throws QuantcError E_TFLITE_OP where the weight is computed, or is quantized in a way that the format lacks */
export function weightOf(unit: Unit, e: Emitter, index: number, order: WeightOrder): StoredWeight {
  const { node, int8 } = unit;
  const value = node.inputs[index]!;
  if (!isRealConstant(value)) refuse(node, 'its weight is computed while the model runs');
  const whole = shapeOf(value);
  const from = order.from ?? whole;
  const shape = order.shape ?? order.perm.map((axis) => from[axis]!);
  const lay = (bytes: Uint8Array, width: number): Uint8Array => {
    const moved = permuted(bytes, width, from, order.perm);
    if (order.outputs === undefined) return moved;
    // Channels lie outermost, or innermost where scales go along the last dimension.
    const last = order.axis === shape.length - 1 && shape.length > 1;
    const count = order.outputs.length;
    const result = new Uint8Array(moved.length);
    const rows = last ? moved.length / width / count : 1;
    const size = last ? width : moved.length / count;
    for (let row = 0; row < rows; row++)
      order.outputs.forEach((source, target) => {
        const base = row * count * size;
        result.set(moved.subarray(base + source * size, base + (source + 1) * size), base + target * size);
      });
    return result;
  };
  const name = value.name || 'weight';
  if (!int8) {
    const half = halfBehind(value);
    if (half !== undefined) {
      const read = () => lay(half.bytes(), 2);
      const stored = e.constant(name, shape, 'float16', { byteLength: half.byteLength, read });
      const widened = e.tensor(`${name}_widened`, shape, 'float32');
      e.operator('DEQUANTIZE', [stored], {}, [widened]);
      return { operand: widened, scales: undefined };
    }
    const count = whole.reduce((product, dim) => product * dim, 1);
    const read = () => lay(bytesOf(realConstant(value)!), 4);
    return {
      operand: e.constant(name, shape, 'float32', { byteLength: 4 * count, read }),
      scales: undefined,
    };
  }
  const constant = isDequantize(value.producer) ? integerConstant(value.producer) : undefined;
  if (constant === undefined) refuse(node, 'its weight is not quantized');
  const { tensor, zeros, axis } = constant;
  if (tensor.dtype !== 'int8') refuse(node, `its weight is ${tensor.dtype}, and the format takes int8`);
  if (zeros.some((zero) => zero !== 0)) refuse(node, 'its weight has zero points other than 0');
  if (constant.scales.length > 1 && axis !== order.onnxAxis)
    refuse(node, `its weight has scales along axis ${axis}`);
  const scales = pick(constant.scales, order.outputs);
  const operand = e.constant(
    name,
    shape,
    'int8',
    { byteLength: tensor.count, read: () => lay(tensor.bytes(), 1) },
    { scale: scales, zeroPoint: scales.map(() => 0), axis: scales.length > 1 ? order.axis : 0 },
  );
  return { operand, scales };
}

const LARGEST = 2 ** 31 - 1;

/**
 * The bias of a product: int32 with scale = input scale · weight scale beside an int8 weight, zeros where the node has
 * none, since some delegates want one.
 */
export function biasOf(
  unit: Unit,
  e: Emitter,
  value: Value | undefined,
  count: number,
  { scales }: StoredWeight,
  input: Operand,
  outputs?: readonly number[],
): Operand {
  const { node } = unit;
  if (value !== undefined && !isRealConstant(value))
    refuse(node, 'its bias is computed while the model runs');
  const given = value === undefined ? new Float32Array(count) : realConstant(value)!;
  if (given.length !== 1 && given.length !== count)
    refuse(node, `its bias has ${given.length} elements, not ${count}`);
  const whole = given.length === count ? given : new Float32Array(count).fill(given[0]!);
  const real = pick(whole, outputs);
  const name = value?.name || `${node.label}_bias`;
  if (scales === undefined) return e.constant(name, [count], 'float32', dataOf(Float32Array.from(real)));
  const products = scales.map((scale) => Math.fround(input.grid!.scale * scale));
  const integers = Int32Array.from(real, (each, index) => {
    const q = Math.round(each / products[products.length === 1 ? 0 : index]!);
    return Math.max(-LARGEST, Math.min(LARGEST, q));
  });
  return e.constant(name, [count], 'int32', dataOf(integers), {
    scale: products,
    zeroPoint: products.map(() => 0),
    axis: 0,
  });
}

/** A plain constant of few integers, such as axes. @throws QuantcError E_TFLITE_OP where it is computed */
export function integersOf(unit: Unit, index: number, attribute?: string): number[] | undefined {
  const { node } = unit;
  const value = node.inputs[index];
  if (value === undefined) return attribute === undefined ? undefined : node.ints(attribute);
  const tensor = constantOf(value);
  if (tensor === undefined) refuse(node, `${value.name} is computed while the model runs`);
  return tensor.toNumbers();
}
