/**
 * The typed fields of TensorProto (`float_data`, `int32_data` …), which older files use in place of raw bytes, turned
 * into raw little-endian bytes. Numbers never become JavaScript arrays on the way.
 */
import { byteLengthOf, type DType, dtypeFacts } from '../ir/dtype.js';

export type TypedField = 'float_data' | 'int32_data' | 'int64_data' | 'double_data' | 'uint64_data';

/** Which typed field carries a dtype; strings have a form of their own. */
export function typedFieldOf(dtype: DType): TypedField | undefined {
  switch (dtype) {
    case 'string':
      return undefined;
    case 'float':
    case 'complex64':
      return 'float_data';
    case 'double':
    case 'complex128':
      return 'double_data';
    case 'int64':
      return 'int64_data';
    case 'uint32':
    case 'uint64':
      return 'uint64_data';
    default:
      return 'int32_data';
  }
}

/**
 * How the numbers of an `int32_data`, `int64_data` or `uint64_data` field make up raw data: how many are needed, and
 * how many low bytes of each count. 2- and 4-bit elements come packed, a byte to a number; 6-bit elements come one to
 * a number, and are packed here as raw data has them.
 */
export function varintForm(
  dtype: DType,
  count: number,
): { readonly numbers: number; readonly width: number } {
  const { bits } = dtypeFacts(dtype);
  if (bits === 6) return { numbers: count, width: 1 };
  return bits < 8 ? { numbers: byteLengthOf(dtype, count), width: 1 } : { numbers: count, width: bits / 8 };
}

/** Raw data from a payload of varints that is known to be whole and of the right length. */
export function rawFromVarints(payload: Uint8Array, dtype: DType, count: number): Uint8Array {
  const { numbers, width } = varintForm(dtype, count);
  const bytes = decodeVarints(payload, numbers, width);
  return dtypeFacts(dtype).bits === 6 ? packSixBits(bytes) : bytes;
}

/** Six bits an element, from the lowest bit up, without gaps. */
function packSixBits(elements: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil((elements.length * 6) / 8));
  for (let i = 0; i < elements.length; i++) {
    const bit = i * 6;
    const shifted = (elements[i]! & 63) << (bit & 7);
    packed[bit >> 3]! |= shifted;
    if (shifted > 255) packed[(bit >> 3) + 1]! |= shifted >> 8;
  }
  return packed;
}

/** How many varints a payload holds, or nothing when its last one is cut off or one is longer than ten bytes. */
export function countVarints(payload: Uint8Array): number | undefined {
  let count = 0;
  let run = 0;
  for (let i = 0; i < payload.length; i++) {
    if (++run > 10) return undefined;
    if (payload[i]! < 128) {
      count += 1;
      run = 0;
    }
  }
  return run === 0 ? count : undefined;
}

/**
 * The low `width` bytes (1, 2, 4 or 8) of each varint, little-endian: two's complement makes that right for signed and
 * unsigned numbers alike. The payload must be whole (see {@link countVarints}).
 */
function decodeVarints(payload: Uint8Array, count: number, width: number): Uint8Array {
  const bytes = new Uint8Array(count * width);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (let i = 0; i < count; i++) {
    let low = 0;
    let high = 0;
    let shift = 0;
    for (;;) {
      const byte = payload[at++]!;
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else high |= bits << (shift - 32);
      if (byte < 128) break;
      shift += 7;
    }
    if (width === 1) bytes[i] = low;
    else if (width === 2) view.setUint16(i * 2, low, true);
    else view.setInt32(i * width, low, true);
    if (width === 8) view.setInt32(i * 8 + 4, high, true);
  }
  return bytes;
}
