/**
 * Packs quantc as it would be published, from the sources as they stand: compiled into a folder of its own, so that a
 * stale `dist` cannot hide what is wrong.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

export const root = join(import.meta.dirname, '..');
const { files } = createRequire(import.meta.url)('../package.json');

/**
 * @param {string} folder an empty one
 * @returns {string} path of the tarball
 */
export function pack(folder) {
  const stage = join(folder, 'package');
  const kernels = join(stage, 'dist', 'src', 'kernels');
  mkdirSync(kernels, { recursive: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  node(tsc, ['-p', join(root, 'tsconfig.build.json'), '--outDir', join(stage, 'dist'), '--noEmitOnError']);
  const wasm = readdirSync(join(root, 'src', 'kernels')).filter((name) => name.endsWith('.wasm'));
  if (wasm.length === 0) throw new Error('the kernels are not compiled: run `npm run build:wasm`');
  for (const name of wasm) copyFileSync(join(root, 'src', 'kernels', name), join(kernels, name));
  // What has been compiled is there already; the rest is as it stands.
  for (const name of ['package.json', ...files.filter((each) => !each.startsWith('dist'))])
    if (existsSync(join(root, name))) cpSync(join(root, name), join(stage, name), { recursive: true });
  npm(['pack', '--ignore-scripts', '--pack-destination', folder], stage);
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');
}

/** Runs npm without what it has to say; what it has to complain of is thrown. */
export function npm(args, cwd, env = {}) {
  const options = {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    shell: process.platform === 'win32',
  };
  return execFileSync('npm', [...args, '--loglevel=error'], options);
}

function node(script, args) {
  try {
    execFileSync(process.execPath, [script, ...args], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    throw new Error(`${basename(script)} fails:\n${error.stdout}${error.stderr}`);
  }
}
