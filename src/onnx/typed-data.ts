/**
 * The typed fields of TensorProto (`float_data`, `int32_data` …), which older files use in place of raw bytes, turned
 * into raw little-endian bytes. Numbers never become JavaScript arrays on the way.
 */
import { type DType, dtypeFacts } from '../ir/dtype.js';

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

/** Bytes of raw data that one number of an `int32_data`, `int64_data` or `uint64_data` field stands for. */
export function bytesPerVarint(dtype: DType): number {
  return Math.max(1, dtypeFacts(dtype).bits >> 3);
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
export function decodeVarints(payload: Uint8Array, count: number, width: number): Uint8Array {
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
