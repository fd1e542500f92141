/**
 * Time and memory of calibration over many pictures, beside the best peer's. Every run is a process of its own, so that
 * its peak memory is its own.
 *
 *   npm run bench:calibration [-- <shared models folder> [counts=100,300,1000] [methods=percentile,entropy] [threads]]
 *
 * The 40 pictures that come with the model are shifted and dimmed to make as many as are asked for.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { DataSet } from '../src/calibration/dataset.js';
import { openData } from '../src/calibration/index.js';
import { parseRangeMethod } from '../src/compile/range-method.js';
import { observeRanges } from '../src/compile/ranges.js';
import { canonicalModel } from '../src/explain.js';
import { placementOf, planStatic, Tensor } from '../src/index.js';
import { inferTypes } from '../src/runtime/types.js';
import { resolveTargets } from '../targets/index.js';

const MODEL = 'mobilenetv2';
/** Pictures that the peer calibrated on: all that come with the model. */
const PEER_SAMPLES = 40;

interface Run {
  readonly seconds: number;
  /** Processor time of all threads in seconds: on a machine that is busy with other things, the sounder figure. */
  readonly processor: number;
  /** Peak resident memory of the whole process, loading included, in MB. */
  readonly peak: number;
  /** A fingerprint of the ranges found. */
  readonly ranges: string;
}

/** Each picture again and again, moved along by a pixel and a little darker every time. */
function multiplied(data: DataSet, count: number): DataSet {
  async function* feeds() {
    for (let made = 0, round = 0; made < count; round++) {
      for await (const feed of data) {
        if (made++ >= count) return;
        const changed = Object.entries(feed).map(([name, tensor]) => {
          const from = tensor.toFloat32();
          const to = Float32Array.from(from, (_, i) => from[(i + round) % from.length]! * (1 - round / 100));
          return [name, Tensor.floats(to, tensor.shape)] as const;
        });
        yield Object.fromEntries(changed);
      }
    }
  }
  const set: DataSet = {
    source: data.source,
    synthetic: false,
    count,
    batch: 1,
    batches: async function* () {
      let start = 0;
      for await (const each of feeds()) yield { feeds: each, start: start++, count: 1, padding: 0 };
    },
    [Symbol.asyncIterator]: feeds,
    first: (some) => multiplied(data, Math.min(some, count)),
    rebatched: () => set,
    digest: () => `${data.digest()} × ${count}`,
  };
  return set;
}

async function calibrateOnce(folder: string, method: string, count: number, threads: number): Promise<Run> {
  const model = await canonicalModel(join(folder, MODEL, 'model.onnx'));
  await inferTypes(model);
  const plan = planStatic(model.graph, resolveTargets(['cpu'])[0]!);
  const parameters = [...placementOf(plan).values.values()];
  const values = new Set(parameters.flatMap((each) => (each.kind === 'range' ? [each.of] : [])));
  const data = (await openData(join(folder, MODEL), 'calib', model.graph.inputs)).rebatched(1);
  const began = performance.now();
  const usedBefore = process.cpuUsage();
  const found = await observeRanges(
    model,
    [...values],
    multiplied(data, count),
    { threads },
    parseRangeMethod(method),
  );
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(usedBefore);
  const processor = (used.user + used.system) / 1e6;
  const ranges = [...found.values()].map(({ min, max }) => min + max).reduce((a, b) => a + b, 0);
  return { seconds, processor, peak: process.resourceUsage().maxRSS / 1000, ranges: ranges.toPrecision(17) };
}

interface Figures {
  readonly [model: string]: { readonly all: readonly { readonly tag: string; readonly compile_s: number }[] };
}

function main(folder: string, counts: readonly number[], methods: readonly string[], threads: number): void {
  const figures = JSON.parse(readFileSync(join(folder, 'peers', 'figures.json'), 'utf8')) as Figures;
  const rows: Record<string, unknown>[] = [];
  for (const method of methods) {
    const theirs = figures[MODEL]!.all.filter(({ tag }) => tag.toLowerCase().includes(`_${method}_`));
    const least = Math.min(...theirs.map(({ compile_s }) => compile_s));
    const peer = (1000 * least) / PEER_SAMPLES;
    for (const count of counts) {
      const words = [
        '--import',
        'tsx',
        import.meta.filename,
        '--once',
        folder,
        method,
        `${count}`,
        `${threads}`,
      ];
      const run = JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8' })) as Run;
      const each = (1000 * run.seconds) / count;
      const row = {
        method,
        pictures: count,
        seconds: run.seconds.toFixed(1),
        'ms each': each.toFixed(1),
        'processor ms each': ((1000 * run.processor) / count).toFixed(1),
        'peak MB': Math.round(run.peak),
        'peer, ms each': theirs.length === 0 ? '' : peer.toFixed(0),
        'times faster': theirs.length === 0 ? '' : (peer / each).toFixed(1),
      };
      rows.push(row);
      console.log(`${method}, ${count}: ${row.seconds} s, ${row['peak MB']} MB, ranges ${run.ranges}`);
    }
  }
  console.table(rows);
  console.log(
    `${threads} threads. The peer: its fastest setting of the method, preparation and quantization included, on ` +
      `${PEER_SAMPLES} pictures (peers/figures.json); it holds the activations of all of them.`,
  );
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--once') {
  const [folder, method, count, threads] = rest;
  const run = await calibrateOnce(folder!, method!, Number(count), Number(threads));
  process.stdout.write(JSON.stringify(run));
} else {
  const [counts = '100,300,1000', methods = 'percentile,entropy', threads] = rest;
  const folder = resolve(first ?? join(import.meta.dirname, '..', '..', 'shared', 'models'));
  main(folder, counts.split(',').map(Number), methods.split(','), Number(threads ?? availableParallelism()));
}
