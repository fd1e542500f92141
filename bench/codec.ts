/**
 * What reading and writing a large model costs: `npx tsx bench/codec.ts [--mib 500] [--folder …]`. Makes a model of that
 * size (and one of twice it with external data), then times, each in a process of its own: a plain copy of the file,
 * reading, reading and writing, and decoding and encoding in memory; with the peak of resident memory.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  addInitializer,
  createNode,
  encodeModel,
  Graph,
  Model,
  readModel,
  Tensor,
  writeModel,
} from '../src/index.js';
import { decodeModel } from '../src/onnx/read.js';

const ACTIONS: Record<string, (path: string) => unknown> = {
  'start alone': () => undefined,
  'copy the file': (path) => {
    for (const file of [path, `${path}_data`])
      if (existsSync(file)) copyFileSync(file, join(path, '../out', basename(file)));
  },
  'read, weights left in the file': (path) => readModel(path),
  'read and write': (path) => writeModel(readModel(path), join(path, '../out/out.onnx')),
  'decode and encode in memory': (path) => encodeModel(decodeModel(readFileSync(path), { file: path })),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { mib: { type: 'string', default: '500' }, folder: { type: 'string', default: tmpdir() } },
});

if (positionals.length === 2) {
  const start = performance.now();
  await ACTIONS[positionals[0]!]!(positionals[1]!);
  const took = performance.now() - start;
  console.log(JSON.stringify({ took, rss: process.resourceUsage().maxRSS * 1024 }));
} else {
  const folder = mkdtempSync(join(values.folder, 'quantc-bench-'));
  try {
    const mib = Number(values.mib);
    await compare(folder, 'inside', mib, Object.keys(ACTIONS));
    await compare(folder, 'external', mib * 2, Object.keys(ACTIONS).slice(0, 4));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function compare(folder: string, name: string, mib: number, actions: readonly string[]): Promise<void> {
  const path = join(folder, `${name}.onnx`);
  await writeModel(largeModel(join(folder, 'weights.bin'), mib), path, {
    externalData: name === 'external' ? 'always' : 'never',
  });
  console.log(`${mib} MiB, weights ${name} (${statSync(path).size} bytes)`);
  // Round by round, not action by action: the disk is slower for whoever comes after much writing.
  const runs = new Map(actions.map((action) => [action, [] as { took: number; rss: number }[]]));
  for (let round = 0; round < 3; round++) {
    for (const action of round % 2 ? [...actions].reverse() : actions) {
      // A fresh folder every time: writing over a file that is still in the page cache is cheaper.
      rmSync(join(folder, 'out'), { recursive: true, force: true });
      mkdirSync(join(folder, 'out'));
      const command = [...process.execArgv, import.meta.filename, action, path];
      const child = spawnSync(process.execPath, command, { encoding: 'utf8' });
      if (child.status !== 0) throw new Error(child.stderr);
      runs.get(action)!.push(JSON.parse(child.stdout));
    }
  }
  for (const [action, made] of runs) {
    const took = made.map((run) => run.took).sort((a, b) => a - b)[1]!;
    const peak = Math.max(...made.map((run) => run.rss)) / 2 ** 20;
    console.log(
      `  ${action.padEnd(32)} ${took.toFixed(0).padStart(7)} ms ${peak.toFixed(0).padStart(6)} MiB peak`,
    );
  }
}

/** Tensors of 16 MiB, all views of one file of noise. */
function largeModel(weights: string, mib: number): Model {
  const bytes = 16 << 20;
  const file = openSync(weights, 'w');
  const noise = new Float32Array(bytes / 4);
  for (let i = 0; i < noise.length; i++) noise[i] = Math.sin(i * 12.9898) * 0.1;
  writeSync(file, noise);
  const graph = new Graph('large');
  for (let i = 0; i < Math.ceil(mib / 16); i++) {
    const source = { kind: 'file', path: weights, offset: 0, length: bytes } as const;
    const weight = addInitializer(graph, new Tensor('float', [2048, 2048], source), `w${i}`);
    createNode({ endOf: graph }, { opType: 'Identity', inputs: [weight], outputs: [`y${i}`] });
  }
  return new Model(graph);
}
