/** Other integers in the place of a quantized layer's, and biases that make up for what they shift. */
import {
  addInitializer,
  biasScaleFloor,
  pack,
  quantizeBias,
  removeInitializer,
  setConstant,
  setInput,
  Tensor,
  type Value,
} from '../../src/index.js';
import { type Bias, type QuantizedLayer, type Reader, rememberBias, rememberOrigin } from './layer.js';

/** The layer's float weight as a matrix [rows, size]. */
export function matrixOf({ weight, rows, size, turned }: QuantizedLayer): Float64Array {
  const values = weight.toFloat32();
  if (!turned) return Float64Array.from(values);
  const matrix = new Float64Array(values.length);
  for (let k = 0; k < size; k++) for (let r = 0; r < rows; r++) matrix[r * size + k] = values[k * rows + r]!;
  return matrix;
}

/** One scale a row. */
export function scalesOf({ scale, rows }: QuantizedLayer): Float32Array {
  const values = scale.constant!.toFloat32();
  return values.length === rows ? values : new Float32Array(rows).fill(values[0]!);
}

/** Puts integers [rows, size] into the graph, as a constant of their own. */
export function storeIntegers(layer: QuantizedLayer, matrix: Float64Array): void {
  const { q, rows, size, turned } = layer;
  const integers = new Int8Array(matrix.length);
  if (turned) {
    for (let r = 0; r < rows; r++)
      for (let k = 0; k < size; k++) integers[k * rows + r] = matrix[r * size + k]!;
  } else integers.set(matrix);
  const { shape, name } = q.constant!;
  const stored =
    layer.spec.dtype === 'int4'
      ? Tensor.of('int4', shape, pack(integers, 4), { name })
      : Tensor.of('int8', shape, integers, { name });
  rememberOrigin(stored, layer);
  setConstant(q, stored);
}

/** Puts a bias into the graph: the float one with `shift` added, in int32 where the kernel wants that. */
export function storeBias(layer: QuantizedLayer, bias: Bias, shift: ArrayLike<number>): void {
  const values = bias.float.toFloat32().map((value, row) => value + shift[row]!);
  if (bias.kind === 'int32') {
    const { constant } = bias.q;
    const scales = layer.scale.constant!.toFloat32();
    const integers = quantizeBias(values, bias.inputScale, scales).values;
    const stored = Tensor.of('int32', constant!.shape, integers, { name: constant!.name });
    rememberBias(stored, Tensor.of('float', bias.float.shape, values));
    setConstant(bias.q, stored);
    return;
  }
  const { reader, index, float } = bias;
  const before = reader.inputs[index]!;
  setInput(reader, index, addInitializer(before.graph, Tensor.of('float', float.shape, values), before.name));
  if (before.isConstant && before.uses.length === 0 && !before.isOutput) removeInitializer(before);
}

/** What the constants and biases of layers are now, to be put back. */
export function remembered(layers: readonly QuantizedLayer[]): () => void {
  const constants = new Map<Value, Tensor>();
  const inputs: { reader: Reader['node']; index: number; tensor: Tensor }[] = [];
  for (const { q, scale, readers } of layers) {
    constants.set(q, q.constant!);
    constants.set(scale, scale.constant!);
    for (const { bias } of readers) {
      if (bias?.kind === 'int32') constants.set(bias.q, bias.q.constant!);
      else if (bias !== undefined)
        inputs.push({
          reader: bias.reader,
          index: bias.index,
          tensor: bias.reader.inputs[bias.index]!.constant!,
        });
    }
  }
  return () => {
    for (const [value, tensor] of constants) setConstant(value, tensor);
    for (const { reader, index, tensor } of inputs) setConstant(reader.inputs[index]!, tensor);
  };
}

/** The least scale with which every reader's bias fits int32. */
export function scaleFloorOf({ readers }: QuantizedLayer): Float64Array | undefined {
  let floor: Float64Array | undefined;
  for (const { bias } of readers) {
    if (bias?.kind !== 'int32') continue;
    const own = biasScaleFloor(bias.float.toFloat32(), bias.inputScale);
    floor = floor?.map((least, row) => Math.max(least, own[row]!)) ?? own;
  }
  return floor;
}
