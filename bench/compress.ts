/**
 * What pruning and palettes cost and gain: score on held-out data, bytes, bytes once compressed, and latency beside the
 * float file in the same minute. Each row is printed as soon as it is known.
 *
 *   npx tsx bench/compress.ts [--models resnet8-tiny,resnet20-cifar,kwt1-keyword,stories260k,shakewiki-3.4m,mobilenetv2]
 *       [--kinds prune,palettes] [--prune magnitude:50%,wanda:50%,…] [--bits 8,6,4,3,2] [--channels 16]
 *       [--precision float] [--rounds 15] [--threads 2]
 *
 * Each palette is made twice: all weights alike (plain), and by what errors cost over the calibration data (fisher).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openData } from '../src/calibration/data.js';
import { parsePaletteBits } from '../src/compile/prune-request.js';
import { type CompileRequest, compile } from '../src/compile.js';
import type { Tensor } from '../src/ir/tensor.js';
import { readModel } from '../src/onnx/read.js';
import { parsePrecision } from '../src/recipe-precisions.js';
import { race } from '../src/runtime/latency.js';
import { sharedPath } from '../test/shared.js';

const MODELS = 'resnet8-tiny,resnet20-cifar,kwt1-keyword,stories260k,shakewiki-3.4m,mobilenetv2';
const PRUNE = ['magnitude', 'wanda', 'sparsegpt'].flatMap((method) =>
  ['50%', '75%', '2:4'].map((much) => `${method}:${much}`),
);
const WIDTHS = [16, 26, 20, 10, 10, 10, 9, 8];

const row = (...cells: readonly (string | number)[]): void =>
  console.log(
    cells
      .map((cell, at) => String(cell)[at === 0 || at === 1 ? 'padEnd' : 'padStart'](WIDTHS[at] ?? 8))
      .join(' '),
  );

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: MODELS },
    kinds: { type: 'string', default: 'prune,palettes' },
    prune: { type: 'string', default: PRUNE.join() },
    bits: { type: 'string', default: '8,6,4,3,2' },
    channels: { type: 'string', default: '' },
    precision: { type: 'string', default: 'float' },
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string', default: '2' },
  },
});

const out = mkdtempSync(join(tmpdir(), 'quantc-compress-'));
const threads = Number(options.threads);

async function measure(
  name: string,
  what: string,
  request: Partial<CompileRequest>,
  plain = false,
): Promise<void> {
  const folder = sharedPath('models', name)!;
  const model = join(folder, 'model.onnx');
  const started = performance.now();
  const [report] = await compile({
    model,
    precision: parsePrecision(options.precision),
    ...(!plain && { calib: folder }),
    eval: folder,
    out,
    threads,
    // What errors cost is found once for all palettes of a model.
    cache: join(out, 'cache'),
    ...request,
  });
  const seconds = (performance.now() - started) / 1000;
  const { evaluation } = report!.proof;
  const figure = (value: number): string =>
    evaluation!.metric === 'top1' ? `${(100 * value).toFixed(2)} %` : value.toFixed(3);
  const data = await openData(folder, 'eval', readModel(model).graph.inputs);
  const feeds: Readonly<Record<string, Tensor>>[] = [];
  for await (const each of data.first(1).rebatched(1)) feeds.push(each);
  const contenders = [
    { name: 'float', model },
    { name: 'ours', model: join(out, report!.files[0]!.path) },
  ];
  const [float, ours] = await race(contenders, feeds, { threads, rounds: Number(options.rounds) });
  const { before, after } = report!.deflated!;
  row(
    name,
    what,
    evaluation ? `${figure(evaluation.float)} → ${figure(evaluation.quantized)}` : '',
    report!.bytesBefore,
    report!.bytesAfter,
    after,
    `${(after / before).toFixed(2)}×`,
    `${(ours!.median / float!.median).toFixed(2)}×`,
    `${seconds.toFixed(0)} s`,
  );
}

row('model', 'what', 'float → ours', 'bytes', 'ours', 'deflated', 'of float', 'latency', 'made in');
try {
  for (const name of options.models.split(',')) {
    if (sharedPath('models', name) === undefined) continue;
    const kinds = options.kinds.split(',');
    if (kinds.includes('prune'))
      for (const prune of options.prune.split(',')) await measure(name, prune, { prune });
    if (!kinds.includes('palettes')) continue;
    for (const bits of options.bits.split(',').map(parsePaletteBits)) {
      const channels = options.channels === '' ? {} : { paletteChannels: Number(options.channels) };
      const group = options.channels === '' ? '' : `, ${options.channels} channels`;
      await measure(name, `${bits} bits plain${group}`, { palettize: bits, ...channels }, true);
      await measure(name, `${bits} bits fisher${group}`, { palettize: bits, ...channels });
    }
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
