/**
 * `npx tsx bench/canonicalize.ts [model …]`: what the canonicalization passes make of the shared models. For each, the
 * number of nodes before and after, what each pass took away and how long it took, and the largest difference of any
 * output in ONNX Runtime with its optimizer off, on the model's own data or on seeded feeds.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalization } from '../passes/index.js';
import { openData } from '../src/calibration/data.js';
import type { DataSet, Feeds } from '../src/calibration/dataset.js';
import { syntheticData } from '../src/calibration/synthetic.js';
import { cloneModel, type Engine, type Model, readModel, runPipeline, type Tensor } from '../src/index.js';
import { evaluate } from '../src/runtime/fold.js';
import { withSession } from '../src/runtime/session.js';
import { inferTypes } from '../src/runtime/types.js';
import { sharedPath } from '../test/shared.js';

const engine: Engine = {
  inferTypes: async (model) => void (await inferTypes(model)),
  evaluate,
  observe: () => Promise.reject(new Error('canonicalization calibrates nothing')),
};

const nodesOf = (model: Model): number => {
  let count = 0;
  for (const graph of model.graphs()) count += graph.nodeCount;
  return count;
};

async function someFeeds(folder: string, model: Model): Promise<Feeds[]> {
  const signature = model.graph.inputs
    .filter((input) => input.constant === undefined)
    .map((input) => ({ name: input.name, type: input.type }));
  let data: DataSet;
  if (existsSync(join(folder, 'data.json'))) data = await openData(folder, 'calib', signature);
  else data = syntheticData(signature, { count: 2 });
  const feeds: Feeds[] = [];
  for await (const each of data) {
    feeds.push(each);
    if (feeds.length === 2) break;
  }
  return feeds;
}

/** Largest difference, absolute up to 1 and relative to the largest magnitude beyond. */
function largestDifference(a: Tensor, b: Tensor): number {
  if (a.dtype !== b.dtype || String(a.shape) !== String(b.shape)) return Number.POSITIVE_INFINITY;
  const [x, y] = [a.toFloat32(), b.toFloat32()];
  let difference = 0;
  let scale = 1;
  for (let i = 0; i < x.length; i++) {
    scale = Math.max(scale, Math.abs(x[i]!));
    if (!Object.is(x[i], y[i]) && x[i] !== y[i]) difference = Math.max(difference, Math.abs(x[i]! - y[i]!));
  }
  return difference / scale;
}

async function bench(name: string, folder: string): Promise<void> {
  const path = join(folder, 'model.onnx');
  const original = readModel(path);
  const { model } = cloneModel(original);
  const takenBy = new Map<string, number>();
  const changesBy = new Map<string, number>();
  const timeOf = new Map<string, number>();
  const add = (map: Map<string, number>, key: string, amount: number): void =>
    void map.set(key, (map.get(key) ?? 0) + amount);
  let nodes = nodesOf(model);
  const before = nodes;
  const start = performance.now();
  await runPipeline(model, canonicalization, {
    engine,
    verify: true,
    onPass(event) {
      const now = nodesOf(model);
      add(takenBy, event.pass, now - nodes);
      add(changesBy, event.pass, event.changes.length);
      add(timeOf, event.pass, event.milliseconds);
      nodes = now;
    },
  });
  const elapsed = performance.now() - start;
  const feeds = await someFeeds(folder, original);
  const outputs = async (each: Model): Promise<Record<string, Tensor>[]> =>
    withSession(each, { optimization: 'off', threads: 1 }, async (session) => {
      const results: Record<string, Tensor>[] = [];
      for (const feed of feeds) results.push(await session.run(feed));
      return results;
    });
  const [expected, found] = [await outputs(original), await outputs(model)];
  let worst = 0;
  expected.forEach((tensors, at) => {
    for (const [output, tensor] of Object.entries(tensors)) {
      const other = found[at]![output];
      worst = Math.max(worst, other ? largestDifference(tensor, other) : Number.POSITIVE_INFINITY);
    }
  });
  console.log(
    `${name.padEnd(18)} ${String(before).padStart(5)} → ${String(nodes).padStart(5)} nodes` +
      `  ${Math.round(elapsed)} ms  largest difference ${worst.toExponential(1)}`,
  );
  for (const [pass, taken] of takenBy) {
    const changes = changesBy.get(pass)!;
    if (taken === 0 && changes === 0) continue;
    console.log(
      `    ${pass.padEnd(28)} ${String(taken).padStart(6)} nodes ${String(changes).padStart(6)} changes` +
        ` ${String(Math.round(timeOf.get(pass)!)).padStart(6)} ms`,
    );
  }
}

const root = sharedPath('models');
if (root !== undefined) {
  const wanted = process.argv.slice(2);
  for (const name of readdirSync(root).sort()) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    if (!existsSync(join(root, name, 'model.onnx'))) continue;
    try {
      await bench(name, join(root, name));
    } catch (error) {
      console.log(`${name.padEnd(18)} FAILED: ${String(error)}`);
      process.exitCode = 1;
    }
  }
}
