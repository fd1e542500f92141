/**
 * A step of each block beside a step of the whole model, by turns in one process: medians, so that they can be compared on a
 * busy machine, too.
 *
 *   npx tsx bench/block-steps.ts [--model stories260k] [--runs 15] [--batch 4] [--threads 2]
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { blocksOf } from '../src/compile/finetune/block-plan.js';
import { prepareFinetuning } from '../src/compile/finetune/finetune.js';
import { weightsOf } from '../src/compile/finetune/plan.js';
import { type Model, Tensor } from '../src/index.js';
import { blockModel } from '../src/training/block-model.js';
import { blockStep } from '../src/training/block-step.js';
import { TrainingSession } from '../src/training/loop.js';
import type { TrainingStep } from '../src/training/step.js';
import { sharedPath } from '../test/shared.js';
import { row } from './language-models.js';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'stories260k' },
    runs: { type: 'string', default: '15' },
    batch: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
  },
});

const folder = sharedPath('models', options.model);
if (folder === undefined) throw new Error(`${options.model} is not there`);
const threads = Number(options.threads);
const { run, parts } = await prepareFinetuning({
  ...{ model: join(folder, 'model.onnx'), calib: folder, out: '', bits: 3, freeze: 'none', startFrom: 'rtn' },
  ...{ batch: Number(options.batch), threads },
});
const { student, candidates, floats, feeds, loss } = parts;
const names = candidates.map(({ name }) => name);
const steps: [string, TrainingStep][] = [['whole', (await run.stepFor('none')).step]];
const blocks = blocksOf(student, names, 1);
for (const [at, segment] of blocks.entries()) {
  const own = new Set(segment.nodes);
  const inside = [...student.graph.initializers].filter(({ uses }) =>
    uses.every(({ node }) => own.has(node)),
  );
  const floating = inside.map(({ name }) => name).filter((name) => floats.includes(name));
  const target =
    at < blocks.length - 1 ? ({ kind: 'answers', unit: 1 } as const) : ({ kind: 'inputs', loss } as const);
  const mine = candidates.filter(({ name }) => segment.weights.includes(name));
  const step = blockStep(blockModel(student, segment), target, {
    ...weightsOf(mine, new Set(), floating, student),
    ...{ optimizer: { kind: 'adamw' }, clipNorm: 1 },
  });
  steps.push([`block ${at + 1}`, step]);
}

/** Data's own numbers where there are some, waves elsewhere: what is computed takes as long. */
function feedOf(model: Model, ports: ReadonlySet<string>, known: Readonly<Record<string, Tensor>>) {
  const own = model.graph.inputs.filter(({ name }) => !ports.has(name));
  return Object.fromEntries(
    own.map(({ name, shape }) => {
      const size = (shape as number[]).reduce((product, each) => product * each, 1);
      const waves = Float32Array.from({ length: size }, (_, at) => Math.sin(at));
      return [name, known[name] ?? Tensor.floats(waves, shape as number[])];
    }),
  );
}

const known = await feeds.batchOf(1, 0);
const times = steps.map((): number[] => []);
const sessions: TrainingSession[] = [];
for (const [, step] of steps) sessions.push(await TrainingSession.open(step, { threads }));
for (let turn = 0; turn <= Number(options.runs); turn++) {
  for (const [at, [, step]] of steps.entries()) {
    const ports = new Set([step.rate, step.step, ...step.slots.map(({ input }) => input)]);
    const feed = feedOf(step.model, ports, known);
    const begun = performance.now();
    await sessions[at]!.run(turn, 1e-6, feed);
    // The first turn warms up.
    if (turn > 0) times[at]!.push(performance.now() - begun);
  }
}
for (const session of sessions) await session.release();
const median = (all: number[]): number => all.sort((a, b) => a - b)[all.length >> 1]!;
const whole = median(times[0]!);
steps.forEach(([name], at) => {
  const own = median(times[at]!);
  console.log(row([name, `${own.toFixed(1)} ms`, `${(own / whole).toFixed(2)} ×`], [12, 12, 8]));
});
