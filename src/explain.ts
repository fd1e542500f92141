/** Who would take each node of a model, found out without data: nothing is written, nothing is run but for types. */
import { basename } from 'node:path';
import { resolveTargets } from '../targets/index.js';
import { type DimSizes, specialize } from './compile/dims.js';
import { exclusionOf } from './compile/exclusion.js';
import { tellWeights } from './compile/weight-request.js';
import type { Model, Value } from './ir/graph.js';
import { readModel } from './onnx/read.js';
import { Ledger, type LedgerNote, type LedgerRow } from './pipeline/ledger.js';
import type { Engine } from './pipeline/pass.js';
import { type PassEvent, runPipeline } from './pipeline/run.js';
import { type Precision, precisionFor, recipeFor } from './recipe.js';
import { createEngine } from './runtime/engine.js';
import { exclusionFact, targetFact } from './target/facts.js';

export interface ExplainRequest {
  readonly model: string;
  /** Name of a target or an alias; the first that it stands for is taken. Default `cpu`. */
  readonly target?: string;
  /** Default `auto`, as if there were calibration data. */
  readonly precision?: Precision;
  readonly exclude?: readonly string[];
  /** Sizes of open dimensions, as for `compile`. */
  readonly dims?: DimSizes;
  readonly onPass?: (event: PassEvent, model: Model) => void;
}

export interface Explanation {
  readonly model: string;
  readonly target: string;
  readonly precision: string;
  /** A row a node of the canonical model, in graph order. */
  readonly nodes: readonly LedgerRow[];
  readonly notes: readonly LedgerNote[];
}

/**
 * Goes the way of a compilation up to the file. Ranges are made up, since none of them decides who takes a node.
 * @throws QuantcError as `compile` does
 */
export async function explain(request: ExplainRequest): Promise<Explanation> {
  const [target] = resolveTargets([request.target ?? 'cpu']);
  const precision = precisionFor(request.precision ?? 'auto', target!, true);
  const { fusions, lowerings, executor } = target!;
  const recipe = recipeFor(precision, undefined, { fusions, lowerings, beside: executor !== undefined });
  const model = readModel(request.model);
  const ledger = new Ledger();
  specialize(model, request.dims ?? {}, target, ledger);
  const facts = new Map<string, unknown>();
  targetFact.set({ facts }, target!);
  tellWeights(facts, precision, {});
  const { onPass } = request;
  const options = { engine: rangeless(), ledger, facts, ...(onPass && { onPass }) };
  await runPipeline(model, recipe.canonicalize, options);
  exclusionFact.set({ facts }, exclusionOf(model, request.exclude ?? []));
  for (const graph of model.graphs()) for (const node of graph.nodes()) ledger.record(node, {});
  await runPipeline(model, recipe.quantize, options);
  return {
    model: basename(request.model),
    target: target!.name,
    precision,
    nodes: ledger.rows,
    notes: ledger.notes,
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
  observe: async (_model, values) => new Map(values.map((value: Value) => [value, { min: -1, max: 1 }])),
});
