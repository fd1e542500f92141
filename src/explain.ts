/** Who would take each node of a model, found out without data: nothing is written, nothing is run but for types. */
import { basename } from 'node:path';
import { unrollFact } from '../passes/lower-recurrent.js';
import { originalNames } from '../passes/shorten-names.js';
import { unlessQuantized } from './compile/came-quantized.js';
import { resolveRequested } from './compile/each-target.js';
import { exclusionOf } from './compile/exclusion.js';
import { givenGrids } from './compile/given-grids.js';
import { noteUnplaced, plugIn, withPlaced } from './compile/plugged.js';
import { judgeFile, verdictFor } from './compile/provider-verdict.js';
import { tellAuto, trainedFor } from './compile/request-data.js';
import { type Specialization, specializeFor } from './compile/specialize.js';
import { tellWeights } from './compile/weight-request.js';
import type { Model, Value } from './ir/graph.js';
import { readModel } from './onnx/read.js';
import { Ledger, type LedgerNote, type LedgerRow } from './pipeline/ledger.js';
import type { Engine } from './pipeline/pass.js';
import { type PassEvent, runPipeline } from './pipeline/run.js';
import type { QuantcPlugin } from './plugin/plugin.js';
import { type Precision, precisionFor, recipeFor } from './recipe.js';
import { createEngine } from './runtime/engine.js';
import { exclusionFact, targetFact } from './target/facts.js';
import { profiled } from './target/profiled.js';
import type { Target } from './target/target.js';
import type { ProviderVerdict } from './target/verdict.js';

export interface ExplainRequest extends Specialization {
  readonly model: string;
  /** Name of a target or an alias; the first that it stands for is taken. Default `cpu`. */
  readonly target?: string;
  /** Default `auto`, as if there were calibration data. */
  readonly precision?: Precision;
  readonly exclude?: readonly string[];
  /** The file is judged as it stands, without compiling it: for providers that take graphs whole. */
  readonly asIs?: boolean;
  /** As for `compile`. */
  readonly plugins?: readonly QuantcPlugin[];
  readonly onPass?: (event: PassEvent, model: Model) => void;
}

export interface Explanation {
  readonly model: string;
  readonly target: string;
  readonly precision: string;
  /** A row a node of the canonical model, in graph order. */
  readonly nodes: readonly LedgerRow[];
  readonly notes: readonly LedgerNote[];
  /** What the target's provider takes, where it takes graphs whole or in pieces. */
  readonly verdict?: ProviderVerdict;
}

/**
 * Goes the way of a compilation up to the file. Ranges are made up, since none of them decides who takes a node.
 * @throws QuantcError as `compile` does
 */
export async function explain(request: ExplainRequest): Promise<Explanation> {
  const plugged = plugIn(request.plugins);
  const [target] = resolveRequested([request.target ?? 'cpu'], plugged.targets);
  if (request.asIs) return explainFile(request, target!);
  const model = readModel(request.model);
  const ledger = new Ledger();
  const { precision, because } = precisionFor(request.precision ?? 'auto', target!, model, {
    calibrated: true,
    trained: trainedFor(givenGrids(request.model, model)),
  });
  tellAuto(ledger, precision, because);
  const { fusions, lowerings, executor } = target!;
  const rewriting = { fusions, lowerings, beside: executor !== undefined };
  const recipe = withPlaced(recipeFor(precision, undefined, rewriting, plugged.algorithms), plugged);
  noteUnplaced(recipe, plugged, `${precision} for ${target!.name}`, ledger);
  specializeFor(request, model, target, ledger);
  const facts = new Map<string, unknown>();
  targetFact.set({ facts }, profiled(target!, precision));
  // Bits that are chosen over samples are not known here.
  const mixed = precision === 'auto-weights';
  tellWeights(facts, mixed ? 'int4' : precision, {});
  if (mixed)
    ledger.note('info', 'weight-bits', 'bits are chosen over samples; shown is what 4 everywhere would be');
  if (request.unroll !== undefined) unrollFact.set({ facts }, request.unroll);
  const { onPass } = request;
  const options = { engine: rangeless(), ledger, facts, ...(onPass && { onPass }) };
  await runPipeline(model, recipe.canonicalize, options);
  const { adapt, quantize } = await unlessQuantized(recipe, model, target!, precision, request, ledger);
  await runPipeline(model, adapt, options);
  exclusionFact.set({ facts }, exclusionOf(model, request.exclude ?? []));
  for (const graph of model.graphs()) for (const node of graph.nodes()) ledger.record(node, {});
  await runPipeline(model, quantize, options);
  await runPipeline(model, recipe.finish, options);
  const verdict = await verdictFor(model, target!, originalNames.find({ facts }));
  return {
    model: basename(request.model),
    target: target!.name,
    precision,
    nodes: ledger.rows,
    notes: ledger.notes,
    ...(verdict && { verdict }),
  };
}

async function explainFile({ model, dims = {} }: ExplainRequest, target: Target): Promise<Explanation> {
  const ledger = new Ledger();
  const verdict = await judgeFile(model, target, dims, ledger);
  return {
    model: basename(model),
    target: target.name,
    precision: 'as it stands',
    nodes: [],
    notes: ledger.notes,
    verdict,
  };
}

/** A model after the passes that change no result. */
export async function canonicalModel(path: string): Promise<Model> {
  const model = readModel(path);
  await runPipeline(model, recipeFor('float').canonicalize, { engine: createEngine() });
  return model;
}

const rangeless = (): Engine => ({
  ...createEngine(),
  observe: async (_model, values) => new Map(values.map((value: Value) => [value, madeUp(value)])),
});

/** Within what the node before lets through, so that activations which integers make redundant are so here, too. */
function madeUp({ producer }: Value): { min: number; max: number } {
  if (producer?.is('Relu')) return { min: 0, max: 1 };
  const [low, high] = [1, 2].map((index) => producer?.inputs[index]?.constant?.toNumbers()[0]);
  if (!producer?.is('Clip') || low === undefined) return { min: -1, max: 1 };
  return { min: low, max: high ?? low + 1 };
}
