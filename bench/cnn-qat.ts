/**
 * What convolutional networks lose in integers, and what training brings back: top-1 on labelled pictures that neither
 * calibration nor training sees, and divergence from the float model on the same.
 *
 *   npx tsx bench/cnn-qat.ts [--models resnet8-tiny,resnet20-cifar,mobilenetv2,mnist-opset8] [--kinds a8w8,a8w4,w4]
 *       [--ways none,default,round,qat] [--steps 200] [--rate 1e-3] [--batch 32] [--augment flip,shift] [--target cpu]
 *       [--threads 2] [--keep folder]
 *
 * a8w8 and a8w4 run on the integer kernels of the target, weights within ±127 and ±7 (trained ones from −8); w4 has float
 * activations. Ways without training: `none` is ranges from least to most and the nearest integers, `default` what
 * `compile` does by itself, `round` scales of least squared error and weights rounded together (round-weights). Recovered
 * is (trained − none)/(float − none), of top-1 and of divergence. Rows come as they are measured.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openData } from '../src/calibration/data.js';
import type { DataSet } from '../src/calibration/dataset.js';
import { resolveRequested } from '../src/compile/each-target.js';
import type { Augmentation } from '../src/compile/finetune/augment.js';
import { finetune } from '../src/compile/finetune/finetune.js';
import { candidatesOf } from '../src/compile/finetune/plan.js';
import { canonicalCopy } from '../src/compile/finetune/trainable.js';
import { compile } from '../src/compile.js';
import { setConstant } from '../src/ir/edit.js';
import { Tensor } from '../src/ir/tensor.js';
import { readModel } from '../src/onnx/read.js';
import { writeModel } from '../src/onnx/write.js';
import { withSession } from '../src/runtime/session.js';
import { defineTarget, type Target } from '../src/target/target.js';
import { putOnGrid } from '../src/training/fit-grid.js';
import { sharedPath } from '../test/shared.js';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'resnet8-tiny,resnet20-cifar,mobilenetv2,mnist-opset8' },
    kinds: { type: 'string', default: 'a8w8,a8w4,w4' },
    ways: { type: 'string', default: 'none,default,round,qat' },
    steps: { type: 'string' },
    rate: { type: 'string' },
    batch: { type: 'string', default: '32' },
    augment: { type: 'string' },
    target: { type: 'string', default: 'cpu' },
    threads: { type: 'string', default: '2' },
    keep: { type: 'string' },
  },
});
type Kind = 'a8w8' | 'a8w4' | 'w4';
type Way = 'none' | 'default' | 'round' | 'qat';

const threads = Number(options.threads);
const target = resolveRequested([options.target])[0]!;
/** The same kernels, weights of no more than 4 bits: what they hold is stored in 8. */
const fourBits: Target = defineTarget({
  ...target,
  name: `${target.name}-w4`,
  weight: { dtype: 'int8', limit: 7 },
});

interface Answers {
  /** Probabilities, sample after sample. */
  readonly rows: readonly Float64Array[];
  readonly top1: number;
}

async function answersOf(file: string, data: DataSet): Promise<Answers> {
  const rows: Float64Array[] = [];
  await withSession(file, { threads }, async (session) => {
    for await (const { feeds, padding } of data.batches()) {
      const [output] = Object.values(await session.run(feeds)) as [Tensor];
      const classes = output.shape.at(-1)!;
      const values = output.toFloat32();
      const count = values.length / classes - padding;
      for (let at = 0; at < count; at++)
        rows.push(probabilities(values.subarray(at * classes, (at + 1) * classes)));
    }
  });
  const right = rows.filter((row, at) => row.indexOf(Math.max(...row)) === data.labels![at]).length;
  return { rows, top1: right / rows.length };
}

/** Some models end with a Softmax, others with what it would read. */
function probabilities(row: Float32Array): Float64Array {
  const sum = row.reduce((total, each) => total + each, 0);
  if (row.every((each) => each >= 0) && Math.abs(sum - 1) < 1e-2) return Float64Array.from(row);
  const top = Math.max(...row);
  const powers = Float64Array.from(row, (each) => Math.exp(each - top));
  const whole = powers.reduce((total, each) => total + each, 0);
  return powers.map((each) => each / whole);
}

function divergence(float: Answers, other: Answers): number {
  const LEAST = 1e-10;
  const all = float.rows.map((row, at) =>
    row.reduce(
      (sum, p, each) => sum + (p <= LEAST ? 0 : p * Math.log(p / Math.max(other.rows[at]![each]!, LEAST))),
      0,
    ),
  );
  return all.reduce((sum, each) => sum + each, 0) / all.length;
}

/** Static integers without training. @returns the compiled file */
async function compiled(model: string, folder: string, out: string, kind: Kind, way: Way): Promise<string> {
  const [report] = await compile({
    model,
    targets: [kind === 'a8w4' ? fourBits : target],
    precision: 'int8',
    calib: folder,
    out,
    cache: false,
    threads,
    ...(way === 'none' && { algorithms: ['none'], ranges: 'minmax' as const }),
    ...(way === 'round' && { algorithms: ['equalize-layers', 'clip-weights', 'round-weights'] }),
  });
  return join(out, report!.files[0]!.path);
}

/** Weights at the points of their grids, activations float: the nearest with the whole range, or with the least error. */
async function weightsAlone(model: string, out: string, way: Way): Promise<string> {
  const open = await canonicalCopy(readModel(model));
  const values = new Map([...open.graph.initializers].map((value) => [value.name, value]));
  for (const { name, weight, grid } of candidatesOf(open, { bits: 4 })) {
    const steps = grid.scale.toFloat32();
    const whole =
      way === 'none' ? Tensor.floats(largestOf(weight, grid.axis!).map((each) => each / 7 || 1)) : undefined;
    setConstant(
      values.get(name)!,
      putOnGrid(weight, { ...grid, scale: whole ?? Tensor.floats(steps) }).values,
    );
  }
  mkdirSync(out, { recursive: true });
  const file = join(out, 'rounded.onnx');
  await writeModel(open, file);
  return file;
}

function largestOf(weight: Tensor, axis: number): Float32Array {
  const inner = weight.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const size = weight.shape[axis]!;
  const largest = new Float32Array(size);
  weight.toFloat32().forEach((each, at) => {
    const channel = Math.floor(at / inner) % size;
    largest[channel] = Math.max(largest[channel]!, Math.abs(each));
  });
  return largest;
}

async function trained(model: string, folder: string, out: string, kind: Kind): Promise<string> {
  const report = await finetune({
    model,
    calib: folder,
    out: join(out, 'trained.onnx'),
    bits: kind === 'a8w8' ? 8 : 4,
    freeze: 'none',
    batch: Number(options.batch),
    threads,
    ...(kind !== 'w4' && { static: options.target }),
    ...(options.steps && { steps: Number(options.steps) }),
    ...(options.rate && { rate: Number(options.rate) }),
    ...(options.augment && { augment: options.augment.split(',') as Augmentation[] }),
  });
  const { before, after } = report.heldOut;
  const loss = `${before.toPrecision(3)} → ${after.toPrecision(3)} held out`;
  console.error(`  ${kind}: ${report.steps} steps at ${report.rate}, ${loss}`);
  const [written] = await compile({
    model: join(out, 'trained.onnx'),
    targets: [target],
    precision: kind === 'w4' ? 'int8-weights' : 'int8',
    out: join(out, 'compiled'),
    cache: false,
    threads,
  });
  return join(out, 'compiled', written!.files[0]!.path);
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
const WIDTHS = [16, 6, 9, 10, 11, 9, 12, 12];
const print = (cells: readonly string[]): void =>
  console.log(
    cells
      .map((cell, at) => cell.padEnd(WIDTHS[at]!))
      .join('')
      .trimEnd(),
  );

async function measure(name: string, place: string): Promise<void> {
  const folder = sharedPath('models', name);
  if (folder === undefined) return;
  const model = join(folder, 'model.onnx');
  const data = (await openData(folder, 'eval', readModel(model).graph.inputs)).rebatched(32);
  const float = await answersOf(model, data);
  print([name, 'float', '', percent(float.top1), '', `${statSync(model).size >> 10} kB`]);
  for (const kind of options.kinds.split(',') as Kind[]) {
    let plain: { top1: number; divergence: number } | undefined;
    for (const way of options.ways.split(',') as Way[]) {
      if (kind === 'w4' && way === 'default') continue;
      const out = join(place, name, `${kind}-${way}`);
      const started = performance.now();
      const file =
        way === 'qat'
          ? await trained(model, folder, out, kind)
          : kind === 'w4'
            ? await weightsAlone(model, out, way)
            : await compiled(model, folder, out, kind, way);
      const seconds = (performance.now() - started) / 1000;
      const answers = await answersOf(file, data);
      const now = { top1: answers.top1, divergence: divergence(float, answers) };
      if (way === 'none') plain = now;
      const recovered = plain &&
        way !== 'none' && [
          percent((now.top1 - plain.top1) / (float.top1 - plain.top1)),
          percent(1 - now.divergence / plain.divergence),
        ];
      const cells = [percent(now.top1), now.divergence.toPrecision(3), `${statSync(file).size >> 10} kB`];
      print([name, kind, way, ...cells, ...(recovered || ['', '']), `${seconds.toFixed(0)} s`]);
      if (options.keep) copyFileSync(file, join(options.keep, `${name}-${kind}-${way}.onnx`));
    }
  }
}

const place = mkdtempSync(join(tmpdir(), 'quantc-cnn-qat-'));
try {
  print(['model', 'kind', 'way', 'top-1', 'divergence', 'bytes', 'top-1 back', 'div. back']);
  for (const name of options.models.split(',')) await measure(name, place);
} finally {
  rmSync(place, { recursive: true, force: true });
}
