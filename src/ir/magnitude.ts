/** How large the numbers of a constant are, found out without holding a large one whole. */
import { closeSync, openSync } from 'node:fs';
import { readPart, type Tensor } from './tensor.js';

const CHUNK = 1 << 20;

/**
 * The largest |x| of a float tensor; infinities count, NaN does not; 0 for no elements.
 * @throws QuantcError E_TENSOR_READ when its file is gone or too short, E_TENSOR_NUMERIC for what holds no numbers.
 */
export function largestMagnitude(tensor: Tensor): number {
  const { dtype, source } = tensor;
  if (dtype !== 'float' || source.kind !== 'file') return largestOf(tensor.toFloat32());
  const file = openSync(source.path, 'r');
  try {
    const bytes = new Uint8Array(Math.min(CHUNK, source.length));
    let largest = 0;
    for (let at = 0; at < source.length; at += CHUNK) {
      const piece = bytes.subarray(0, Math.min(CHUNK, source.length - at));
      readPart(file, piece, source, at);
      largest = Math.max(largest, largestOf(new Float32Array(bytes.buffer, 0, piece.length / 4)));
    }
    return largest;
  } finally {
    closeSync(file);
  }
}

function largestOf(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (size > largest) largest = size;
  }
  return largest;
}
