import { type DType, dtypeFacts, Tensor } from '../../src/index.js';

/** Part of a weight [directions, gates·size, …], which belongs to one direction and to some of its gates. */
export interface GateRows {
  readonly direction: number;
  /** First gate, and how many. */
  readonly gate: number;
  readonly gates: number;
  /** Rows a gate. */
  readonly size: number;
}

/** The elements of a tensor, by a typed array that is as wide as they are: moved, never read as numbers. */
const elements = (tensor: Tensor): Uint8Array | Uint16Array | Float32Array | Float64Array =>
  tensor.data() as Float32Array;

const emptyOf = (dtype: DType, count: number): Float32Array =>
  new (dtypeFacts(dtype).array as Float32ArrayConstructor)(count);

/** Some gates of a weight [D, G·H, K] as [K, gates·H], for products with the weight on the right. */
export function transposedGates(weight: Tensor, { direction, gate, gates, size }: GateRows): Tensor {
  const [, rows, depth] = weight.shape as readonly [number, number, number];
  const count = gates * size;
  return Tensor.derive(weight.dtype, [depth, count], [weight], ([source]) => {
    const from = elements(source!);
    const to = emptyOf(weight.dtype, depth * count);
    const start = (direction * rows + gate * size) * depth;
    for (let row = 0; row < count; row++)
      for (let k = 0; k < depth; k++) to[k * count + row] = from[start + row * depth + k]!;
    return to;
  });
}

/** Some entries of a vector a direction [D, G·H] (biases, peepholes). */
export function vectorGates(vector: Tensor, { direction, gate, gates, size }: GateRows): Tensor {
  const width = vector.shape[1]!;
  const start = direction * width + gate * size;
  return Tensor.derive(vector.dtype, [gates * size], [vector], ([source]) =>
    elements(source!).slice(start, start + gates * size),
  );
}

/** The sum of two vectors of float32. */
export const sumOf = (a: Tensor, b: Tensor): Tensor =>
  Tensor.derive('float', a.shape, [a, b], ([one, other]) => {
    const second = other!.toFloat32();
    return one!.toFloat32().map((each, at) => each + second[at]!);
  });
