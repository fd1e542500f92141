/**
 * Installs the package that would be published into an empty project, as a stranger does, and uses it there: the
 * command, the library, a plugin from a config, and the types under `strict`, with whatever engine the installation
 * has and once more with the WebAssembly one. The registry must be reachable, or npm's cache filled.
 *
 *   npm run package:try            the project goes away again
 *   npm run package:try <folder>   it stays there
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { npm, pack, root } from './pack.mjs';

const CONFIG = `import { defineConfig, definePass, definePlugin } from 'quantc';

const counted = definePass({
  name: 'count-nodes',
  doc: 'says how many nodes it saw',
  run(model) {
    console.error(\`plugin: \${model.graph.nodeCount} nodes\`);
  },
});

export default defineConfig({
  models: { shapes: { model: 'model.onnx', targets: ['cpu-x64'], precision: 'int8-dynamic' } },
  plugins: [definePlugin({ name: 'own-plugin', passes: [{ pass: counted, after: 'sort-nodes' }] })],
});
`;
const PROGRAM = `import { compile, type TargetReport } from 'quantc';

const [report]: TargetReport[] = await compile({ model: 'model.onnx', targets: ['cpu-x64'], precision: 'int8-dynamic', out: 'library' });
if (report === undefined) throw new Error('no report');
console.log(report.proof.status, report.proof.executor, report.bytesAfter);
// @ts-expect-error there is no such precision
await compile({ model: 'model.onnx', precision: 'int5', out: 'wrong' }).catch((error: { code: string }) => console.log(error.code));
`;
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2023'],
    types: ['node'],
  },
  include: ['*.ts'],
};

const kept = process.argv[2];
const folder = kept === undefined ? mkdtempSync(join(tmpdir(), 'quantc-try-')) : resolve(kept);
const project = join(folder, 'project');
const { name: compiler, version } = { name: 'typescript', version: '6.0.3' };
try {
  mkdirSync(project, { recursive: true });
  const tarball = step('pack', () => pack(mkdtempSync(join(folder, 'pack-'))));
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'stranger', private: true, type: 'module' }),
  );
  copyFileSync(join(root, 'models', 'shapes-cnn', 'model.onnx'), join(project, 'model.onnx'));
  const settings = ['--no-audit', '--no-fund', '--prefer-offline'];
  step('install', () => npm(['install', tarball, ...settings], project));
  const native = existsSync(join(project, 'node_modules', 'onnxruntime-node'));
  console.log(`  onnxruntime-node is ${native ? '' : 'not '}there: a failed install of it is silent`);
  writeFileSync(join(project, 'quantc.config.ts'), CONFIG);
  writeFileSync(join(project, 'program.ts'), PROGRAM);
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  step('doctor', () => quantc('doctor'));
  step('command', () =>
    quantc('compile', 'model.onnx', '--target', 'cpu-x64', '--precision', 'int8-dynamic', '--out', 'command'),
  );
  step('command, WebAssembly', () =>
    quantc('compile', 'model.onnx', '--target', 'cpu-x64', '--precision', 'int8-dynamic', '--out', 'wasm', {
      QUANTC_ENGINE: 'wasm',
    }),
  );
  step('plugin', () => quantc('build', '--out', 'built'));
  step('types', () => {
    npm(['install', '--save-dev', `${compiler}@${version}`, '@types/node@20', ...settings], project);
    return run('npx', ['tsc', '-p', '.']);
  });
  step('library', () => {
    run('npx', ['tsc', '-p', '.', '--noEmit', 'false', '--outDir', 'made']);
    return run(process.execPath, [join('made', 'program.js')]);
  });
  console.log('the package works in a project of its own');
} finally {
  if (kept === undefined) rmSync(folder, { recursive: true, force: true });
}

function step(name, work) {
  const start = performance.now();
  try {
    const result = work();
    console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return result;
  } catch (error) {
    console.error(`${name} fails\n${error.stdout ?? ''}${error.stderr ?? ''}`);
    throw error;
  }
}

function quantc(...words) {
  const env = typeof words.at(-1) === 'object' ? words.pop() : {};
  return run('npx', ['quantc', ...words], env);
}

/** Without what this process was told: a stranger sets nothing. */
function run(command, args, env = {}) {
  const own = Object.entries(process.env).filter(([name]) => !/^(?:QUANTC_|npm_|NODE_OPTIONS)/.test(name));
  return execFileSync(command, args, {
    cwd: project,
    encoding: 'utf8',
    stdio: 'pipe',
    env: { ...Object.fromEntries(own), ...env },
  });
}
