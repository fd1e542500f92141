/** Runs passes over a graph written as text, as the pipeline of a compilation runs them. */
import { QuantcError } from '../errors/error.js';
import type { Model, Value } from '../ir/graph.js';
import { verify } from '../ir/verify.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Engine, Observation, Pass } from '../pipeline/pass.js';
import { type PassEvent, runPipeline } from '../pipeline/run.js';
import { createEngine } from '../runtime/engine.js';
import { withSession } from '../runtime/session.js';
import { tapped } from '../runtime/tap.js';
import { targetFact } from '../target/facts.js';
import type { Target } from '../target/target.js';
import { parseModel } from '../text/parse.js';
import { printModel } from '../text/print.js';
import { drawnFeeds, type FeedLaws } from './feeds.js';

/** Sets of inputs that ranges are observed over, and outputs compared on. */
export const DRAWS = [0, 1];

/** How the passes shall find the graph. */
export interface PassOptions extends FeedLaws {
  /** Target whose table passes that quantize read; ranges are observed over drawn inputs. */
  readonly target?: Target;
  /** Code of the verifier's problem that the graph has, for a pass that mends it. */
  readonly mends?: string;
  /** Types of inner values belong to the text that comes out. */
  readonly types?: boolean;
  /** Default ONNX Runtime. */
  readonly engine?: Engine;
}

/** What passes did. */
export interface PassRun {
  /** The graph as it is now: constants over 64 bytes as digests. */
  readonly text: string;
  readonly model: Model;
  /** Whether anything was edited. */
  readonly fired: boolean;
  /** What was said of it, with the node, and what was left alone and why. */
  readonly changes: readonly string[];
  readonly declines: readonly string[];
  readonly ledger: Ledger;
}

/**
 * Runs a pass, or several in order, over a copy of a graph. The verifier looks at the graph before, after each pass, and
 * at the end.
 * @param graph in ONNX's textual syntax, a whole model with its opset
 * @throws QuantcError E_TEST_GRAPH where the graph is broken before, E_TEXT_... where the text is; what the passes
 * throw, and F_PASS where one leaves a broken graph
 */
export async function runPass(
  graph: string,
  pass: Pass | readonly Pass[],
  options: PassOptions = {},
): Promise<PassRun> {
  const model = parseModel(graph);
  const passes = Array.isArray(pass) ? (pass as readonly Pass[]) : [pass as Pass];
  const { events, ledger } = await runPasses(model, passes, options);
  return {
    ...{ model, ledger },
    text: graphText(model, options),
    fired: events.some(({ changed }) => changed),
    changes: events.flatMap(({ changes }) => changes),
    declines: events.flatMap(({ declines }) => declines),
  };
}

/** A model as golden texts show it: constants over 64 bytes as digests, inferred types left out. */
export const graphText = (model: Model, { types = false }: Pick<PassOptions, 'types'> = {}): string =>
  printModel(model, { elide: 64, types });

/** As {@link runPass}, in place. */
export async function runPasses(
  model: Model,
  passes: readonly Pass[],
  options: PassOptions = {},
): Promise<{ readonly events: readonly PassEvent[]; readonly ledger: Ledger }> {
  refuseBroken(model, 'before', options.mends);
  const events: PassEvent[] = [];
  const facts = new Map<string, unknown>(model.opset >= 21 ? [['opset-21', true]] : []);
  if (options.target !== undefined) targetFact.set({ facts }, options.target);
  const engine = options.engine ?? createEngine();
  const ledger = await runPipeline(model, passes, {
    engine: { ...engine, observe: (at, values) => observe(at, values, options) },
    facts,
    verify: true,
    onPass: (event) => events.push(event),
  });
  refuseBroken(model, 'after');
  return { events, ledger };
}

/** @throws QuantcError E_TEST_GRAPH with the first problem */
function refuseBroken(model: Model, when: 'before' | 'after', mends?: string): void {
  const [first, ...more] = verify(model).filter(({ code }) => code !== mends);
  if (first === undefined) return;
  const others = more.length === 0 ? '' : `, and ${more.length} more`;
  throw new QuantcError(
    'E_TEST_GRAPH',
    `the graph is broken ${when} the pass: ${first.message} (${first.code}${others})`,
    { kind: 'usage', place: first.place },
  );
}

/** Smallest and largest element of each value over drawn inputs. */
async function observe(
  model: Model,
  values: readonly Value[],
  laws: FeedLaws,
): Promise<Map<Value, Observation>> {
  const ranges = new Map<Value, Observation>();
  const names = values.map((value) => value.name);
  await withSession(tapped(model, values), { optimization: 'off', threads: 1 }, async (session) => {
    for (const draw of DRAWS) {
      const outputs = await session.run(drawnFeeds(model, laws, draw), names);
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
