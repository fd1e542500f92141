/** Proof: what is emitted is loaded by its executor, run beside the float model, and read back. */
import { basename } from 'node:path';
import type { DataSet } from './calibration/dataset.js';
import { evaluatorFor } from './calibration/evaluate.js';
import { disagreement, proveOnExecutor } from './compile/prove-on-executor.js';
import { QuantcError } from './errors/error.js';
import type { Model } from './ir/graph.js';
import { readModel } from './onnx/read.js';
import type { Ledger } from './pipeline/ledger.js';
import { spreadOf } from './prove/spread.js';
import { proveSteps } from './prove/steps.js';
import type { ErrorFigures, Evaluation, Proof } from './report/report.js';
import { suggestions } from './report/suggestion.js';
import { type Comparison, compareOutputs } from './runtime/compare.js';
import { readKernels } from './runtime/kernels.js';
import { compareLayers, type LayerComparison } from './runtime/layers.js';
import { cpuName } from './runtime/load.js';
import { type ExtraOptions, type SessionOptions, withSession } from './runtime/session.js';
import type { Target } from './target/target.js';

export interface ProofRequest {
  readonly target: Target;
  /** File of the float model, and of the emitted one. */
  readonly float: string;
  readonly emitted: string;
  /** The canonical float model and the quantized one before names were shortened: compared value by value. */
  readonly before: Model;
  readonly after: Model;
  readonly samples: DataSet;
  readonly evaluation?: DataSet;
  /** Told how much of the evaluation is done: 0 before its first feed, 1 at the end. */
  readonly onEvaluation?: (share: number) => void;
  readonly ledger: Ledger;
  readonly threads?: number;
}

/** Runs the emitted file, compares it with the float model, and notes in the ledger which kernel took each node. */
export async function prove(request: ProofRequest): Promise<Proof> {
  const { target, samples } = request;
  const candidate: SessionOptions = { extra: nested(target.session), threads: request.threads };
  const reference: SessionOptions = { threads: request.threads };
  const outputs = await compareOutputs(request.float, request.emitted, samples, { reference, candidate });
  await noteLayers(request);
  const spread = target.whole && (await spreadOf(request, outputs, reference, candidate));
  const found = await whereItRuns(request, reference, candidate);
  const steps = await proveSteps(request, outputs, candidate);
  const reason = whyNotFinite(outputs) ?? found.reason ?? steps.reason;
  // What has failed is not worth scoring.
  const evaluation =
    reason === undefined && request.evaluation
      ? await evaluateBoth(request, request.evaluation, reference, candidate)
      : undefined;
  return {
    status: reason === undefined ? 'passed' : 'failed',
    ...(reason !== undefined && { reason }),
    executor: found.executor,
    samples: samples.count,
    synthetic: samples.synthetic,
    outputs: [...outputs.map(figures), ...steps.figures],
    ...(found.elsewhere && { elsewhere: found.elsewhere }),
    ...(spread && { spread }),
    kernels: Object.fromEntries([...found.counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    broken: found.broken,
    ...(evaluation && { evaluation }),
  };
}

/** What reading back the executor's own graph, or running on another executor, showed. */
interface Found {
  readonly executor: string;
  readonly counts: ReadonlyMap<string, number>;
  readonly broken: Proof['broken'];
  readonly elsewhere?: Proof['elsewhere'];
  readonly reason?: string;
}

function whereItRuns(
  request: ProofRequest,
  reference: SessionOptions,
  candidate: SessionOptions,
): Promise<Found> {
  if (request.target.executor) return besideCpu(request, reference);
  return request.target.provider ? inPlaceOf(request, candidate) : onCpu(request, candidate);
}

/** The CPU in the place of a provider that is not here: which kernels take the graph there promises nothing. */
async function inPlaceOf({ target, emitted }: ProofRequest, candidate: SessionOptions): Promise<Found> {
  const { counts } = await readKernels(readModel(emitted), candidate);
  return { executor: `${cpuName()}, in the place of ${target.provider!.provider}`, counts, broken: [] };
}

/** ONNX Runtime's CPU: the optimized graph must hold every integer kernel that was promised. */
async function onCpu(request: ProofRequest, candidate: SessionOptions): Promise<Found> {
  const kernels = await readKernels(request.after, candidate);
  const broken: Proof['broken'][number][] = [];
  for (const { node, fate, kernel } of kernels.nodes) {
    const row = request.ledger.find(node);
    if (row === undefined) continue;
    if (PROMISED.test(row.precision) && fate === 'float')
      broken.push({ node: row.node, promised: row.kernel ?? '', found: kernel ?? '' });
    if (fate !== 'gone' && kernel !== undefined) request.ledger.refine(node, { kernel });
    if (fate === 'integer' && row.precision === 'float') {
      const reason = 'the executor computes it in integers by itself, between quantized values';
      request.ledger.refine(node, { precision: 'int8', reason });
    }
  }
  // What was read back still had its names; the file itself must come to the same.
  const { counts } = await readKernels(readModel(request.emitted), candidate);
  const reason = whyBroken(broken, kernels.counts, counts);
  return { executor: `${cpuName()}, ${request.target.name}`, counts, broken, reason };
}

/** Another executor: it must run the file, and answer as the CPU does. */
async function besideCpu(request: ProofRequest, reference: SessionOptions): Promise<Found> {
  const cpu = cpuName();
  try {
    const proof = await proveOnExecutor({ ...request, reference });
    if (proof === undefined) return { executor: cpu, counts: new Map(), broken: [] };
    const { executor, samples, strict, counts } = proof;
    const elsewhere = [{ executor, samples, strict, outputs: proof.outputs.map(figures) }];
    return { executor: `${cpu}; ${executor}`, counts, broken: [], elsewhere, reason: disagreement(proof) };
  } catch (error) {
    if (!(error instanceof QuantcError) || !/^E_EXECUTOR_(RUN|LOST)$/.test(error.code)) throw error;
    return { executor: cpu, counts: new Map(), broken: [], reason: error.message };
  }
}

/** Notes in the ledger how the output of each node lies to the float model's, and what would help. */
async function noteLayers({ before, after, samples, ledger, threads }: ProofRequest): Promise<void> {
  const layers = await compareLayers(before, after, () => samples.first(samples.batch), {
    reference: { threads },
    candidate: { threads },
  });
  const helpful = suggestions(layers);
  const named = new Map<string, LayerComparison>();
  // A node is told by its first output.
  for (const layer of layers) if (layer.node && !named.has(layer.node)) named.set(layer.node, layer);
  for (const node of before.graph.nodes()) {
    const layer = named.get(node.label);
    if (layer === undefined) continue;
    const { sqnr, cosine, grid, name } = layer;
    const suggestion = helpful.get(name);
    ledger.refine(node, {
      sqnr,
      cosine,
      ...(grid && { saturation: grid.saturation, rangeUse: grid.rangeUse }),
      ...(suggestion && { suggestion }),
    });
  }
}

/** Precisions that an integer kernel was promised for. */
const PROMISED = /^(int8(-dynamic|-blocks)?|int[24])$/;

/** Kernels that are counted in the file too; others may merge, once equal constants are stored once. */
const PRODUCTS = /^(QLinear(Conv|MatMul)|QGemm|MatMulIntegerToFloat|DynamicQuantizeMatMul|MatMulNBits)$/;

/** The first output that only one of the two models has finite. */
function whyNotFinite(outputs: readonly Comparison[]): string | undefined {
  const spoilt = outputs.find(({ mismatched }) => mismatched > 0);
  return (
    spoilt &&
    `output "${spoilt.name}" has ${spoilt.mismatched} elements that are NaN or infinite in one model alone`
  );
}

/** The first promise that does not hold. */
function whyBroken(
  broken: Proof['broken'],
  expected: ReadonlyMap<string, number>,
  found: ReadonlyMap<string, number>,
): string | undefined {
  const [first] = broken;
  if (first !== undefined) {
    const others = broken.length > 1 ? `, and ${broken.length - 1} more nodes are let down` : '';
    return `${first.node} was promised ${first.promised} and runs as ${first.found}${others}`;
  }
  for (const [kernel, count] of expected) {
    const actual = found.get(kernel) ?? 0;
    if (PRODUCTS.test(kernel) && actual < count)
      return `${count} nodes should run as ${kernel}, and ${actual} do`;
  }
  return undefined;
}

/** The metric of both models on data that calibration never saw; each feed is made once for both. */
async function evaluateBoth(
  { float, emitted, onEvaluation = () => {} }: ProofRequest,
  data: DataSet,
  reference: SessionOptions,
  candidate: SessionOptions,
): Promise<Evaluation> {
  const ours = evaluatorFor(data);
  const { metric } = ours;
  // Against itself the float model has no noise: only metrics with a scale of their own have two sides.
  const theirs = metric === 'sqnr' ? undefined : evaluatorFor(data);
  return withSession(float, reference, (first) =>
    withSession(emitted, candidate, async (second) => {
      onEvaluation(0);
      for await (const batch of data.batches()) {
        const expected = await first.run(batch.feeds);
        ours.add(batch, await second.run(batch.feeds), expected);
        theirs?.add(batch, expected);
        onEvaluation((batch.start + batch.count) / data.count);
      }
      const { value, samples } = ours.evaluation();
      return {
        metric,
        source: basename(data.source),
        samples,
        float: theirs?.evaluation().value ?? Number.POSITIVE_INFINITY,
        quantized: value,
      };
    }),
  );
}

const figures = ({ name, sqnr, cosine, maxError, top1, identical }: Comparison): ErrorFigures => ({
  name,
  sqnr: identical ? null : sqnr,
  cosine,
  maxError,
  ...(top1 !== undefined && { top1Agreement: top1 }),
});

/** `{ 'session.a.b': '1' }` → `{ session: { a: { b: '1' } } }`, as ONNX Runtime's binding takes it. */
export function nested(options: Readonly<Record<string, string>>): ExtraOptions {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    const path = key.split('.');
    let at = root;
    for (const part of path.slice(0, -1)) {
      at[part] ??= {};
      at = at[part] as Record<string, unknown>;
    }
    at[path.at(-1)!] = value;
  }
  return root as ExtraOptions;
}
