/** One app for every bundler: it imports a model twice, and says what it was given. */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const MODEL = join(import.meta.dirname, '../../models/shapes-cnn/model.onnx');

/** Files of the app, in a new folder; the cache lies in it. */
export function makeApp(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-app-')));
  // A package with its packages installed: caches lie in it.
  for (const each of ['models', 'node_modules']) mkdirSync(join(folder, each));
  copyFileSync(MODEL, join(folder, 'models/net.onnx'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(
    join(folder, 'quantc.config.ts'),
    `import { defineConfig } from 'quantc';
export default defineConfig({ cache: 'kept', models: { net: { model: 'models/net.onnx', precision: 'int8-weights' } } });`,
  );
  writeFileSync(
    join(folder, 'main.js'),
    `import url, { facts } from './models/net.onnx?quantc&precision=int8-dynamic';
import again from './other.js';
globalThis.told = { url, facts, again };
console.log(url, again);`,
  );
  writeFileSync(
    join(folder, 'other.js'),
    `export { default } from './models/net.onnx?quantc&precision=int8-dynamic';`,
  );
  writeFileSync(join(folder, 'index.html'), '<script type="module" src="./main.js"></script>');
  return folder;
}

export const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Digests of the models below a folder, by their paths. */
export function modelsIn(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const models = names.filter((name) => /\.(?:onnx|ort)$/.test(name)).sort();
  return Object.fromEntries(models.map((name) => [name.replaceAll('\\', '/'), sha256(join(folder, name))]));
}

/** Entries of the app's store: one a compilation. */
export const builds = (folder: string): string[] => readdirSync(join(folder, 'kept/builds')).sort();
