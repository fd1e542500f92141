/**
 * Races what quantc makes of real models against the float originals and the best files that peers made of them:
 * size, score on held-out data, latency side by side in one process.
 *   npm run bench -- [--models resnet,kwt] [--kinds static,dynamic,weights,int4,blocks,auto] [--rounds 30] [--threads 2]
 *       [--tokens 1] [--file mine.onnx] [--json file]
 * With --tokens the race is on the first so many of each text, as a decoder reads them one by one; scores are of whole
 * texts all the same. --file is a model of your own, fed with random numbers.
 */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openData } from '../src/calibration/data.js';
import type { DataSet, Feeds } from '../src/calibration/dataset.js';
import { evaluate } from '../src/calibration/evaluate.js';
import { syntheticData } from '../src/calibration/synthetic.js';
import { compile } from '../src/compile.js';
import { Tensor } from '../src/ir/tensor.js';
import { readModel } from '../src/onnx/read.js';
import type { TargetReport } from '../src/report/report.js';
import { race } from '../src/runtime/latency.js';
import { withSession } from '../src/runtime/session.js';
import { sharedPath } from '../test/shared.js';

const MODELS = [
  'shapes-cnn',
  'signal-transformer',
  'mobilenetv2',
  'resnet20-cifar',
  'resnet8-tiny',
  'mnist-opset8',
  'yolox-nano',
  'ultraface-rfb320',
  'ppocr-det',
  'espcn-x3',
  'style-starry',
  'kwt1-keyword',
  'magika',
  'stories260k',
  'shakewiki-3.4m',
  'silero-vad',
  'nsnet2-gru',
  'bert-tiny-messy',
  'qdq-mobilenetv2',
] as const;
const KINDS = {
  static: 'int8',
  dynamic: 'int8-dynamic',
  weights: 'int8-weights',
  int4: 'int4',
  blocks: 'int8-blocks',
  auto: 'auto',
} as const;
type Kind = keyof typeof KINDS;

interface Row {
  readonly model: string;
  readonly kind: Kind;
  readonly compileSeconds: number;
  readonly metric: string;
  readonly samples: number;
  readonly score: { readonly float?: number; readonly ours?: number; readonly peer?: number };
  /** Bytes relative to the float file. */
  readonly size: { readonly ours: number; readonly peer?: number };
  /** Median latency relative to the float file's, in one run; a second session of that file tells the noise. */
  readonly latency: {
    readonly floatMs: number;
    readonly again: number;
    readonly ours: number;
    readonly peer?: number;
  };
}

const { values: options } = parseArgs({
  options: {
    models: { type: 'string' },
    kinds: { type: 'string', default: 'static,dynamic' },
    rounds: { type: 'string', default: '30' },
    threads: { type: 'string', default: '2' },
    tokens: { type: 'string' },
    file: { type: 'string' },
    json: { type: 'string' },
  },
});
const threads = Number(options.threads);
const added = options.file && basename(options.file, '.onnx');
const wanted = options.models?.split(',') ?? (added ? [added] : undefined);
const rows: Row[] = [];
const failures: string[] = [];
const root = mkdtempSync(join(tmpdir(), 'quantc-bench-'));
try {
  for (const name of [...MODELS, ...(added ? [added] : [])]) {
    if (wanted && !wanted.some((part) => name.includes(part))) continue;
    const folder = name === added ? dirname(options.file!) : (ownPath(name) ?? sharedPath('models', name));
    if (folder === undefined) {
      console.warn(`!!! shared model ${name} is not there: skipped`);
      continue;
    }
    for (const kind of options.kinds.split(',') as Kind[]) {
      try {
        const row = await benchOne(name, folder, kind);
        rows.push(row);
        console.log(line(row));
      } catch (error) {
        failures.push(`${name} ${kind}: ${error instanceof Error ? error.message : error}`);
        console.log(`${name} ${kind} FAILED: ${failures.at(-1)}`);
      }
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
summary();
if (options.json) writeFileSync(options.json, JSON.stringify(rows, undefined, 1));
if (failures.length > 0) process.exitCode = 1;

/** The models of this project lie beside its sources. */
function ownPath(name: string): string | undefined {
  const folder = fileURLToPath(new URL(`../models/${name}`, import.meta.url));
  return existsSync(folder) ? folder : undefined;
}

async function benchOne(name: string, folder: string, kind: Kind): Promise<Row> {
  const float = name === added ? options.file! : join(folder, 'model.onnx');
  const hasData = name !== added && existsSync(join(folder, 'data.json'));
  const out = join(root, `${name}-${kind}`);
  const start = performance.now();
  const [report] = (await compile({
    model: float,
    precision: KINDS[kind],
    out,
    ...(hasData && { calib: folder }),
  })) as [TargetReport];
  const compileSeconds = (performance.now() - start) / 1000;
  const ours = join(out, report.files[0]!.path);
  const peers = sharedPath('models', 'peers');
  const peerFile = peers && join(peers, `${name}.ort-${kind}.onnx`);
  const peer = peerFile && existsSync(peerFile) ? peerFile : undefined;
  const inputs = readModel(float).graph.inputs;
  const data = hasData ? await openData(folder, 'eval', inputs) : syntheticData(inputs);
  const score: { float?: number; ours?: number; peer?: number } = {};
  let metric = 'sqnr';
  await withSession(float, { threads }, async (reference) => {
    const of = async (path: string) =>
      withSession(path, { threads }, async (session) => {
        const found = await evaluate(session, data, { reference });
        metric = found.metric;
        return found.value;
      });
    score.ours = await of(ours);
    if (peer) score.peer = await of(peer);
    if (metric !== 'sqnr') score.float = await of(float);
  });
  const one = cut(await firstFeed(data));
  const contenders = [
    { name: 'float', model: float },
    { name: 'ours', model: ours },
    { name: 'float again', model: float },
    ...(peer ? [{ name: 'peer', model: peer }] : []),
  ];
  const times = await race(contenders, [one], { rounds: Number(options.rounds), warmup: 5, threads });
  const median = new Map(times.map((each) => [each.name, each.median]));
  const bytes = report.bytesBefore;
  const [base, again] = [median.get('float')!, median.get('float again')!];
  return {
    model: name,
    kind,
    compileSeconds,
    metric,
    samples: data.count,
    score,
    size: { ours: report.bytesAfter / bytes, ...(peer && { peer: statSync(peer).size / bytes }) },
    latency: {
      floatMs: base,
      again: again / base,
      ours: median.get('ours')! / base,
      ...(peer && { peer: median.get('peer')! / base }),
    },
  };
}

/** One sample, as an application would run it; data with a fixed batch keep it. */
async function firstFeed(data: DataSet) {
  for await (const feeds of data.first(1)) return feeds;
  throw new Error('no feed');
}

/** The first tokens of what is integers, [batch, tokens]. */
function cut(feeds: Feeds): Feeds {
  const tokens = Number(options.tokens ?? Number.POSITIVE_INFINITY);
  const fewer = ([name, tensor]: [string, Tensor]): [string, Tensor] => {
    const [batch = 1, length = 1] = tensor.shape;
    if (tensor.shape.length !== 2 || !/^u?int/.test(tensor.dtype) || length <= tokens) return [name, tensor];
    const width = tensor.bytes().length / (batch * length);
    return [name, Tensor.of(tensor.dtype, [1, tokens], tensor.bytes().slice(0, tokens * width))];
  };
  return Object.fromEntries(Object.entries(feeds).map(fewer));
}

function line({ model, kind, metric, score, size, latency, compileSeconds }: Row): string {
  const number = (value: number | undefined, digits: number) =>
    value === undefined ? '–' : value.toFixed(digits);
  const scores = [score.float, score.ours, score.peer].map((each) => number(each, 4)).join(' / ');
  return [
    model.padEnd(17),
    kind.padEnd(7),
    `${metric} float/ours/peer ${scores}`.padEnd(52),
    `size ${number(size.ours, 3)} peer ${number(size.peer, 3)}`.padEnd(24),
    `latency ${number(latency.floatMs, 3)} ms × ${number(latency.ours, 2)} peer × ${number(latency.peer, 2)}`.padEnd(
      42,
    ),
    `float again × ${number(latency.again, 2)}`,
    `compiled in ${number(compileSeconds, 1)} s`,
  ].join('  ');
}

function summary(): void {
  const mean = (values: number[]) =>
    Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const all = rows.filter((row) => row.kind === kind);
    const raced = all.filter((row) => row.latency.peer !== undefined);
    if (all.length === 0) continue;
    // What two sessions of one file differ by says nothing about two files.
    const noise = Math.max(...all.map(({ latency }) => Math.abs(latency.again - 1)));
    const slower = all
      .filter((row) => row.latency.ours > 1)
      .map((row) => `${row.model} ×${row.latency.ours.toFixed(2)}`);
    const better = (row: Row) => (row.metric === 'perplexity' ? -1 : 1);
    const worse = raced
      .filter((row) => (row.score.ours! - row.score.peer!) * better(row) < 0)
      .map((row) => row.model);
    console.log(`\n${kind}: ${all.length} models, ${raced.length} with a peer's file`);
    console.log(
      `  latency, geometric mean: ours × ${mean(all.map((row) => row.latency.ours)).toFixed(3)} of float`,
    );
    if (raced.length > 0) {
      console.log(
        `  on the peer's models: ours × ${mean(raced.map((row) => row.latency.ours)).toFixed(3)}, peer × ${mean(
          raced.map((row) => row.latency.peer!),
        ).toFixed(
          3,
        )}, ours / peer ${mean(raced.map((row) => row.latency.ours / row.latency.peer!)).toFixed(3)}`,
      );
    }
    console.log(
      `  slower than float: ${slower.join(', ') || 'none'} (two float sessions differ by up to ${(100 * noise).toFixed(0)} %)`,
    );
    console.log(`  score below the peer's: ${worse.join(', ') || 'none'}`);
  }
}
