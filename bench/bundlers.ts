/**
 * Times of builds of one small app with each bundler, the bundler's own modules loaded: nothing kept; a new process that
 * finds the model kept; and the second build of a process. "no bundler" is what the plugin itself takes, its loading
 * included. Wants `npm run build`.
 * Usage: npx tsx bench/bundlers.ts [--bundlers 'no bundler,Vite,Metro'] [--rounds 3]
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ALL = ['no bundler', 'Vite', 'Rollup', 'Rolldown', 'webpack', 'Rspack', 'esbuild', 'Metro'];
const { values } = parseArgs({
  options: {
    bundlers: { type: 'string', default: ALL.join() },
    rounds: { type: 'string', default: '3' },
  },
});

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

const child = fileURLToPath(new URL('./bundlers-child.mjs', import.meta.url));
const rounds = Number(values.rounds);
const measured = (app: string, bundler: string): readonly number[] =>
  JSON.parse(
    execFileSync(process.execPath, [child, app, bundler], { encoding: 'utf8' }).trim().split('\n').at(-1)!,
  );

console.log('ms, medians');
console.log('bundler     nothing kept    kept, new process   kept, same process');
for (const bundler of values.bundlers.split(',')) {
  const cold: (readonly number[])[] = [];
  const warm: (readonly number[])[] = [];
  for (let round = 0; round < rounds; round++) {
    const app = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-bench-bundlers-')));
    cpSync(new URL('../models/shapes-cnn/model.onnx', import.meta.url), join(app, 'models/net.onnx'));
    mkdirSync(join(app, 'node_modules'));
    for (const [name, text] of Object.entries(files())) writeFileSync(join(app, name), text);
    cold.push(measured(app, bundler));
    // What has just been written is hashed again: its times do not yet tell of a change.
    await new Promise((later) => setTimeout(later, 2500));
    measured(app, bundler);
    warm.push(measured(app, bundler));
    rmSync(app, { recursive: true, force: true });
  }
  const column = (times: readonly (readonly number[])[], at: number): string =>
    `${Math.round(median(times.map((each) => each[at]!)))}`.padStart(12);
  console.log(
    `${bundler.padEnd(12)}${column(cold, 0)}${column(warm, 0).padStart(21)}${column(warm, 1).padStart(21)}`,
  );
}

function files(): Record<string, string> {
  const config =
    "{ cache: 'kept', models: { net: { model: 'models/net.onnx', precision: 'int8-dynamic' } } }";
  return {
    'package.json': '{}',
    'node_modules/.keep': '',
    'quantc.config.ts': `import { defineConfig } from 'quantc';\nexport default defineConfig(${config});`,
    'main.js': "import url from './models/net.onnx?quantc';\nconsole.log(url);",
    'index.html': '<script type="module" src="./main.js"></script>',
    'index.js': "globalThis.model = require('./models/net.onnx');",
    'registry.js': 'module.exports = { registerAsset: (asset) => asset };',
  };
}
