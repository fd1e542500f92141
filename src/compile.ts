/** The one composition root: a model file goes in; for each target, a proven file and its report come out. */
import { basename } from 'node:path';
import { mixPrecision } from '../passes/mix-precision.js';
import { originalNames } from '../passes/shorten-names.js';
import { type BudgetTerm, parseBudget } from './compile/budget/budget.js';
import { compileWithin } from './compile/budget/run.js';
import type { AnswerCache } from './compile/cache.js';
import { cacheFolder } from './compile/cache-folder.js';
import { CalibrationRecord } from './compile/calibration-report.js';
import { unlessQuantized } from './compile/came-quantized.js';
import { deflatedFor } from './compile/deflated.js';
import { eachTarget, resolveRequested } from './compile/each-target.js';
import { compileEngine } from './compile/engine.js';
import { exclusionOf, widened, withoutBroken } from './compile/exclusion.js';
import { firstFacts } from './compile/first-facts.js';
import { algorithmsBeside, tellGrids, trainingBeside } from './compile/given-grids.js';
import { emittedName, nameBatch, refuseClash, writeCompanions } from './compile/layout.js';
import type { Meeting } from './compile/meeting.js';
import { deliverBeside, refuseForBinding } from './compile/mobile-files.js';
import { modelFiles } from './compile/model-files.js';
import { nextMethod } from './compile/next-method.js';
import { PAGE_NAME, pageOf } from './compile/page-file.js';
import { noteUnplaced, type Plugged, plugIn, rangesNamed, withPlaced } from './compile/plugged.js';
import { cacheFor } from './compile/plugged-cache.js';
import { PluginLog } from './compile/plugin-log.js';
import { DEFAULT_MEMORY, withPool } from './compile/pool.js';
import { verdictWithin } from './compile/provider-verdict.js';
import type { CompileEvent, CompileRequest, Stage } from './compile/request.js';
import { dataFor } from './compile/request-data.js';
import { stopIfAborted, stoppable } from './compile/samples.js';
import { compileShapes } from './compile/shapes.js';
import { specializeFor } from './compile/specialize.js';
import { bytesOf, filesOf, Staging } from './compile/staging.js';
import { accept, proveWithin, refuseWarnings } from './compile/verdict.js';
import { writeBindings } from './compile/write-bindings.js';
import { cloneModel } from './ir/clone.js';
import type { Model } from './ir/graph.js';
import type { KernelPool } from './kernels/pool.js';
import { readModel } from './onnx/read.js';
import { writeModel } from './onnx/write.js';
import { Ledger } from './pipeline/ledger.js';
import type { Engine, Pass } from './pipeline/pass.js';
import { type PassEvent, runPipeline } from './pipeline/run.js';
import { prove } from './prove.js';
import { algorithmsNamed, recipeFor } from './recipe.js';
import { kindOf } from './recipe-kind.js';
import { type FileFacts, type Proof, reportText, type TargetReport } from './report/report.js';
import { REPORT_NAME } from './report/report-name.js';
import { VERSION } from './report/version.js';
import {
  activationGridsFact,
  exclusionFact,
  floatModelFact,
  judgedByLikeness,
  targetFact,
} from './target/facts.js';
import { type BytesGoal, type MixGoal, mixFact } from './target/mix.js';
import { profiled } from './target/profiled.js';
import { providerName, type Target } from './target/target.js';
import { weightMixFact } from './target/weight-mix.js';

export type { CompileEvent, CompileRequest, Stage } from './compile/request.js';

export { REPORT_NAME };

const PROOF_SAMPLES = 16;

/**
 * Compiles one model for each target.
 * @returns a report a target; the files they name and `quantc.report.json` are in `out`, whole. On any error none is,
 * but that of several targets that one alias stands for some may refuse the model: see `each-target.ts`.
 * @throws QuantcError with kind `input` or `usage` for what is wrong with the request, `proof` when the emitted model
 * does not do what the plan promised.
 */
export async function compile(asked: CompileRequest): Promise<TargetReport[]> {
  // Data that are opened for a request are kept with it: a copy lives no longer than this compilation.
  const request = { ...asked };
  const plugged = plugIn(request.plugins);
  const targets = resolveRequested(request.targets ?? ['cpu'], plugged.targets);
  algorithmsNamed(request.algorithms, plugged.algorithms);
  rangesNamed(request.ranges, plugged);
  refuseClash(request.layout, targets);
  const terms = parseBudget(request.budget ?? []);
  const cache = cacheFor(cacheFolder(request.cache), plugged, targets);
  const staging = new Staging(request.out ?? 'dist');
  try {
    const { reports, refused } = await eachTarget(targets, request, (target) =>
      withPool(request, async (pool) => {
        const compileInto = (folder: Staging, goal?: MixGoal | BytesGoal) =>
          compileFor(target, request, folder, pool, cache, { terms, goal, plugged });
        const run = { terms, request, target, cache, staging };
        if (request.shapes !== undefined)
          return compileShapes({
            ...run,
            compile: (own, folder, meeting) =>
              compileFor(target, own, folder, pool, cache, { meeting, plugged }),
          });
        if (terms.length === 0) return [await compileInto(staging)];
        return [await compileWithin({ ...run, compile: (goal, folder) => compileInto(folder, goal) })];
      }),
    );
    await writeCompanions(request, reports, staging);
    const bindings = await writeBindings(request, reports, staging);
    const told = { quantc: VERSION, targets: reports, ...(refused.length > 0 && { refused }) };
    const text = reportText(told);
    await staging.write(REPORT_NAME, text, [request.model]);
    if (request.report) await staging.write(PAGE_NAME, await pageOf([text]), [request.model]);
    stopIfAborted(request.signal);
    staging.commit();
    if (bindings.length > 0) request.onEvent?.({ kind: 'bindings', paths: bindings });
    return reports;
  } finally {
    staging.remove();
  }
}

/** Threads that are up before they are needed save what starting them takes; below this much it is not worth it. */
const WARM_BYTES = 64 << 20;

/** What one compilation of several for the same request is about. */
interface Trial {
  readonly terms?: readonly BudgetTerm[];
  readonly goal?: MixGoal | BytesGoal | undefined;
  /** Promises that the executor did not keep when this was compiled before: their nodes stay float now. */
  readonly broken?: Proof['broken'];
  /** Compilations of the same model for other shapes, which agree with this one on ranges. */
  readonly meeting?: Meeting;
  readonly plugged: Plugged;
}

async function compileFor(
  target: Target,
  request: CompileRequest,
  staging: Staging,
  pool: KernelPool,
  cache: AnswerCache,
  { terms = [], goal, broken = [], meeting, plugged }: Trial,
): Promise<TargetReport> {
  const { threads, signal } = request;
  const tell = (event: CompileEvent): void => {
    stopIfAborted(signal);
    request.onEvent?.(event);
  };
  const enter = (stage: Stage) => tell({ kind: 'stage', target: target.name, stage });
  const progress = (stage: Stage) => (share: number) =>
    tell({ kind: 'share', target: target.name, stage, share });

  enter('read');
  const model = readModel(request.model);
  const inputs = filesOf(request.model, model);
  const bytesBefore = bytesOf(inputs);
  if (bytesBefore >= WARM_BYTES) pool.warm();
  const maxMemory = request.maxMemory ?? DEFAULT_MEMORY;
  const ledger = new Ledger();
  const fixed = specializeFor(request, model, target, ledger);
  const remember: Engine['remember'] = (kind, key, compute) => cache.remember(kind, key, compute);
  const data = await dataFor(request, target, model, ledger, progress('read'), remember, fixed);
  refuseWarnings(request.strict ?? false, ledger);

  enter('rewrite');
  const { fusions, lowerings, executor } = target;
  const rewriting = { fusions, kvCache: request.kvCache, lowerings, beside: executor !== undefined };
  const asked = terms.length > 0 ? request.algorithms?.concat(mixPrecision.name) : request.algorithms;
  const algorithms = algorithmsBeside(data.given, asked);
  const recipe = withPlaced(recipeFor(data.precision, algorithms, rewriting, plugged.algorithms), plugged);
  noteUnplaced(recipe, plugged, `${data.precision} for ${target.name}`, ledger);
  const log = new PluginLog();
  const calibrated = new CalibrationRecord();
  const engine = compileEngine({
    ...{ request, samples: data.ranges, cache, ledger, meeting, terms, modelBytes: bytesBefore },
    ranges: rangesNamed(request.ranges, plugged),
    ...{ enter, progress, onObserved: (found) => calibrated.add(found) },
  });
  const facts = firstFacts(target, data.precision, request, goal);
  tellGrids(facts, data.given, request, ledger);
  judgedByLikeness.set({ facts }, data.ranges?.metric === 'sqnr');
  const onPass = (event: PassEvent, at: Model): void => {
    log.seen(event);
    tell({ kind: 'pass', target: target.name, event, model: at });
  };
  const run = (passes: readonly Pass[]) => runPipeline(model, passes, { engine, ledger, facts, onPass });
  await run(recipe.canonicalize);
  const { adapt, quantize } = await unlessQuantized(recipe, model, target, data.precision, request, ledger);
  await run(adapt);
  targetFact.set({ facts }, widened(profiled(target, data.precision), model, request.wide));
  exclusionFact.set({ facts }, withoutBroken(exclusionOf(model, request.exclude ?? []), broken, ledger));
  for (const graph of model.graphs()) for (const node of graph.nodes()) ledger.record(node, {});
  floatModelFact.set({ facts }, cloneModel(model).model);
  await run(quantize);
  const after = cloneModel(model).model;
  await run(recipe.finish);
  const verdict = await verdictWithin(request.strict, model, target, originalNames.find({ facts }));
  refuseForBinding(request.binding, model);
  nameBatch(request, model);
  model.producerName = 'quantc';
  model.producerVersion = VERSION;

  enter('write');
  const name = emittedName(request, target.name, data.precision, model);
  const emitted = staging.path(name);
  const onProgress = (done: number, total: number) => {
    const share = total === 0 ? 1 : done / total;
    tell({ kind: 'share', target: target.name, stage: 'write', share, bytes: [done, total] });
  };
  const written = await writeModel(model, emitted, {
    ...pool.writing,
    valueInfo: 'none',
    dataBytes: request.dataBytes ?? target.dataBytes,
    onProgress,
  });
  const { files: parts } = written;
  const place = (each: string) => staging.path(each);
  const names = await modelFiles({ target, emitted, name, written: parts, place, ledger, maxMemory });

  enter('prove');
  const proof = await proveWithin(maxMemory, bytesBefore, ledger, data.samples, (present) =>
    prove({
      target,
      float: request.model,
      emitted,
      before: floatModelFact.get({ facts }),
      after,
      samples: stoppable(present.first(request.proofSamples ?? PROOF_SAMPLES), signal),
      ...(data.evaluation && { evaluation: stoppable(data.evaluation, signal) }),
      onEvaluation: (share) => (share === 0 ? enter('evaluate') : progress('evaluate')(share)),
      ledger,
      threads,
    }),
  );
  if (proof.broken.length > 0 && broken.length === 0)
    return compileFor(target, request, staging, pool, cache, {
      ...{ terms, goal, broken: proof.broken, meeting, plugged },
    });
  accept(request.strict ?? false, ledger, proof);
  if (cache.refused !== undefined)
    ledger.note('info', 'cache', `nothing was kept for the next compilation: ${cache.refused}`);
  const mix = mixFact.find({ facts });
  const weightMix = weightMixFact.find({ facts });
  const training = trainingBeside(request.model);
  const grids = activationGridsFact.find({ facts });
  const next = nextMethod({
    ...{ request, target: target.name, precision: data.precision, trained: data.given !== undefined, proof },
    kind: () => kindOf(floatModelFact.get({ facts })).kind,
  });
  const calibration = calibrated.report(request.ranges ?? 'auto', grids, ledger);
  const files: FileFacts[] = [];
  for (const each of names) files.push(await staging.add(each, inputs));
  const deflated = await deflatedFor(request, inputs, names.map(place));
  const { precision, samples } = data;
  const provider = providerName(target);
  const beside = await deliverBeside({ request, target, precision, name, staging, inputs, samples, ledger });
  return {
    model: basename(request.model),
    target: target.name,
    precision: data.precision,
    opset: model.opset,
    bytesBefore,
    bytesAfter: files.reduce((sum, file) => sum + file.bytes, 0),
    files: [...files, ...beside],
    session: target.session,
    ...(provider !== undefined && { provider }),
    remarks: target.remarks ?? [],
    proof,
    ledger: ledger.rows,
    notes: ledger.notes,
    ...(deflated && { deflated }),
    ...(mix && { mix }),
    ...(weightMix && { weightMix }),
    ...(training && { training }),
    ...(calibration && { calibration }),
    ...(next && { next }),
    ...(verdict && { verdict }),
    ...(plugged.plugins.length > 0 && {
      plugins: log.report(plugged, { target: target.name, ranges: request.ranges }),
    }),
    names: Object.fromEntries(originalNames.find({ facts }) ?? []),
  };
}
