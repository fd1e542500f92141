/**
 * The header of NumPy's .npy format (NEP 1): magic, version, header length, and a Python dict literal with exactly
 * three keys. It is parsed by a small grammar of our own, never evaluated, and nothing in it is believed before it
 * agrees with the size of the file.
 */
import { QuantcError } from '../errors/error.js';
import { byteLengthOf, type DType } from '../ir/dtype.js';

/** What an .npy file says about its array. */
export interface NpyHeader {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements lie in column-major order. */
  readonly fortran: boolean;
  /** Multi-byte elements lie most significant byte first. */
  readonly bigEndian: boolean;
  /** Where the elements start. */
  readonly dataOffset: number;
}

const DTYPES: Readonly<Record<string, DType>> = {
  b1: 'bool',
  u1: 'uint8',
  i1: 'int8',
  u2: 'uint16',
  i2: 'int16',
  u4: 'uint32',
  i4: 'int32',
  u8: 'uint64',
  i8: 'int64',
  f2: 'float16',
  f4: 'float',
  f8: 'double',
};

/** NumPy itself refuses headers beyond 10,000 characters; ours may be as long as version 1 of the format allows. */
const LONGEST_HEADER = 65_535;

/** Bytes from the start of a file that surely hold the whole header. */
export const HEADER_REACH = 12 + LONGEST_HEADER;

const bad = (file: string, message: string, hint?: string): QuantcError =>
  new QuantcError('E_NPY_FORMAT', message, { place: { file }, hint });

/**
 * Parses a header.
 * @param start the first bytes of the file, at least {@link HEADER_REACH} of them or all
 * @param size bytes of the whole file: the header must account for all of them
 * @throws QuantcError E_NPY_FORMAT for what is no .npy file or contradicts itself, E_NPY_DTYPE for element types
 * that no tensor has here (objects, strings, structures, complex numbers, dates)
 */
export function parseNpyHeader(start: Uint8Array, size: number, file: string): NpyHeader {
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (start.length < 10 || magic.some((byte, at) => start[at] !== byte)) {
    throw bad(file, 'not an .npy file', 'Write arrays with numpy.save, or give an .npz or a folder.');
  }
  const major = start[6]!;
  if (major < 1 || major > 3)
    throw bad(file, `version ${major} of the .npy format is not one that NumPy defines`);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (major > 1 && start.length < 12) throw bad(file, 'the file ends within its header');
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const from = major === 1 ? 10 : 12;
  if (length > LONGEST_HEADER) throw bad(file, `a header of ${length} bytes is longer than any array needs`);
  if (from + length > Math.min(start.length, size)) throw bad(file, 'the file ends within its header');
  const text = new TextDecoder('latin1').decode(start.subarray(from, from + length));
  const { descr, fortran, shape } = parseDict(text, file);
  const match = /^([<>|=])?([a-zA-Z]\d+)$/.exec(descr);
  const dtype = match ? DTYPES[match[2]!] : undefined;
  if (dtype === undefined) {
    throw new QuantcError('E_NPY_DTYPE', `elements of type ${descr} cannot feed a model`, {
      place: { file },
      hint: 'Save the array as bool, an integer, or a float of 16, 32 or 64 bits.',
    });
  }
  const dataOffset = from + length;
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (!Number.isSafeInteger(count) || byteLengthOf(dtype, count) !== size - dataOffset) {
    throw bad(
      file,
      `the header promises ${descr} of shape [${shape}], but ${size - dataOffset} bytes follow it`,
      'The file is cut short, or several arrays were saved into one file.',
    );
  }
  return { dtype, shape, fortran, bigEndian: match![1] === '>', dataOffset };
}

/** `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` with the keys in any order, and nothing else. */
function parseDict(text: string, file: string): { descr: string; fortran: boolean; shape: number[] } {
  const body = /^\{(.*)\}\s*$/s.exec(text.trim())?.[1];
  if (body === undefined) throw bad(file, 'the header is not a dict');
  let descr: string | undefined;
  let fortran: boolean | undefined;
  let shape: number[] | undefined;
  const entry =
    /\s*(?:'descr'\s*:\s*'([^']*)'|'fortran_order'\s*:\s*(True|False)|'shape'\s*:\s*\(([\d\sL,]*)\))\s*(?:,|$)\s*/y;
  while (entry.lastIndex < body.length) {
    const found = entry.exec(body);
    if (found === null) {
      if (/'descr'\s*:\s*\[/.test(body)) {
        throw new QuantcError('E_NPY_DTYPE', 'a structured array cannot feed a model', {
          place: { file },
          hint: 'Save each field as an array of its own.',
        });
      }
      throw bad(file, 'the header holds something besides descr, fortran_order and shape');
    }
    const [, type, order, dims] = found;
    if (
      (type !== undefined && descr !== undefined) ||
      (order && fortran !== undefined) ||
      (dims !== undefined && shape)
    )
      throw bad(file, 'a key of the header appears twice');
    if (type !== undefined) descr = type;
    else if (order !== undefined) fortran = order === 'True';
    else shape = parseShape(dims!, file);
  }
  if (descr === undefined || fortran === undefined || shape === undefined) {
    throw bad(file, 'the header lacks descr, fortran_order or shape');
  }
  return { descr, fortran, shape };
}

/** `3, 4`, `3,` or nothing; Python 2 wrote `3L`. */
function parseShape(text: string, file: string): number[] {
  const trimmed = text.trim().replace(/,$/, '');
  if (trimmed === '') return [];
  const dims = trimmed.split(',').map((part) => {
    const digits = /^\s*(\d{1,16})L?\s*$/.exec(part)?.[1];
    if (digits === undefined) throw bad(file, `the shape (${text}) is not a tuple of sizes`);
    return Number(digits);
  });
  if (dims.length > 32) throw bad(file, `${dims.length} dimensions are more than NumPy has`);
  return dims;
}
