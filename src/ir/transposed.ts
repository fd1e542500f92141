/** Whether one constant is another one transposed, found out without holding either whole. */
import { closeSync, openSync } from 'node:fs';
import { dtypeFacts } from './dtype.js';
import { readPart, type Tensor } from './tensor.js';

/** Rows of the one that are compared at a time: as many columns of the other are read, row by row. */
const ROWS = 256;

/**
 * True when `b` [n, m] holds the elements of `a` [m, n], bit for bit. Nearly all pairs differ in the first few elements;
 * those that do not are compared whole, in strips. Derived constants are not computed for this: they count as different.
 * @throws QuantcError E_TENSOR_READ when a file is gone or too short.
 */
export function isTransposeOf(a: Tensor, b: Tensor): boolean {
  const width = dtypeFacts(a.dtype).bits / 8;
  const [rows, columns] = a.shape;
  if (a.dtype !== b.dtype || width < 1 || a.shape.length !== 2 || b.shape.length !== 2) return false;
  if (b.shape[0] !== columns || b.shape[1] !== rows) return false;
  if (![a, b].every(({ source }) => source.kind === 'memory' || source.kind === 'file')) return false;
  return withReader(a, (readA) =>
    withReader(b, (readB) => {
      for (let row = 0; row < rows!; row += ROWS) {
        const count = Math.min(ROWS, rows! - row);
        const strip = readA(row * columns! * width, count * columns! * width);
        for (let column = 0; column < columns!; column++) {
          const line = readB((column * rows! + row) * width, count * width);
          if (!matches(strip, columns! * width, column * width, line, width)) return false;
        }
      }
      return true;
    }),
  );
}

/** Whether `line` holds the elements of a column that begins at `at` in a strip of rows of `pitch` bytes. */
function matches(strip: Uint8Array, pitch: number, at: number, line: Uint8Array, width: number): boolean {
  for (let byte = 0, from = at; byte < line.length; byte += width, from += pitch) {
    for (let k = 0; k < width; k++) if (strip[from + k] !== line[byte + k]) return false;
  }
  return true;
}

type Reader = (position: number, length: number) => Uint8Array;

function withReader<T>({ source }: Tensor, use: (read: Reader) => T): T {
  if (source.kind === 'memory') {
    return use((position, length) => source.bytes.subarray(position, position + length));
  }
  if (source.kind !== 'file') return use(() => new Uint8Array(0));
  const file = openSync(source.path, 'r');
  try {
    return use((position, length) => {
      const bytes = new Uint8Array(length);
      readPart(file, bytes, source, position);
      return bytes;
    });
  } finally {
    closeSync(file);
  }
}
