/** What the bits of each weight do to the outputs: measured on data, written nowhere. */
import { basename } from 'node:path';
import { type WeightGroup, weightGroups } from '../../passes/mix-weights/groups.js';
import { specOf, weightSensitivities } from '../../passes/mix-weights/sensitivity.js';
import { openData } from '../calibration/data.js';
import { withWeightTrials } from '../calibration/weight-trials.js';
import { QuantcError } from '../errors/error.js';
import { readModel } from '../onnx/read.js';
import type { Engine } from '../pipeline/pass.js';
import { runPipeline } from '../pipeline/run.js';
import type { GridBits, WeightMethod } from '../quant/block-fit.js';
import type { RoundSpec } from '../quant/round-blocks.js';
import { simulatedWeight } from '../quant/simulate.js';
import { recipeFor } from '../recipe.js';
import { createEngine } from '../runtime/engine.js';
import { type NodeRole, nodeRoles } from '../transformer/node-roles.js';
import { AnswerCache } from './cache.js';
import { cacheFolder } from './cache-folder.js';
import { decoderData } from './decoder-data.js';
import { oneByOne, stoppable } from './samples.js';
import { fisherOf } from './weight-fisher.js';

export interface WeightSensitivityRequest {
  readonly model: string;
  /** Data to measure on; their labels are not looked at. */
  readonly data: string;
  /** Default 2, 3, 4 and 8; 3 bits are simulated, no executor has kernels for them. */
  readonly bits?: readonly GridBits[];
  /** Elements that share a scale; 0 for one scale a column. Default 32. */
  readonly blockSize?: number;
  /** Gradients too, which take a way forward and back for each sample. Default false. */
  readonly fisher?: boolean;
  /** Default `mse`. */
  readonly method?: WeightMethod;
  /** Most samples to measure on. Default 16. */
  readonly samples?: number;
  readonly cache?: string | false;
  readonly signal?: AbortSignal;
  readonly onProgress?: (share: number) => void;
}

/** One weight at some bits. */
export interface WeightFigure {
  readonly bits: GridBits;
  readonly bytes: number;
  /** Noise of the outputs, it alone having these bits; see `metric`. */
  readonly noise: number;
  /** Signal to noise of the weight itself, in dB; null where nothing differs. */
  readonly sqnr: number | null;
  /** ½·Σ F·ΔW², what the Fisher information foretells of the noise, where it was asked for. */
  readonly fisher?: number;
}

/** One stored weight, with all that reads it. */
export interface WeightSensitivity {
  readonly nodes: readonly string[];
  readonly weight: string;
  readonly role?: string;
  readonly roles: readonly Pick<NodeRole, 'role' | 'layer'>[];
  readonly elements: number;
  /** Energy of the gradients, an element; where it was asked for. */
  readonly gradient?: number;
  readonly figures: readonly WeightFigure[];
}

export interface WeightSensitivityReport {
  readonly model: string;
  /** `kl`: mean divergence from the float model's distributions, in nats. `sqnr`: energy of the error over the outputs'. */
  readonly metric: 'kl' | 'sqnr';
  readonly source: string;
  readonly samples: number;
  readonly method: WeightMethod;
  readonly blockSize: number;
  readonly bits: readonly GridBits[];
  /** Why there are no gradients though they were asked for. */
  readonly withoutGradients?: string;
  /** The weight that costs most at the fewest bits first. */
  readonly weights: readonly WeightSensitivity[];
}

const BITS: readonly GridBits[] = [2, 3, 4, 8];

/**
 * Tries every weight of a product at every number of bits, one at a time, on one session that takes weights as inputs.
 * What was measured before is known from the cache.
 * @throws QuantcError as `compile` does for models and data; E_SENSITIVITY_NOTHING where no product has a weight
 */
export async function weightSensitivity(request: WeightSensitivityRequest): Promise<WeightSensitivityReport> {
  const { method = 'mse', blockSize = 32, signal } = request;
  const bits = [...new Set(request.bits ?? BITS)].toSorted((a, b) => a - b);
  const cache = new AnswerCache(cacheFolder(request.cache));
  const model = readModel(request.model);
  const data = await oneByOne(await openData(request.data, 'calib', model.graph.inputs), model);
  await runPipeline(model, recipeFor('float').canonicalize, { engine: createEngine() });
  const groups = weightGroups(model, () => true);
  if (groups.length === 0) {
    throw new QuantcError('E_SENSITIVITY_NOTHING', 'no product of this model has a weight of its own', {
      place: { file: request.model },
      hint: 'Weights of few bits are for MatMul and Gemm; `quantc sensitivity` without --weights is for static int8.',
    });
  }
  const measured = stoppable(
    decoderData(data, model)
      .first(request.samples ?? 16)
      .rebatched(1),
    signal,
  );
  const engine: Pick<Engine, 'remember' | 'samplesDigest'> = {
    remember: (kind, key, compute) => cache.remember(kind, key, compute),
    samplesDigest: () => measured.digest(),
  };
  const roles = nodeRoles(model);
  const rolesOf = ({ nodes }: WeightGroup) =>
    nodes.flatMap((node) =>
      (roles.get(node) ?? []).map(({ role, layer }) => ({ role, ...(layer !== undefined && { layer }) })),
    );
  const trial = { method, symmetric: false, blockSize: () => blockSize };
  const weights = groups.flatMap(({ weight, twins }) => [weight, ...twins]);
  const fisher = request.fisher ? await fisherOf(model, weights, measured) : undefined;
  /** What gradients say of a weight; nothing where there are none. */
  const gradientOf = ({ weight }: WeightGroup): Float64Array | undefined =>
    typeof fisher === 'object' ? fisher.get(weight) : undefined;
  return withWeightTrials(model, weights, measured, async (trials) => {
    const found = await weightSensitivities(model, groups, bits, trial, trials, engine, (done, of) =>
      request.onProgress?.(done / of),
    );
    return {
      model: basename(request.model),
      metric: trials.metric,
      source: basename(measured.source),
      samples: trials.samples,
      method,
      blockSize,
      bits,
      ...(typeof fisher === 'string' && { withoutGradients: fisher }),
      weights: found
        .toSorted((a, b) => b.figures[0]!.noise - a.figures[0]!.noise)
        .map(({ group, figures }) => ({
          nodes: group.nodes.map(({ label }) => label),
          weight: group.weight.name,
          ...(group.role !== undefined && { role: group.role }),
          roles: rolesOf(group),
          elements: group.tensor.count,
          ...energyOf(gradientOf(group)),
          figures: figures.map(({ sqnr, ...rest }) => ({
            ...rest,
            sqnr: Number.isFinite(sqnr) ? sqnr : null,
            ...foretold(gradientOf(group), group, specOf(group, rest.bits, trial)),
          })),
        })),
    };
  });
}

function energyOf(fisher: Float64Array | undefined): Pick<WeightSensitivity, 'gradient'> {
  return fisher === undefined
    ? {}
    : { gradient: fisher.reduce((sum, each) => sum + each, 0) / fisher.length };
}

function foretold(
  fisher: Float64Array | undefined,
  { tensor }: WeightGroup,
  spec: RoundSpec,
): Pick<WeightFigure, 'fisher'> {
  if (fisher === undefined) return {};
  const values = tensor.toFloat32();
  const rounded = simulatedWeight(values, spec);
  return {
    fisher: 0.5 * fisher.reduce((sum, each, at) => sum + each * (values[at]! - rounded[at]!) ** 2, 0),
  };
}
