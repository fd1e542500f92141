/** Two models on the same data: outputs, inner values, time. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { openData } from '../calibration/data.js';
import type { DataSet, InputSignature } from '../calibration/dataset.js';
import { syntheticData } from '../calibration/synthetic.js';
import { REPORT_NAME } from '../compile.js';
import { canonicalModel } from '../explain.js';
import { renameValue, valuesOf } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import { readModel } from '../onnx/read.js';
import type { Suggestion } from '../pipeline/ledger.js';
import { nested } from '../prove.js';
import type { Report, TargetReport } from '../report/report.js';
import { suggestions } from '../report/suggestion.js';
import { type Comparison, compareOutputs } from '../runtime/compare.js';
import { type Latency, race } from '../runtime/latency.js';
import { compareLayers, type LayerComparison } from '../runtime/layers.js';
import type { SessionOptions } from '../runtime/session.js';
import { inferTypes } from '../runtime/types.js';
import { jointInputs } from './joint-inputs.js';

export interface ComparisonRequest {
  readonly first: string;
  readonly second: string;
  readonly calib?: string;
  readonly eval?: string;
  /** Samples that outputs are compared on. */
  readonly samples: number;
  /** Times that each model is run for its latency; 0 for none. */
  readonly rounds: number;
  readonly threads?: number;
}

export interface ComparisonResult {
  readonly samples: number;
  readonly synthetic: boolean;
  readonly outputs: readonly Comparison[];
  /** Inner values that both models have, the worst first, with what would help. */
  readonly layers: readonly ComparedLayer[];
  /** Median and least milliseconds of one sample, both models in turn. */
  readonly latency: readonly Pick<Latency, 'name' | 'median' | 'min'>[];
}

export type ComparedLayer = LayerComparison & { readonly suggestion?: Suggestion };

/** Feeds that inner values are compared on: they are large, and a few show where the error comes in. */
const LAYER_FEEDS = 1;

/**
 * @throws QuantcError E_COMPARE_INPUT where the models take no common feeds, E_COMPARE_OUTPUT; as `openData` does where
 * data fit neither
 */
export async function compareModels(request: ComparisonRequest): Promise<ComparisonResult> {
  const { first, second, threads } = request;
  const inputs = jointInputs(readModel(first).graph.inputs, readModel(second).graph.inputs);
  const data = (await samplesFor(request, inputs)).first(request.samples);
  const report = reportOf(second);
  const reference: SessionOptions = { threads };
  const candidate: SessionOptions = { threads, ...(report && { extra: nested(report.session) }) };
  const outputs = await compareOutputs(first, second, data, { reference, candidate });
  const layers = await layersOf(first, second, report, data, threads);
  const helpful = suggestions(layers);
  return {
    samples: data.count,
    synthetic: data.synthetic,
    outputs,
    layers: layers
      .map((layer): ComparedLayer => {
        const suggestion = helpful.get(layer.name);
        return suggestion === undefined ? layer : { ...layer, suggestion };
      })
      .sort((a, b) => a.sqnr - b.sqnr),
    latency: await latencies(request, data, candidate),
  };
}

async function samplesFor(
  { calib, eval: evaluation }: ComparisonRequest,
  inputs: readonly InputSignature[],
): Promise<DataSet> {
  // Data that ask for batches are cut into those that a model has built in.
  const options = { batchOfModel: true };
  if (evaluation !== undefined) return openData(evaluation, 'eval', inputs, options);
  if (calib !== undefined) return openData(calib, 'calib', inputs, options);
  return syntheticData(inputs);
}

/** What quantc wrote of a file when it made it, where the report still lies beside it. */
function reportOf(path: string): TargetReport | undefined {
  const file = join(dirname(path), REPORT_NAME);
  if (!existsSync(file)) return undefined;
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    // Not a report of ours, or half of one: the comparison does without.
    return undefined;
  }
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  return report.targets?.find(({ files }) =>
    files.some((each) => each.path === basename(path) && each.sha256 === sha256),
  );
}

/**
 * Inner values of both models by name. Where quantc made the second one, the first is made canonical as it was then,
 * and names that were dropped are given back.
 */
async function layersOf(
  first: string,
  second: string,
  report: TargetReport | undefined,
  data: DataSet,
  threads: number | undefined,
): Promise<LayerComparison[]> {
  const reference = report === undefined ? readModel(first) : await canonicalModel(first);
  const candidate = readModel(second);
  if (report === undefined) await inferTypes(reference);
  await inferTypes(candidate);
  if (report !== undefined && Object.keys(report.names).length > 0)
    restoreNames(reference, candidate, report.names);
  hideStrangers(reference, candidate);
  return compareLayers(reference, candidate, () => data.first(LAYER_FEEDS * data.batch), {
    reference: { threads },
    candidate: { threads },
  });
}

/** Gives the outputs of nodes that lost theirs the names that they have in the reference; all other inner names are hidden. */
function restoreNames(reference: Model, candidate: Model, names: Readonly<Record<string, string>>): void {
  const originals = new Map([...reference.graph.nodes()].map((node) => [node.label, node]));
  const signature = new Set<Value>([...candidate.graph.inputs, ...candidate.graph.outputs]);
  const wanted = new Map<Value, string>();
  for (const node of candidate.graph.nodes()) {
    const first = node.outputs.find((output) => !output.isOmitted)?.name ?? '';
    const original = originals.get(names[first] ?? '');
    node.outputs.forEach((output, index) => {
      const name = original?.outputs[index]?.name;
      if (name !== undefined && !output.isOmitted) wanted.set(output, name);
    });
  }
  hide([...valuesOf(candidate.graph)].filter((value) => !signature.has(value)));
  for (const [value, name] of wanted) if (!signature.has(value)) renameValue(value, name);
}

/** Values of one name but of different shapes have nothing to do with each other. */
function hideStrangers(reference: Model, candidate: Model): void {
  const known = new Map([...valuesOf(reference.graph)].map((value) => [value.name, value]));
  const signature = new Set<Value>([...candidate.graph.inputs, ...candidate.graph.outputs]);
  const strangers = [...valuesOf(candidate.graph)].filter((value) => {
    const twin = known.get(value.name);
    return !signature.has(value) && twin !== undefined && !mayBeEqual(twin, value);
  });
  hide(strangers);
}

const hide = (values: readonly Value[]): void =>
  values.forEach((value, at) => {
    renameValue(value, `quantc_hidden_${at}`);
  });

function mayBeEqual(a: Value, b: Value): boolean {
  const [x, y] = [a.shape, b.shape];
  if (a.dtype !== b.dtype || x === undefined || y === undefined || x.length !== y.length) return false;
  return x.every((dim, axis) => typeof dim !== 'number' || typeof y[axis] !== 'number' || dim === y[axis]);
}

/** Both models on the same single sample, in turn. */
async function latencies(
  { first, second, rounds, threads }: ComparisonRequest,
  data: DataSet,
  candidate: SessionOptions,
): Promise<ComparisonResult['latency']> {
  if (rounds === 0) return [];
  const feeds = [];
  for await (const feed of data.rebatched(1).first(1)) feeds.push(feed);
  const contenders = [
    { name: first, model: first },
    { name: second, model: second, options: candidate },
  ];
  const times = await race(contenders, feeds, { rounds, threads });
  return times.map(({ name, median, min }) => ({ name, median, min }));
}
