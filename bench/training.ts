/**
 * How long a training step of a decoder takes beside one run of the model as it came, both in this process and by turns:
 * distillation (teacher forward, student forward and backward, clipping, AdamW), plain and with every product's weights on
 * a grid of 4 bits with learned scales.
 *
 *   npx tsx bench/training.ts [model=shakewiki-3.4m] [--batch 4] [--tokens 256] [--rounds 9] [--threads 2]
 */
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { openNpy } from '../src/calibration/npy.js';
import { trainableModel } from '../src/compile/finetune/trainable.js';
import type { Model } from '../src/ir/graph.js';
import { Tensor } from '../src/ir/tensor.js';
import { readModel } from '../src/onnx/read.js';
import { openSession } from '../src/runtime/session.js';
import { signedGrid } from '../src/training/fake-quant.js';
import { TrainingSession } from '../src/training/loop.js';
import { trainingStep, type WeightSpec } from '../src/training/step.js';
import { sharedPath } from '../test/shared.js';

/** What the shared folder's README gives for PyTorch 2.13 on two threads, and how much slower we may be. */
const PYTORCH = 5.8;
const ALLOWED = 1.5;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Every float weight that a node multiplies by or looks up; scales for the columns of products where asked. */
function weightsOf(model: Model, quantized: boolean): WeightSpec[] {
  return [...model.graph.initializers].flatMap((value): WeightSpec[] => {
    const { constant } = value;
    const learns = value.uses.some(
      ({ node, index }) =>
        (node.is('MatMul') && index === 1) ||
        (node.is('Gather') && index === 0) ||
        (node.is('SimplifiedLayerNormalization') && index === 1),
    );
    if (constant?.dtype !== 'float' || !learns) return [];
    const product = value.uses.every(({ node }) => node.is('MatMul')) && constant.shape.length === 2;
    if (!quantized || !product) return [{ name: value.name, pace: {} }];
    const [rows, columns] = constant.shape as [number, number];
    const largest = new Float32Array(columns);
    constant.toFloat32().forEach((each, at) => {
      largest[at % columns] = Math.max(largest[at % columns]!, Math.abs(each) / 7);
    });
    const grid = { ...signedGrid(4), scale: Tensor.floats(largest), axis: 1 };
    return rows > 1
      ? [{ name: value.name, pace: {}, quantized: { grid, scales: { rate: 0.1, relative: true } } }]
      : [];
  });
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      batch: { type: 'string', default: '4' },
      tokens: { type: 'string', default: '256' },
      rounds: { type: 'string', default: '9' },
      threads: { type: 'string', default: '2' },
    },
  });
  const path = sharedPath('models', positionals[0] ?? 'shakewiki-3.4m', 'model.onnx');
  if (path === undefined) return;
  const [B, T, rounds, threads] = [values.batch, values.tokens, values.rounds, values.threads].map(
    Number,
  ) as [number, number, number, number];
  const ids = openNpy(join(dirname(path), 'input_ids.calib.npy')).rows(0, B);
  const width = ids.shape[1]!;
  const cut = ids.toNumbers().filter((_, at) => at % width < T);
  const feed = { input_ids: Tensor.ints(cut, [B, T]) };
  const model = await readModel(path);
  const student = await trainableModel(model, { B, T });
  const forward = await openSession(model, { threads });
  const sessions = new Map<string, TrainingSession>();
  for (const quantized of [false, true]) {
    const step = trainingStep(student, {
      weights: weightsOf(student, quantized),
      loss: { kind: 'distill' },
      teacher: student,
      optimizer: { kind: 'adamw' },
      clipNorm: 1,
    });
    console.log(
      `${quantized ? '4 bits' : 'plain'}: ${step.model.graph.nodeCount} nodes, ${step.slots.length} slots`,
    );
    sessions.set(quantized ? '4 bits' : 'plain', await TrainingSession.open(step, { threads }));
  }
  const times = new Map<string, number[]>();
  const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const start = performance.now();
    await work();
    times.set(name, [...(times.get(name) ?? []), performance.now() - start]);
  };
  for (let round = 0; round < rounds + 2; round++) {
    // The first two warm up.
    if (round === 2) times.clear();
    await timed('forward', () => forward.run(feed));
    for (const [name, session] of sessions) await timed(name, () => session.run(round, 1e-4, feed));
  }
  const base = median(times.get('forward')!);
  console.log(
    `forward of the model as it came: ${base.toFixed(0)} ms (${B} × ${T} tokens, ${threads} threads)`,
  );
  for (const name of sessions.keys()) {
    const ratio = median(times.get(name)!) / base;
    const verdict = ratio <= ALLOWED * PYTORCH ? 'within' : 'beyond';
    console.log(
      `step, ${name}: ${median(times.get(name)!).toFixed(0)} ms = ${ratio.toFixed(2)} × forward; ` +
        `PyTorch ${PYTORCH} ×, ${verdict} the bar of ${(ALLOWED * PYTORCH).toFixed(1)} ×`,
    );
  }
  await forward.release();
  for (const session of sessions.values()) await session.release();
}

await main();
