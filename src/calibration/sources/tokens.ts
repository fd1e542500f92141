/** Windows of token ids as the samples of one input. */
import { readFileSync, statSync } from 'node:fs';
import { QuantcError } from '../../errors/error.js';
import { byteLengthOf, type DType } from '../../ir/dtype.js';
import { readRange, Tensor } from '../../ir/tensor.js';
import type { Dim } from '../../ir/type.js';
import type { RowSource } from '../rows.js';
import type { TokensSpec } from './specs.js';

/** Names of files with nothing but ids end so. */
export const TOKEN_ENDINGS = ['.txt', '.json', '.bin'];

/** Ids in a row, some at a time. */
interface Ids {
  readonly dtype: DType;
  /** Ids of each text, one behind the other; windows never reach from one into the next. */
  readonly texts: readonly number[];
  read(start: number, count: number): Uint8Array;
}

/**
 * Opens a file of token ids:
 * - `.txt`: whole numbers with blanks, commas or newlines between; an empty line ends a text;
 * - `.json`: a list of ids, or a list of such lists, one a text;
 * - `.bin`: elements of the declared dtype, little-endian, and nothing else; it is read window by window.
 *
 * Windows begin every `stride` tokens as long as a whole one fits. What is left of a text makes a last one, filled up
 * with `pad` where that is declared, and is left out where it is not.
 * @param shape of the model's input, if known: its last dimension is the length where none is declared
 * @throws QuantcError E_DATA_READ, E_DATA_TOKENS for what are no ids, E_DATA_LENGTH where nothing says how long a
 * window is, E_DATA_EMPTY where not one fits
 */
export function openTokens(
  path: string,
  spec: TokensSpec,
  shape: readonly Dim[] | undefined,
  value: string,
): RowSource {
  const last = shape?.at(-1);
  const length =
    spec.length ?? (shape?.length === 2 && typeof last === 'number' && last > 0 ? last : undefined);
  if (length === undefined) {
    throw new QuantcError(
      'E_DATA_LENGTH',
      'neither the data nor the model says how many tokens a window has',
      {
        place: { file: path, value },
        hint: `Declare it in a data.json: { "inputs": { "${value}": { "calib": "…", "tokens": { "length": 128 } } } }`,
      },
    );
  }
  const ids = path.toLowerCase().endsWith('.bin') ? binary(path, spec) : plain(path);
  const windows = cutWindows(ids.texts, length, spec.stride ?? length, spec.pad !== undefined);
  if (windows.length === 0) {
    const longest = ids.texts.reduce((most, count) => Math.max(most, count), 0);
    throw new QuantcError(
      'E_DATA_EMPTY',
      `no window of ${length} tokens fits: the longest text has ${longest}`,
      {
        place: { file: path, value },
        hint: 'Shorten "length" in the tokens of the data.json, or declare "pad".',
      },
    );
  }
  const { dtype } = ids;
  const padding = spec.pad === undefined ? undefined : Tensor.scalar(spec.pad, dtype).bytes();
  return {
    file: path,
    dtype,
    shape: [windows.length, length],
    rows(start, count) {
      const bytes = new Uint8Array(byteLengthOf(dtype, count * length));
      windows.slice(start, start + count).forEach((window, i) => {
        const at = byteLengthOf(dtype, i * length);
        bytes.set(ids.read(window.start, window.count), at);
        const end = at + byteLengthOf(dtype, length);
        for (let to = at + byteLengthOf(dtype, window.count); to < end; to += padding!.length)
          bytes.set(padding!, to);
      });
      return Tensor.of(dtype, [count, length], bytes);
    },
    lengthOf: (row) => windows[row]!.count,
    hashRows(hash, count) {
      hash.update(JSON.stringify([length, spec.pad ?? null]));
      for (const { start, count: real } of windows.slice(0, count))
        hash.update(`${real}:`).update(ids.read(start, real));
    },
  };
}

function cutWindows(texts: readonly number[], length: number, stride: number, padded: boolean) {
  const windows: { start: number; count: number }[] = [];
  let text = 0;
  for (const count of texts) {
    let start = 0;
    for (; start + length <= count; start += stride) windows.push({ start: text + start, count: length });
    // The last whole window may have reached the end already.
    const covered = start === 0 ? 0 : start - stride + length;
    if (padded && covered < count && start < count)
      windows.push({ start: text + start, count: Math.min(length, count - start) });
    text += count;
  }
  return windows;
}

const wrong = (file: string, why: string, hint?: string): QuantcError =>
  new QuantcError('E_DATA_TOKENS', why, { place: { file }, hint });

function binary(path: string, { dtype }: TokensSpec): Ids {
  if (dtype === undefined) {
    throw wrong(
      path,
      'nothing says what its elements are',
      'Declare "dtype" in the tokens of a data.json: uint16, int32, uint32 or int64.',
    );
  }
  let size: number;
  try {
    size = statSync(path).size;
  } catch (cause) {
    throw unread(path, cause);
  }
  const width = byteLengthOf(dtype, 1);
  if (size % width !== 0) throw wrong(path, `${size} bytes are no whole number of ${dtype} elements`);
  return {
    dtype,
    texts: [size / width],
    read: (start, count) => readRange({ path, offset: start * width, length: count * width }),
  };
}

const unread = (file: string, cause: unknown): QuantcError =>
  new QuantcError('E_DATA_READ', `cannot read ${file}`, { place: { file }, cause });

/** Ids of text files: they are held, four bytes each. */
function plain(path: string): Ids {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw unread(path, cause);
  }
  const texts = path.toLowerCase().endsWith('.json') ? jsonTexts(text, path) : wordTexts(text, path);
  const all = new Int32Array(texts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const ids of texts) {
    all.set(ids, at);
    at += ids.length;
  }
  const bytes = new Uint8Array(all.buffer);
  return {
    dtype: 'int32',
    texts: texts.map(({ length }) => length),
    read: (start, count) => bytes.subarray(start * 4, (start + count) * 4),
  };
}

const isId = (x: unknown): x is number =>
  Number.isInteger(x) && (x as number) >= 0 && (x as number) < 2 ** 31;

function jsonTexts(text: string, path: string): number[][] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw wrong(path, `not JSON: ${(cause as Error).message}`);
  }
  if (!Array.isArray(json)) throw wrong(path, 'not a list of token ids, or of such lists');
  const lists = json.some(Array.isArray) ? json : [json];
  lists.forEach((list: unknown, at) => {
    const strange = Array.isArray(list) ? list.findIndex((id) => !isId(id)) : -1;
    if (!Array.isArray(list) || strange >= 0) {
      const what = Array.isArray(list) ? list[strange] : list;
      throw wrong(path, `${JSON.stringify(what)?.slice(0, 40)} in list ${at} is no token id`, HINT);
    }
  });
  return lists as number[][];
}

const HINT = "A token file holds ids; run text through the model's tokenizer first.";

function wordTexts(text: string, path: string): number[][] {
  return text
    .split(/\r?\n[ \t]*\r?\n/)
    .map((part) =>
      part
        .split(/[\s,]+/)
        .filter((word) => word !== '')
        .map((word) => {
          const id = /^\d+$/.test(word) ? Number(word) : Number.NaN;
          if (!isId(id)) throw wrong(path, `"${word.slice(0, 40)}" is no token id`, HINT);
          return id;
        }),
    )
    .filter((ids) => ids.length > 0);
}
