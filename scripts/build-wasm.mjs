/**
 * Compiles every kernel of src/kernels/assembly to a WebAssembly module of its name, beside the sources and beside what
 * is built of them. Folders in there hold what kernels share.
 */
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { main } from 'assemblyscript/asc';

const root = join(import.meta.dirname, '..');
const sources = 'src/kernels/assembly';
mkdirSync(join(root, 'dist/src/kernels'), { recursive: true });
for (const file of readdirSync(join(root, sources)).filter((name) => name.endsWith('.ts'))) {
  const wasm = `src/kernels/${basename(file, '.ts')}.wasm`;
  const options = ['-O3', '--noAssert', '--enable', 'simd', '--runtime', 'stub', '--importMemory'];
  const { error, stderr } = await main([`${sources}/${file}`, '-o', wasm, '--baseDir', root, ...options]);
  if (error) throw new Error(`${file}: ${error.message}\n${stderr}`);
  copyFileSync(join(root, wasm), join(root, 'dist', wasm));
}
