/** Runs golden cases with the test kit that authors outside have. */
import type { Engine, Model, PassEvent } from '../src/index.js';
import { loadRuntime } from '../src/runtime/load.js';
import { outputDifference as differenceOfOutputs, runPasses } from '../src/testing/index.js';
import { resolveTargets } from '../targets/index.js';
import { type GoldenCase, passesOf } from './golden.js';

/** ONNX Runtime is an optional dependency: where it cannot be loaded, the texts alone are compared. */
const runs: Promise<boolean> = loadRuntime().then(
  () => true,
  (error) => {
    console.warn(`SKIPPED: golden cases are not run, ONNX Runtime does not load: ${String(error)}`);
    return false;
  },
);

/** Knows nothing: what passes make of graphs without types is then compared. */
const IDLE: Engine = {
  inferTypes: async () => {},
  evaluate: async () => new Map(),
  observe: async () => new Map(),
};

/** Runs the passes of a case over a model in place; the verifier must accept it before and after each. */
export async function transform(
  model: Model,
  { config, ...each }: GoldenCase,
): Promise<readonly PassEvent[]> {
  const { target, ...laws } = config;
  const options = {
    ...laws,
    ...(target !== undefined && { target: resolveTargets([target])[0]! }),
    ...(!(await runs) && { engine: IDLE }),
  };
  return (await runPasses(model, await passesOf({ config, ...each }), options)).events;
}

/** The first difference of outputs between two models in ONNX Runtime, its optimizer off, over two sets of inputs. */
export async function outputDifference(
  before: Model,
  after: Model,
  { config }: GoldenCase,
): Promise<string | undefined> {
  return (await runs) ? differenceOfOutputs(before, after, config) : undefined;
}
