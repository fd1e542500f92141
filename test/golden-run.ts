/** Runs golden cases: the passes, and the models before and after them in ONNX Runtime. */
import { expect } from 'chai';
import {
  type Engine,
  type Model,
  type PassEvent,
  runPipeline,
  type Tensor,
  targetFact,
  type Value,
  verify,
} from '../src/index.js';
import { tapped } from '../src/runtime/tap.js';
import { resolveTargets } from '../targets/index.js';
import { feedsOf, type GoldenCase, passesOf } from './golden.js';
import { differenceOf } from './outputs.js';

/** Sets of inputs that every case is run on. */
const DRAWS = [0, 1];

interface Range {
  readonly min: number;
  readonly max: number;
}

type Runtime = typeof import('../src/runtime/session.js') &
  typeof import('../src/runtime/types.js') &
  typeof import('../src/runtime/fold.js');

/** ONNX Runtime is an optional dependency: where it cannot be loaded, the texts alone are compared. */
const runtime: Promise<Runtime | undefined> = (async () => {
  try {
    const parts = await Promise.all([
      import('../src/runtime/session.js'),
      import('../src/runtime/types.js'),
      import('../src/runtime/fold.js'),
      import('../src/runtime/load.js').then(({ loadRuntime }) => loadRuntime()),
    ]);
    return Object.assign({}, parts[0], parts[1], parts[2]);
  } catch (error) {
    console.warn(`SKIPPED: golden cases are not run, ONNX Runtime does not load: ${String(error)}`);
    return undefined;
  }
})();

async function engineFor(each: GoldenCase): Promise<Engine> {
  const engine = await runtime;
  return {
    inferTypes: async (model) => void (await engine?.inferTypes(model)),
    evaluate: async (...call) => (await engine?.evaluate(...call)) ?? new Map(),
    observe: (model, values) => observe(model, values, each),
  };
}

/** Smallest and largest element of each value over the inputs that the case is run on. */
async function observe(model: Model, values: readonly Value[], each: GoldenCase): Promise<Map<Value, Range>> {
  const engine = await runtime;
  const ranges = new Map<Value, Range>();
  if (engine === undefined) return ranges;
  const names = values.map((value) => value.name);
  await engine.withSession(tapped(model, values), { optimization: 'off', threads: 1 }, async (session) => {
    for (const draw of DRAWS) {
      const outputs = await session.run(feedsOf(model, each.config, draw), names);
      for (const value of values) {
        // Rounded, because kernels of other processors differ in the last bits, and expected texts must not.
        const seen = Array.from(outputs[value.name]!.toFloat32(), (each) => Number(each.toPrecision(3)));
        const { min, max } = ranges.get(value) ?? { min: seen[0]!, max: seen[0]! };
        ranges.set(value, { min: Math.min(min, ...seen), max: Math.max(max, ...seen) });
      }
    }
  });
  return ranges;
}

/** What earlier steps of a compilation would have left for the passes. */
function factsOf(model: Model, each: GoldenCase): Map<string, unknown> {
  const facts = new Map<string, unknown>(model.opset >= 21 ? [['opset-21', true]] : []);
  if (each.config.target !== undefined) targetFact.set({ facts }, resolveTargets([each.config.target])[0]!);
  return facts;
}

/** Runs the passes of a case over a model in place; the verifier must accept it before and after each. */
export async function transform(model: Model, each: GoldenCase): Promise<PassEvent[]> {
  const broken = verify(model).filter(({ code }) => code !== each.config.mends);
  expect(broken, 'problems before the pass').to.deep.equal([]);
  const events: PassEvent[] = [];
  await runPipeline(model, await passesOf(each), {
    engine: await engineFor(each),
    facts: factsOf(model, each),
    verify: true,
    onPass: (event) => events.push(event),
  });
  expect(verify(model), 'problems after the pass').to.deep.equal([]);
  return events;
}

/** The first difference of outputs between two models in ONNX Runtime, its optimizer off, over two sets of inputs. */
export async function outputDifference(
  before: Model,
  after: Model,
  each: GoldenCase,
): Promise<string | undefined> {
  const engine = await runtime;
  if (engine === undefined) return undefined;
  const run = (model: Model, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> =>
    engine.withSession(model, { optimization: 'off', threads: 1 }, (session) => session.run(feeds));
  for (const draw of DRAWS) {
    const feeds = feedsOf(before, each.config, draw);
    const difference = differenceOf(await run(before, feeds), await run(after, feeds), each.config);
    if (difference !== undefined) return difference;
  }
  return undefined;
}
