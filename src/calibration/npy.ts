/** Arrays as NumPy saves them, read a few rows at a time: .npy by ranges of the file, .npz through its zip directory. */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { strFromU8, unzipSync } from 'fflate';
import { QuantcError } from '../errors/error.js';
import { byteLengthOf, dtypeFacts } from '../ir/dtype.js';
import { readRange, Tensor, viewBytes } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import { HEADER_REACH, type NpyHeader, parseNpyHeader } from './npy-header.js';
import { chunksOf, type RowSource } from './rows.js';

/** An array on disk or in memory: its rows are there at once. */
export interface StoredArray extends RowSource {
  rows(start: number, count: number): Tensor;
}

/** No .npz whose members unpack to more than this is opened: it is unpacked in memory. */
const LARGEST_ARCHIVE = 2 ** 31;

/**
 * Opens an .npy file; only its header is read.
 * @throws QuantcError E_NPY_READ when the file cannot be read; E_NPY_FORMAT, E_NPY_DTYPE (see the header)
 */
export function openNpy(path: string): StoredArray {
  const size = sizeOf(path);
  const start = readRange({ path, offset: 0, length: Math.min(size, HEADER_REACH) });
  const header = parseNpyHeader(start, size, path);
  return stored(path, header, (offset, length) => readRange({ path, offset, length }));
}

/** The array that .npy bytes hold; they are viewed, not copied. Errors as {@link openNpy}. */
export function parseNpy(bytes: Uint8Array, file: string): StoredArray {
  const header = parseNpyHeader(bytes.subarray(0, HEADER_REACH), bytes.length, file);
  return stored(file, header, (offset, length) => bytes.subarray(offset, offset + length));
}

/**
 * The arrays of an .npz archive by name (a member `x.npy` is the array `x`). The archive is unpacked in memory: for
 * sets that should be streamed, separate .npy files are better.
 * @throws QuantcError E_NPY_READ, E_NPZ_FORMAT for what is no sound archive or unpacks to over 2 GiB; E_NPY_*
 */
export function openNpz(path: string): Map<string, StoredArray> {
  sizeOf(path);
  let total = 0;
  let members: Record<string, Uint8Array>;
  try {
    members = unzipSync(readFileSync(path), {
      filter: ({ name, originalSize }) => {
        total += originalSize;
        if (total > LARGEST_ARCHIVE) throw new Error('its members unpack to more than 2 GiB');
        return name.endsWith('.npy');
      },
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new QuantcError('E_NPZ_FORMAT', `not a sound .npz archive: ${why}`, {
      place: { file: path },
      hint: 'Write it with numpy.savez, or give a folder of .npy files with a data.json.',
      cause,
    });
  }
  const arrays = new Map<string, StoredArray>();
  for (const [member, bytes] of Object.entries(members)) {
    arrays.set(member.slice(0, -'.npy'.length), parseNpy(bytes, `${path}/${member}`));
  }
  return arrays;
}

/** A tensor as the bytes of an .npy file, version 1.0, row-major, as numpy.save writes it. */
export function encodeNpy(tensor: Tensor): Uint8Array {
  const { kind, bits } = dtypeFacts(tensor.dtype);
  const letter = { float: 'f', int: 'i', uint: 'u', bool: 'b', string: '', complex: '' }[kind];
  if (letter === '' || bits < 8 || (kind === 'float' && bits < 16) || tensor.dtype === 'bfloat16') {
    throw new QuantcError('E_NPY_DTYPE', `NumPy has no ${tensor.dtype}`, { place: { value: tensor.name } });
  }
  const shape = tensor.shape.length === 1 ? `${tensor.shape[0]},` : tensor.shape.join(', ');
  const descr = `${bits === 8 ? '|' : '<'}${letter}${bits / 8}`;
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`;
  // NumPy pads with blanks up to a newline so that the elements start at a multiple of 64.
  const length = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10;
  const data = tensor.bytes();
  const bytes = new Uint8Array(10 + length + data.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  bytes.set(Buffer.from(`${dict.padEnd(length - 1)}\n`, 'latin1'), 10);
  bytes.set(data, 10 + length);
  return bytes;
}

/** True when a file starts as zip archives do. @throws QuantcError E_NPY_READ */
export function looksLikeZip(path: string): boolean {
  sizeOf(path);
  const start = new Uint8Array(2);
  const file = openSync(path, 'r');
  try {
    readSync(file, start, 0, 2, 0);
  } finally {
    closeSync(file);
  }
  return strFromU8(start) === 'PK';
}

function sizeOf(path: string): number {
  try {
    const stat = statSync(path);
    if (stat.isFile()) return stat.size;
  } catch (cause) {
    throw new QuantcError('E_NPY_READ', `cannot read ${path}`, { place: { file: path }, cause });
  }
  throw new QuantcError('E_NPY_READ', `${path} is not a file`, { place: { file: path } });
}

function stored(
  file: string,
  header: NpyHeader,
  read: (offset: number, length: number) => Uint8Array,
): StoredArray {
  const { dtype, shape, dataOffset } = header;
  const width = byteLengthOf(dtype, 1);
  const rowCount = elementCount(shape.slice(1));
  const fetch = (start: number, count: number): Uint8Array => {
    const bytes = read(dataOffset + start * width, count * width);
    return header.bigEndian && width > 1 ? swapped(bytes, width) : bytes;
  };
  let reordered: Uint8Array | undefined;
  const array: StoredArray = {
    file,
    dtype,
    shape,
    rows(start, count) {
      let bytes: Uint8Array;
      if (header.fortran && shape.length > 1) {
        // Rows of a column-major array are scattered over the whole file: it is put in order once.
        reordered ??= rowMajor(fetch(0, elementCount(shape)), shape, width);
        bytes = reordered.subarray(start * rowCount * width, (start + count) * rowCount * width);
      } else bytes = fetch(start * rowCount, count * rowCount);
      return Tensor.of(dtype, [count, ...shape.slice(1)], bytes);
    },
    hashRows(hash, count) {
      for (const [start, some] of chunksOf(array, count)) hash.update(array.rows(start, some).bytes());
    },
  };
  return array;
}

function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const copy = Buffer.from(bytes);
  if (width === 2) copy.swap16();
  else if (width === 4) copy.swap32();
  else copy.swap64();
  return viewBytes(copy);
}

/** Elements in column-major order → row-major. */
function rowMajor(bytes: Uint8Array, shape: readonly number[], width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const strides = shape.map((_, axis) => elementCount(shape.slice(0, axis)));
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < bytes.length; to += width) {
    for (let byte = 0; byte < width; byte++) out[to + byte] = bytes[from * width + byte]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]! += 1;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
