/** Matrix products on a small WebAssembly kernel, which this compiles from its source when it is loaded. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  product(a: number, b: number, out: number, rows: number, columns: number, inner: number): void;
}

/** What is used of the global object; the types of Node leave it out. */
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: unknown } }>;
};

/** What is used of the compiler. Its own types would declare a `console` of one function for the whole project. */
interface Compiler {
  compileString(
    source: string,
    options: object,
  ): Promise<{ error: Error | null; binary: Uint8Array | null; stderr: { toString(): string } }>;
}
const COMPILER: string = 'assemblyscript/asc';

async function compile(): Promise<Kernel> {
  const { default: asc } = (await import(COMPILER)) as { default: Compiler };
  const source = readFileSync(join(import.meta.dirname, 'assembly', 'product.ts'), 'utf8');
  const { binary, stderr, error } = await asc.compileString(source, {
    optimizeLevel: 3,
    runtime: 'stub',
    enable: ['simd'],
    noAssert: true,
  });
  if (error || binary === null) throw new Error(`the product kernel does not compile: ${stderr.toString()}`);
  const { instance } = await WebAssembly.instantiate(new Uint8Array(binary), {
    env: { abort: () => undefined },
  });
  return instance.exports as Kernel;
}

const kernel = await compile();
/** The first page belongs to the kernel's own data. */
const FIRST = 65_536;

const upTo = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** Room for some floats; what lies there is of no interest any more. */
function room(floats: number): Float32Array {
  const missing = FIRST + floats * 4 - kernel.memory.buffer.byteLength;
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / 65_536));
  return new Float32Array(kernel.memory.buffer, FIRST, floats);
}

/** `out = a · b`, row-major: a is [rows, inner], b is [inner, columns], out is [rows, columns]. */
export function multiply(
  a: Float32Array,
  b: Float32Array,
  out: Float32Array,
  rows: number,
  columns: number,
  inner: number,
): void {
  const fullRows = upTo(rows, 4);
  const fullColumns = upTo(columns, 8);
  const bAt = fullRows * inner;
  const outAt = bAt + inner * fullColumns;
  const space = room(outAt + fullRows * fullColumns);
  space.set(a.length === rows * inner ? a : a.subarray(0, rows * inner));
  space.fill(0, rows * inner, bAt);
  if (fullColumns === columns) space.set(b, bAt);
  else {
    space.fill(0, bAt, outAt);
    for (let k = 0; k < inner; k++) {
      for (let j = 0; j < columns; j++) space[bAt + k * fullColumns + j] = b[k * columns + j]!;
    }
  }
  space.fill(0, outAt);
  kernel.product(FIRST, FIRST + bAt * 4, FIRST + outAt * 4, fullRows, fullColumns, inner);
  if (fullColumns === columns) out.set(space.subarray(outAt, outAt + rows * columns));
  else {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) out[i * columns + j] = space[outAt + i * fullColumns + j]!;
    }
  }
}

/** The transpose of a row-major matrix. */
export function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = matrix[i * columns + j]!;
  }
  return out;
}
