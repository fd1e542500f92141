/** 4-bit and 2-bit elements as ONNX stores them: consecutive elements fill a byte from its low bits up. */
import { QuantcError } from '../errors/error.js';

/**
 * Packs integers of 4 or 2 bits, signed or not (only the low bits count), low bits first; the last byte is padded
 * with zeros. Bytes: ceil(count × bits / 8), as TensorProto.raw_data lays out INT4, UINT4, INT2 and UINT2.
 */
export function pack(values: ArrayLike<number>, bits: 4 | 2): Uint8Array {
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  const bytes = new Uint8Array(Math.ceil(values.length / perByte));
  for (let i = 0; i < values.length; i++) {
    bytes[Math.floor(i / perByte)]! |= (values[i]! & mask) << ((i % perByte) * bits);
  }
  return bytes;
}

/**
 * The `count` integers that {@link pack} packed.
 * @throws QuantcError E_QUANT_PACKED when there are too few bytes.
 */
export function unpack(bytes: Uint8Array, count: number, bits: 4 | 2, signed: boolean): Int8Array {
  const perByte = 8 / bits;
  if (bytes.length < Math.ceil(count / perByte)) {
    throw new QuantcError(
      'E_QUANT_PACKED',
      `${bytes.length} bytes hold fewer than ${count} elements of ${bits} bits`,
    );
  }
  const values = new Int8Array(count);
  const mask = (1 << bits) - 1;
  const sign = signed ? 1 << (bits - 1) : 0;
  for (let i = 0; i < count; i++) {
    const raw = (bytes[Math.floor(i / perByte)]! >> ((i % perByte) * bits)) & mask;
    values[i] = (raw ^ sign) - sign;
  }
  return values;
}
