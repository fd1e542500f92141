/** Runs golden cases: the passes, and the models before and after them in ONNX Runtime. */
import { expect } from 'chai';
import { type Engine, type Model, type PassEvent, runPipeline, type Tensor, verify } from '../src/index.js';
import { feedsOf, type GoldenCase, passesOf } from './golden.js';
import { differenceOf } from './outputs.js';

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
    observe: () =>
      Promise.reject(new Error(`${each.pass}/${each.name}: golden cases have no calibration data`)),
  };
}

/** Runs the passes of a case over a model in place; the verifier must accept it before and after each. */
export async function transform(model: Model, each: GoldenCase): Promise<PassEvent[]> {
  const broken = verify(model).filter(({ code }) => code !== each.config.mends);
  expect(broken, 'problems before the pass').to.deep.equal([]);
  const events: PassEvent[] = [];
  await runPipeline(model, await passesOf(each), {
    engine: await engineFor(each),
    facts: new Map<string, unknown>(model.opset >= 21 ? [['opset-21', true]] : []),
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
  for (const draw of [0, 1]) {
    const feeds = feedsOf(before, each.config, draw);
    const difference = differenceOf(await run(before, feeds), await run(after, feeds), each.config);
    if (difference !== undefined) return difference;
  }
  return undefined;
}
