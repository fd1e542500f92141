/** What QuantizeLinear and DequantizeLinear nodes say, read as the int8 grids that TensorFlow Lite has. */
import { QuantcError } from '../errors/error.js';
import { constantOf } from '../ir/constant.js';
import type { Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { elementCount, isStatic } from '../ir/type.js';
import { chooseAffine } from '../quant/affine.js';

/** One scale for a tensor: real = scale · (q − zeroPoint), q in −128…127. */
export interface Grid {
  readonly scale: number;
  readonly zeroPoint: number;
}

export const sameGrid = (a: Grid, b: Grid): boolean => a.scale === b.scale && a.zeroPoint === b.zeroPoint;

/** The reals at the ends of a grid. */
export const reach = ({ scale, zeroPoint }: Grid) => ({
  min: (-128 - zeroPoint) * scale,
  max: (127 - zeroPoint) * scale,
});

/** A grid whose integers stand for `min` to `max`, with an exact zero. */
export function gridOver(min: number, max: number): Grid {
  const { scale, zeroPoint } = chooseAffine({ min, max }, 'int8');
  return { scale, zeroPoint };
}

type Named<Op extends string> = Node & { readonly opType: Op };
export const isQuantize = (node: Node | undefined): node is Named<'QuantizeLinear'> =>
  node?.is('QuantizeLinear') ?? false;
export const isDequantize = (node: Node | undefined): node is Named<'DequantizeLinear'> =>
  node?.is('DequantizeLinear') ?? false;

const PLAIN_TYPES = ['int8', 'uint8'] as const;

/** Operators that leave reals what they are; Cast widens weights that are stored in 16 bits. */
const PASSED_ON = ['Identity', 'Reshape', 'Cast'];

/** Integers of fewer than 8 bits, several to a byte. */
const PACKED = /^u?int[24]$/;

/** A number with a list, or a list with another of its length. */
function multiplies({ inputs }: Node): boolean {
  const [a, b] = inputs.map((input) => {
    const shape = constantOf(input)?.shape ?? input?.shape;
    return isStatic(shape) ? elementCount(shape) : undefined;
  });
  return a !== undefined && b !== undefined && (a === 1 || b === 1 || a === b);
}

/** Whether {@link realConstant} has an answer, told without reading anything. */
export function isRealConstant(value: Value | undefined): boolean {
  if (value === undefined) return false;
  const tensor = constantOf(value);
  if (tensor !== undefined) return tensor.dtype !== 'string';
  const { producer } = value;
  if (producer?.is('Mul')) return producer.inputs.every(isRealConstant) && multiplies(producer);
  if (isDequantize(producer)) {
    const stored = constantOf(producer.inputs[0]);
    const whole = stored !== undefined && !PACKED.test(stored.dtype) && producer.int('block_size', 0) === 0;
    return whole && producer.inputs.every((each) => isRealConstant(each));
  }
  return PASSED_ON.some((op) => producer?.is(op)) && isRealConstant(producer!.inputs[0]);
}

/**
 * The float32 elements of a constant: an initializer, integers that a DequantizeLinear widens, or the product of two
 * such constants, as scales of biases are written. Undefined for what is computed from inputs.
 */
export function realConstant(value: Value | undefined): Float32Array | undefined {
  if (value === undefined) return undefined;
  const tensor = constantOf(value);
  if (tensor !== undefined) return tensor.dtype === 'string' ? undefined : tensor.toFloat32();
  const { producer } = value;
  if (producer?.is('Mul')) {
    const [a, b] = producer.inputs.map(realConstant);
    if (a === undefined || b === undefined || (a.length !== 1 && b.length !== 1 && a.length !== b.length))
      return undefined;
    const count = Math.max(a.length, b.length);
    return Float32Array.from(
      { length: count },
      (_, i) => a[a.length === 1 ? 0 : i]! * b[b.length === 1 ? 0 : i]!,
    );
  }
  if (PASSED_ON.some((op) => producer?.is(op))) return realConstant(producer!.inputs[0]);
  return isDequantize(producer) ? dequantized(producer) : undefined;
}

/** A constant tensor in integers, with a scale a tensor or an index of an axis. */
export interface IntegerConstant {
  readonly tensor: Tensor;
  readonly scales: Float32Array;
  /** Zero points as they stand in the file: of the tensor's own dtype. */
  readonly zeros: Float32Array;
  readonly axis: number;
}

/** What a DequantizeLinear of a constant widens; undefined where its input is not constant, or scales are in blocks. */
export function integerConstant(node: Node): IntegerConstant | undefined {
  const tensor = constantOf(node.inputs[0]);
  const scales = realConstant(node.inputs[1]);
  if (tensor === undefined || scales === undefined || node.int('block_size', 0) !== 0) return undefined;
  const zeros = realConstant(node.inputs[2]) ?? new Float32Array(scales.length);
  const axis = node.int('axis', 1);
  return { tensor, scales, zeros, axis: axis < 0 ? axis + tensor.shape.length : axis };
}

function dequantized(node: Node): Float32Array | undefined {
  const constant = integerConstant(node);
  if (constant === undefined || PACKED.test(constant.tensor.dtype)) return undefined;
  const { tensor, scales, zeros, axis } = constant;
  const values = tensor.toFloat32();
  const inner = tensor.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const dim = tensor.shape[axis] ?? 1;
  return Float32Array.from(values, (q, index) => {
    const at = scales.length === 1 ? 0 : Math.floor(index / inner) % dim;
    return (q - zeros[at]!) * scales[at]!;
  });
}

/**
 * The grid of a QuantizeLinear or DequantizeLinear with one scale, its zero point moved by 128 for uint8.
 * @throws QuantcError E_TFLITE_TYPE for integers other than of 8 bits, and for parameters that are not constant
 */
export function gridOf(node: Node): Grid {
  const q = isQuantize(node) ? node.outputs[0]! : node.inputs[0]!;
  const dtype = q.dtype ?? constantOf(node.inputs[2])?.dtype ?? 'uint8';
  const scale = realConstant(node.inputs[1]);
  const zero = node.inputs[2] === undefined ? new Float32Array(1) : realConstant(node.inputs[2]);
  const plain = (PLAIN_TYPES as readonly string[]).includes(dtype);
  if (!plain || scale?.length !== 1 || zero?.length !== 1) {
    const what = plain ? 'parameters that are not one constant a tensor' : `${dtype} activations`;
    throw new QuantcError('E_TFLITE_TYPE', `${node.label} has ${what}`, {
      kind: 'input',
      place: { node: node.label },
      hint: 'LiteRT takes activations of 8 bits with one scale each: compile for npu-litert from the float model.',
    });
  }
  return { scale: scale[0]!, zeroPoint: zero[0]! - (dtype === 'uint8' ? 128 : 0) };
}
