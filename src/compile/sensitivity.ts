/** What each layer loses in integers: measured on data, written nowhere. */
import { basename } from 'node:path';
import { sensitivities } from '../../passes/mix-precision/sensitivity.js';
import { Trials } from '../../passes/mix-precision/trials.js';
import { everyRange } from '../../passes/mix-precision/units.js';
import { resolveTargets } from '../../targets/index.js';
import { openData } from '../calibration/data.js';
import { openJudge } from '../calibration/judge.js';
import { likenessOn } from '../calibration/likeness.js';
import { watch } from '../calibration/watch.js';
import { QuantcError } from '../errors/error.js';
import { cloneModel } from '../ir/clone.js';
import { readModel } from '../onnx/read.js';
import { decibels, type NoiseMetric } from '../pipeline/judge.js';
import { Ledger } from '../pipeline/ledger.js';
import type { Engine } from '../pipeline/pass.js';
import { runPipeline } from '../pipeline/run.js';
import { recipeFor } from '../recipe.js';
import { createEngine } from '../runtime/engine.js';
import { saving } from '../target/cost.js';
import {
  exclusionFact,
  floatModelFact,
  judgedByLikeness,
  planFact,
  rangesFact,
  targetFact,
} from '../target/facts.js';
import { AnswerCache } from './cache.js';
import { cacheFolder } from './cache-folder.js';
import { decoderData } from './decoder-data.js';
import { exclusionOf } from './exclusion.js';
import { observeRanges } from './ranges.js';
import { oneByOne, stoppable } from './samples.js';

export interface SensitivityRequest {
  readonly model: string;
  /** Data that ranges are taken from, and that layers are measured on where `eval` is absent. */
  readonly calib: string;
  /** Data to measure on: wrong answers where they have labels, else as for `calib`. */
  readonly eval?: string;
  /** Name of a target or an alias; the first that it stands for is taken. Default `cpu`. */
  readonly target?: string;
  readonly exclude?: readonly string[];
  /** Most samples to measure on. Default 64. */
  readonly samples?: number;
  readonly cache?: string | false;
  readonly signal?: AbortSignal;
  readonly onProgress?: (share: number) => void;
}

/** One layer at one precision. */
export interface LayerSensitivity {
  readonly node: string;
  readonly opType: string;
  readonly kernel: string;
  /** Bits of its integers. */
  readonly bits: number;
  /** Figure of the outputs when it alone computes in integers, and when all others do. */
  readonly alone: number | null;
  readonly without: number | null;
  /** Microseconds an inference that its integers save, by the target's cost table; negative where float is faster. */
  readonly saves: number;
}

export interface SensitivityReport {
  readonly model: string;
  readonly target: string;
  /** In what `alone` and `without` are: dB of signal to noise, or the share of wrong answers. */
  readonly unit: 'dB' | 'wrong';
  readonly metric: NoiseMetric;
  readonly source: string;
  readonly samples: number;
  /** Figure with all integers, and with none. */
  readonly whole: number | null;
  readonly float: number | null;
  /** The layer that loses most by itself first. */
  readonly layers: readonly LayerSensitivity[];
}

/**
 * Measures what the integers of each node do to the outputs. What was measured before is known from the cache, so that
 * a run that was stopped goes on where it was.
 * @throws QuantcError as `compile` does; E_SENSITIVITY_NOTHING where the target takes no node in integers
 */
export async function sensitivity(request: SensitivityRequest): Promise<SensitivityReport> {
  const [target] = resolveTargets([request.target ?? 'cpu']);
  const cache = new AnswerCache(cacheFolder(request.cache));
  const model = readModel(request.model);
  const calib = await oneByOne(await openData(request.calib, 'calib', model.graph.inputs), model);
  const held =
    request.eval === undefined ? undefined : await openData(request.eval, 'eval', model.graph.inputs);
  const measured = stoppable((held ?? calib).first(request.samples ?? 64).rebatched(1), request.signal);
  const remember: Engine['remember'] = (kind, key, compute) => cache.remember(kind, key, compute);
  const engine: Engine = {
    ...createEngine(),
    observe: (at, values) =>
      observeRanges(at, values, decoderData(calib, at), { remember, signal: request.signal }),
    remember,
    samplesDigest: () => measured.digest(),
    likeness: likenessOn((at) => stoppable(decoderData(calib, at), request.signal)),
    watch: (at, values, samples, see) =>
      watch(at, values, stoppable(decoderData(calib, at).first(samples), request.signal), see),
  };
  const facts = new Map<string, unknown>();
  const ledger = new Ledger();
  targetFact.set({ facts }, target!);
  judgedByLikeness.set({ facts }, calib.metric === 'sqnr');
  const recipe = recipeFor('int8');
  await runPipeline(model, recipe.canonicalize, { engine, ledger, facts });
  exclusionFact.set({ facts }, exclusionOf(model, request.exclude ?? []));
  floatModelFact.set({ facts }, cloneModel(model).model);
  const upTo = recipe.quantize.findIndex(({ name }) => name === 'mix-precision');
  await runPipeline(model, recipe.quantize.slice(0, upTo), { engine, ledger, facts });
  const plan = planFact.get({ facts });
  if (plan.nodes.size === 0) {
    throw new QuantcError(
      'E_SENSITIVITY_NOTHING',
      `${target!.name} computes no node of this model in static int8`,
      {
        place: { file: request.model },
        hint: '`quantc explain` says why, node by node.',
      },
    );
  }
  const judge = await openJudge(model, decoderData(measured, model), {
    threads: 1,
    byLabels: held !== undefined,
  });
  const context = { engine, ledger, facts, changed() {}, decline() {} };
  const bench = { model, plan, ranges: everyRange(plan, rangesFact.get({ facts })), context };
  const found = await sensitivities(new Trials(bench, judge), (done, of) => request.onProgress?.(done / of));
  const figure = (noise: number): number | null =>
    judge.metric === 'wrong' ? noise : noise === 0 ? null : decibels(noise);
  return {
    model: basename(request.model),
    target: target!.name,
    unit: judge.metric === 'wrong' ? 'wrong' : 'dB',
    metric: judge.metric,
    source: basename(measured.source),
    samples: judge.samples,
    whole: figure(found.whole),
    float: figure(found.float),
    layers: found.nodes
      .toSorted((a, b) => b.alone - a.alone || a.without - b.without)
      .map(({ node, alone, without }) => ({
        node: node.node.label,
        opType: node.node.opType,
        kernel: node.row.kernel,
        bits: 8,
        alone: figure(alone),
        without: figure(without),
        saves: saving(node, target!.costs) / 1000,
      })),
  };
}
