/**
 * Weight-only quantization: time, memory and bytes of a large decoder beside copying its file in the same minute; and
 * what the shared language models lose to it and gain by it.
 *
 *   npm run build && npx tsx bench/weights.ts [folder] [--shape 1b|7b] [--repeats 1] [--kinds rtn,mse,…] [--models no] [--ways 'rtn,own texts']
 *
 * The model is made in the folder when it is absent, and kept; without a folder the language models alone are measured.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeLlama, SHAPES } from '../models/make-llama.js';
import { syntheticData } from '../src/calibration/synthetic.js';
import { type CompileRequest, compile } from '../src/compile.js';
import { readModel } from '../src/onnx/read.js';
import { race } from '../src/runtime/latency.js';
import { sharedPath } from '../test/shared.js';

const COMMAND = join(import.meta.dirname, '../dist/src/cli/main.js');
/** Arguments of each kind of compilation. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  rtn: ['--precision', 'int4', '--weight-method', 'rtn', '--symmetric-weights'],
  mse: ['--precision', 'int4', '--weight-method', 'mse'],
  hqq: ['--precision', 'int4', '--weight-method', 'hqq'],
  int8: ['--precision', 'int8-dynamic'],
};

interface Run {
  readonly seconds: number;
  /** Of the processor, all threads together. */
  readonly busy?: number;
  readonly megabytes?: number;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** One command under GNU time, which tells the whole of it, start of the process included. */
function timed(command: string, args: readonly string[]): Run {
  const { stderr, status } = spawnSync('/usr/bin/time', ['-f', '%e %U %S %M', command, ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stderr}`);
  const [seconds, user, system, kilobytes] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number);
  return { seconds: seconds!, busy: user! + system!, megabytes: kilobytes! / 1024 };
}

async function large(
  folder: string,
  shape: string,
  repeats: number,
  kinds: readonly string[],
): Promise<void> {
  const path = join(folder, 'llama.onnx');
  if (!existsSync(path)) {
    console.log(`making ${path}`);
    await makeLlama(folder, SHAPES[shape]!);
  }
  const data = `${path}_data`;
  execFileSync('cat', [data], { stdio: ['ignore', 'ignore', 'inherit'] });
  const runs: Record<string, Run[]> = {};
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const kind of ['copy', ...kinds]) {
      const out = join(folder, 'out');
      mkdirSync(out, { recursive: true });
      const args = kind === 'copy' ? [data, out] : [COMMAND, 'compile', path, '--out', out, ...KINDS[kind]!];
      const run = timed(kind === 'copy' ? 'cp' : process.execPath, args);
      runs[kind] = [...(runs[kind] ?? []), run];
      const bytes = readdirSync(out).reduce((sum, name) => sum + statSync(join(out, name)).size, 0);
      rmSync(out, { recursive: true });
      const { seconds, busy, megabytes } = run;
      console.log(
        `${kind.padEnd(5)} ${seconds.toFixed(2)} s, ${(seconds / median(runs['copy']!.map((each) => each.seconds))).toFixed(2)}× copy, ` +
          `${busy!.toFixed(2)} s of processor, ${megabytes!.toFixed(0)} MB at most, ${(bytes / 1e6).toFixed(0)} MB written`,
      );
    }
  }
}

/** What is asked for: all but the last know the model alone. */
const METHODS: Readonly<Record<string, Partial<CompileRequest>>> = {
  rtn: { weightMethod: 'rtn', symmetricWeights: true },
  mse: { weightMethod: 'mse' },
  hqq: { weightMethod: 'hqq' },
  'own texts': {},
  'with data': {},
};

/** Held-out perplexity by method, and the time of one token beside the float model's. */
async function languageModel(name: string): Promise<void> {
  const folder = sharedPath('models', name);
  if (folder === undefined) {
    console.log(`${name} is not there`);
    return;
  }
  const model = join(folder, 'model.onnx');
  let first = Number.NaN;
  for (const [method, asked] of Object.entries(METHODS)) {
    if (values.ways !== undefined && !values.ways.split(',').includes(method)) continue;
    const out = mkdtempSync(join(tmpdir(), 'quantc-weights-'));
    const [report] = await compile({
      ...{ model, out, precision: 'int4', eval: folder, cache: false, ...asked },
      ...(method === 'with data' && { calib: folder }),
    });
    const { float, quantized } = report!.proof.evaluation!;
    if (Number.isNaN(first)) first = quantized - float;
    const share = (100 * (quantized - float)) / first;
    console.log(
      `${name} ${method.padEnd(9)} ${(report!.bytesAfter / 1e6).toFixed(2)} MB, perplexity ${float.toFixed(3)} → ` +
        `${quantized.toFixed(3)}, ${share.toFixed(0)} % of what plain rounding adds`,
    );
    if (method === 'own texts') await decode(name, model, join(out, report!.files[0]!.path));
    rmSync(out, { recursive: true });
  }
}

/** One token at a time, both models in one process, taking turns, on one thread and on two. */
async function decode(name: string, float: string, quantized: string): Promise<void> {
  const data = syntheticData(readModel(float).graph.inputs, { count: 1, dims: { B: 1, T: 1 } });
  const feeds = [];
  for await (const feed of data) feeds.push(feed);
  const contenders = [
    { name: 'float', model: float },
    { name: 'int4', model: quantized },
  ];
  for (const threads of [1, 2]) {
    const found = await race(contenders, feeds, { rounds: 300, warmup: 20, threads });
    const told = found.map(
      (each) => `${each.name} ${each.median.toFixed(3)} ms (least ${each.min.toFixed(3)})`,
    );
    console.log(`${name} one token, ${threads} threads: ${told.join(', ')}`);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shape: { type: 'string', default: '1b' },
    repeats: { type: 'string', default: '1' },
    kinds: { type: 'string', default: Object.keys(KINDS).join(',') },
    models: { type: 'string', default: 'yes' },
    ways: { type: 'string' },
  },
});
if (positionals[0] !== undefined)
  await large(positionals[0], values.shape, Number(values.repeats), values.kinds.split(','));
if (values.models === 'yes') for (const name of ['stories260k', 'shakewiki-3.4m']) await languageModel(name);
