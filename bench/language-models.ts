/** Shared language models, ready to be measured with other weights. */
import { join } from 'node:path';
import { type WeightGroup, weightGroups } from '../passes/mix-weights/groups.js';
import { openData } from '../src/calibration/data.js';
import type { DataSet } from '../src/calibration/dataset.js';
import { watch } from '../src/calibration/watch.js';
import { withWeightTrials } from '../src/calibration/weight-trials.js';
import { type Engine, Ledger, type Model, type PassContext, readModel, runPipeline } from '../src/index.js';
import type { WeightTrials } from '../src/pipeline/weight-trials.js';
import { recipeFor } from '../src/recipe.js';
import { createEngine } from '../src/runtime/engine.js';
import { sharedPath } from '../test/shared.js';

export const LANGUAGE_MODELS = ['stories260k', 'shakewiki-3.4m'] as const;

/** A canonical decoder with its data, and the weights of its layers: head and tables are left as they are. */
export interface Bench {
  readonly name: string;
  readonly model: Model;
  readonly groups: readonly WeightGroup[];
  readonly calib: DataSet;
  readonly held: DataSet;
  readonly context: PassContext;
}

/** @param head whether the head counts among the weights */
export async function openBench(
  name: string,
  { windows, head = false }: { windows: number; head?: boolean },
): Promise<Bench | undefined> {
  const folder = sharedPath('models', name);
  if (folder === undefined) return undefined;
  const model = readModel(join(folder, 'model.onnx'));
  const calib = await openData(folder, 'calib', model.graph.inputs);
  const held = (await openData(folder, 'eval', model.graph.inputs)).first(windows);
  await runPipeline(model, recipeFor('float').canonicalize, { engine: createEngine() });
  const engine: Engine = {
    ...createEngine(),
    watch: (at, values, samples, see) => watch(at, values, calib.first(samples), see),
  };
  const groups = weightGroups(model, () => true).filter(
    ({ role }) => head || !/^(lm-head|embedding)/.test(role ?? ''),
  );
  const context: PassContext = { engine, ledger: new Ledger(), decline() {}, changed() {}, facts: new Map() };
  return { name, model, groups, calib, held, context };
}

/** Trials over held-out text. */
export const heldOut = <T>(
  { model, groups, held }: Bench,
  use: (trials: WeightTrials) => Promise<T>,
): Promise<T> =>
  withWeightTrials(
    model,
    groups.flatMap(({ weight, twins }) => [weight, ...twins]),
    held.rebatched(1),
    use,
  );

/** Trials over text that calibration may see. */
export const onCalibration = <T>(
  { model, groups, calib }: Bench,
  samples: number,
  use: (trials: WeightTrials) => Promise<T>,
): Promise<T> =>
  withWeightTrials(
    model,
    groups.flatMap(({ weight, twins }) => [weight, ...twins]),
    calib.first(samples).rebatched(1),
    use,
  );

/** A row of a table, columns as wide as said. */
export const row = (cells: readonly (string | number)[], widths: readonly number[]): string =>
  cells
    .map((cell, at) =>
      at === 0 ? String(cell).padEnd(widths[at]!) : String(cell).padStart(widths[at] ?? 10),
    )
    .join(' ');
