/**
 * Training on the grid beside rounding: what language models lose at few bits, all weights of the layers (not the head,
 * not tables), one scale a column, on text that nothing was calibrated on or trained with.
 *
 *   npx tsx bench/kd-qat.ts [--models stories260k,shakewiki-3.4m] [--bits 4,3,2] [--methods rtn,…,adaround]
 *       [--freeze none,ov,qkv,auto] [--blocks] [--scale-steps n] [--steps n] [--rate x] [--batch n] [--own-texts n] [--windows n] [--threads n]
 *       [--protect ov:int8] [--tables] [--keep rows.json]
 *
 * --steps and --rate are finetune's own by bits where nothing is said. --keep has each row written as soon as it is known:
 * the same command goes on after it was killed. `auto` is the freeze whose trial had the least loss on samples that are
 * held out from training; evaluation sees other text. --blocks adds rows of training block by block: with blocks alone, and
 * with the scales of all after it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { withWeightTrials } from '../src/calibration/weight-trials.js';
import { trainBlockwise } from '../src/compile/finetune/blocks.js';
import { type PreparedFinetuning, prepareFinetuning } from '../src/compile/finetune/finetune.js';
import { FREEZES, type Freeze } from '../src/compile/finetune/plan.js';
import type { GridBits, Model, Tensor, TrialFigures, Value } from '../src/index.js';
import { putOnGrid } from '../src/training/fit-grid.js';
import type { TrainingResult } from '../src/training/loop.js';
import { sharedPath } from '../test/shared.js';
import { type Bench, LANGUAGE_MODELS, openBench, row } from './language-models.js';
import { METHODS, made } from './lm-rounding.js';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: LANGUAGE_MODELS.join(',') },
    bits: { type: 'string', default: '4,3,2' },
    methods: { type: 'string', default: METHODS.join(',') },
    freeze: { type: 'string', default: 'none,ov,qkv,auto' },
    steps: { type: 'string' },
    rate: { type: 'string' },
    batch: { type: 'string', default: '4' },
    'own-texts': { type: 'string', default: '512' },
    windows: { type: 'string', default: '1000' },
    threads: { type: 'string', default: '2' },
    blocks: { type: 'boolean', default: false },
    'scale-steps': { type: 'string' },
    protect: { type: 'string', multiple: true, default: [] },
    tables: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
});

interface Row {
  readonly perplexity: number;
  readonly accuracy: number;
  readonly kl: number;
  readonly seconds: number;
  /** What `auto` chose. */
  readonly chose?: string;
}

/** Rows that are known, by everything that they depend on. */
class Rows {
  readonly #path = options.keep;
  readonly #rows: Record<string, Row>;

  constructor() {
    this.#rows =
      this.#path !== undefined && existsSync(this.#path)
        ? (JSON.parse(readFileSync(this.#path, 'utf8')) as Record<string, Row>)
        : {};
  }

  async get(key: readonly unknown[], make: () => Promise<Row>): Promise<Row> {
    const name = JSON.stringify(key);
    let found = this.#rows[name];
    if (found === undefined) {
      found = await make();
      this.#rows[name] = found;
      if (this.#path !== undefined) writeFileSync(this.#path, `${JSON.stringify(this.#rows, null, 1)}\n`);
    }
    return found;
  }
}

/** Bytes of the float model's answers: all windows, so that every row is of the same text. */
const MOST_BYTES = 2 ** 30;

const measured = (
  model: Model,
  { held }: Bench,
  weights: ReadonlyMap<Value, Tensor>,
): Promise<TrialFigures> =>
  withWeightTrials(model, [...weights.keys()], held.rebatched(1), (trials) => trials.measure(weights, true), {
    maxBytes: MOST_BYTES,
    threads: Number(options.threads),
  });

const WIDTHS = [18, 5, 11, 8, 10, 8, 8, 8];

function show(
  method: string,
  bits: number,
  { perplexity, accuracy, kl, seconds, chose }: Row,
  float: Row,
): void {
  const change = (value: number, of: number) => `${(100 * (value / of - 1)).toFixed(2)} %`;
  const cells = [
    ...[method, bits, perplexity.toFixed(3), change(perplexity, float.perplexity)],
    ...[`${(100 * accuracy).toFixed(2)} %`, change(accuracy, float.accuracy)],
    ...[kl.toFixed(4), seconds.toFixed(0)],
  ];
  console.log(row(cells, WIDTHS) + (chose === undefined ? '' : `  (${chose})`));
}

/** What a training leaves, by the names of a canonical model's initializers. */
function trainedWeights(
  { parts, open: { graph } }: PreparedFinetuning,
  model: Model,
  frozen: ReadonlySet<string>,
  { trainedWeights: weights, trainedScales: scales }: TrainingResult,
): Map<Value, Tensor> {
  const named = new Map([...model.graph.initializers].map((value) => [value.name, value]));
  const found = new Map<Value, Tensor>();
  for (const { name, weight, grid } of parts.candidates) {
    const own = frozen.has(name) ? grid : { ...grid, scale: scales.get(name) ?? grid.scale };
    found.set(named.get(name)!, putOnGrid(weights.get(name) ?? weight, own).values);
  }
  for (const name of parts.floats) found.set(named.get(name)!, weights.get(name)!);
  if (graph.inputs.length !== model.graph.inputs.length) throw new Error('the models differ');
  return found;
}

/** Rows of training at some bits: texts, start and trials are made once for all of them. */
async function train(name: string, bench: Bench, bits: number, rows: Rows, float: Row): Promise<void> {
  const folder = sharedPath('models', name)!;
  const request = {
    ...{ model: join(folder, 'model.onnx'), calib: folder, out: '', bits, freeze: 'none' as const },
    ...{ batch: Number(options.batch), ownTexts: Number(options['own-texts']) },
    ...{ threads: Number(options.threads), protect: ['lm-head', ...options.protect] },
    ...(options.tables && { tables: true }),
    ...(options.steps && { steps: Number(options.steps) }),
    ...(options.rate && { rate: Number(options.rate) }),
  };
  let prepared: Promise<PreparedFinetuning> | undefined;
  const prepare = () => {
    prepared ??= prepareFinetuning(request);
    return prepared;
  };
  const key = (freeze: string) => [name, bits, 'kd-qat', freeze, options.windows, request];
  const trained = (freeze: Freeze): Promise<Row> =>
    rows.get(key(freeze), async () => {
      const begun = performance.now();
      const ready = await prepare();
      const { step, frozen } = await ready.run.stepFor(freeze);
      const result = await ready.run.train(step, freeze, ready.parts.settings.steps);
      const seconds = (performance.now() - begun) / 1000;
      return rowOf(
        await measured(bench.model, bench, trainedWeights(ready, bench.model, frozen, result)),
        seconds,
      );
    });
  // As many steps for all scales as the whole has at a quarter, or none: blocks alone.
  const scaleSteps = options['scale-steps'] ? Number(options['scale-steps']) : undefined;
  for (const steps of options.blocks ? [0, scaleSteps] : []) {
    const found = await rows.get([...key('blocks'), steps], async () => {
      const begun = performance.now();
      const ready = await prepare();
      const blocks = steps === undefined ? {} : { scaleSteps: steps };
      const { result, frozen } = await trainBlockwise({ ...request, blocks }, ready);
      const seconds = (performance.now() - begun) / 1000;
      return rowOf(
        await measured(bench.model, bench, trainedWeights(ready, bench.model, frozen, result)),
        seconds,
      );
    });
    show(steps === 0 ? 'blocks' : 'blocks + scales', bits, found, float);
  }
  for (const freeze of options.freeze.split(',').filter(Boolean)) {
    if (freeze !== 'auto') {
      show(`kd-qat ${freeze}`, bits, await trained(freeze as Freeze), float);
      continue;
    }
    const auto = await rows.get(key('auto'), async () => {
      const begun = performance.now();
      const trials = await (await prepare()).run.trials();
      const best = trials.sort((a, b) => a.heldOut - b.heldOut)[0]!.freeze;
      const seconds = (performance.now() - begun) / 1000;
      return { ...(await trained(best)), chose: best, seconds };
    });
    show('kd-qat auto', bits, auto, float);
  }
}

const rowOf = ({ perplexity, accuracy, noise }: TrialFigures, seconds: number): Row => ({
  ...{ perplexity: perplexity!, accuracy: accuracy!, kl: noise, seconds },
});

async function main(): Promise<void> {
  const rows = new Rows();
  const strange = options.freeze
    .split(',')
    .filter(Boolean)
    .find((each) => each !== 'auto' && !FREEZES.includes(each as Freeze));
  if (strange !== undefined) throw new Error(`there is no set "${strange}" to freeze`);
  for (const name of options.models.split(',')) {
    const bench = await openBench(name, { windows: Number(options.windows) });
    if (bench === undefined) {
      console.log(`${name} is not there`);
      continue;
    }
    const float = await rows.get([name, 'float', options.windows], async () =>
      rowOf(await measured(bench.model, bench, new Map()), 0),
    );
    console.log(
      `\n${name}: float perplexity ${float.perplexity.toFixed(3)}, next token right ${(100 * float.accuracy).toFixed(2)} %, ${bench.held.count} windows`,
    );
    console.log(row(['method', 'bits', 'perplexity', '', 'accuracy', '', 'KL', 'seconds'], WIDTHS));
    for (const bits of options.bits.split(',').map(Number) as GridBits[]) {
      for (const method of METHODS.filter((each) => options.methods.split(',').includes(each))) {
        const found = await rows.get([name, bits, method, options.windows], async () => {
          const begun = performance.now();
          const [on, weights] = await made(bench, method, bits, 0);
          const seconds = (performance.now() - begun) / 1000;
          return rowOf(await measured(on.model, bench, weights), seconds);
        });
        show(method, bits, found, float);
      }
      if (options.freeze !== '' || options.blocks) await train(name, bench, bits, rows, float);
    }
  }
}

await main();
