/** What a finetuning leaves: the model with its weights on their grids, and the grids themselves. */
import { basename, dirname } from 'node:path';
import { zipSync } from 'fflate';
import { encodeNpy } from '../../calibration/npy.js';
import { QuantcError } from '../../errors/error.js';
import { setConstant } from '../../ir/edit.js';
import type { Model, Value } from '../../ir/graph.js';
import { Tensor } from '../../ir/tensor.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import { curveSvg } from '../../training/curve-svg.js';
import type { Grid } from '../../training/fake-quant.js';
import { type OnGrid, putOnGrid, scaleIndices } from '../../training/fit-grid.js';
import type { TrainingResult } from '../../training/loop.js';
import { filesOf, Staging } from '../staging.js';
import { activationRows } from './activations.js';
import type { FinetuneReport } from './finetune.js';
import type { FinetuneParts } from './run.js';

export interface FinetuneFiles {
  /** Names beside each other. */
  readonly model: string;
  /** How it was trained, and bits, axis and block of each weight. Its scales and integers are in the archive. */
  readonly manifest: string;
  readonly arrays: string;
  /** The learning curve as a picture. */
  readonly picture: string;
}

/**
 * One weight in the manifest; the archive holds `<index>.scale` and `<index>.integers` for it: ŵ = integer · scale.
 * Where grids reach as far down as up but for one integer there is nothing more; else `<index>.zeroPoint`, in the shape of
 * the scale, is what makes of each integer a number from 0 to 2^bits − 1.
 */
interface ManifestRow {
  readonly name: string;
  readonly index: number;
  readonly bits: number;
  /** The least and the largest integer that any of its grids has. */
  readonly low: number;
  readonly high: number;
  readonly axis?: number;
  readonly blockSize?: number;
  readonly frozen: boolean;
}

interface Finetuned {
  /** The canonical model with open sizes. */
  readonly model: Model;
  readonly parts: Pick<FinetuneParts, 'candidates' | 'floats' | 'kept' | 'statics'>;
  readonly frozen: ReadonlySet<string>;
  readonly result: TrainingResult;
  /** Goes into the manifest as it is. */
  readonly training: Pick<
    FinetuneReport,
    'bits' | 'static' | 'freeze' | 'loss' | 'steps' | 'rate' | 'samples' | 'trials' | 'heldOut' | 'blockwise'
  >;
}

/** @throws QuantcError E_OUT_FOLDER, E_OUT_OVERWRITES; F_FINETUNE_WEIGHT where a trained weight is not found again */
export async function writeFinetuned(
  request: { readonly model: string; readonly out: string },
  { model, parts, frozen, result, training }: Finetuned,
): Promise<FinetuneFiles> {
  const weights = new Map([...model.graph.initializers].map((value) => [value.name, value]));
  const rows: ManifestRow[] = [];
  const arrays: Record<string, Uint8Array> = {};
  const place = (name: string, { shape }: Tensor): Value => {
    const value = weights.get(name);
    if (value?.constant?.shape.join() === shape.join()) return value;
    throw new QuantcError(
      'F_FINETUNE_WEIGHT',
      `${name} is not the same weight in the model with open sizes`,
      {
        kind: 'fault',
        place: { value: name },
      },
    );
  };
  for (const name of parts.floats) {
    const trained = result.trainedWeights.get(name)!;
    setConstant(place(name, trained), trained);
  }
  parts.candidates.forEach(({ name, weight, bits, grid }, index) => {
    const value = place(name, weight);
    const { put, own } = settled(weight, grid, name, frozen, result);
    setConstant(value, put.values);
    const { axis, blockSize } = own;
    const { integers, low, high, zeroPoint } = counted(put, own, bits);
    rows.push({
      // What has fewer is stored in two.
      ...{ name, index, bits: Math.max(2, Math.ceil(bits)), low, high, frozen: frozen.has(name) },
      ...(axis !== undefined && { axis }),
      ...(blockSize !== undefined && { blockSize }),
    });
    arrays[`${index}.scale.npy`] = encodeNpy(own.scale);
    arrays[`${index}.integers.npy`] = encodeNpy(Tensor.of('int8', weight.shape, integers));
    if (zeroPoint !== undefined) arrays[`${index}.zeroPoint.npy`] = encodeNpy(zeroPoint);
  });
  const name = basename(request.out);
  const stem = name.replace(/\.onnx$/, '');
  const files = {
    model: name,
    manifest: `${stem}.grids.json`,
    arrays: `${stem}.grids.npz`,
    picture: `${stem}.curve.svg`,
  };
  const inputs = filesOf(request.model, readModel(request.model));
  const staging = new Staging(dirname(request.out));
  try {
    const { files: written } = await writeModel(model, staging.path(name));
    for (const { path } of written) await staging.add(basename(path), inputs);
    const activations = parts.statics && {
      activations: activationRows(parts.statics, result.trainedScales),
    };
    const manifest = { ...training, curve: result.curve, kept: parts.kept, weights: rows, ...activations };
    await staging.write(files.manifest, `${JSON.stringify(manifest, null, 1)}\n`, inputs);
    await staging.write(files.picture, curveSvg(result.curve, training.heldOut), inputs);
    // A fixed date: equal results are equal files.
    await staging.write(files.arrays, zipSync(arrays, { level: 0, mtime: new Date(1980, 0, 1) }), inputs);
    staging.commit();
  } finally {
    staging.remove();
  }
  return files;
}

/** Integers that stand for a weight without zero points, how far they reach, and where 0 lies among 2^bits of them. */
function counted(
  { integers, values }: OnGrid,
  grid: Grid,
  bits: number,
): { integers: Int8Array; low: number; high: number; zeroPoint?: Tensor } {
  const { low, high, scale, zeroPoint } = grid;
  if (zeroPoint === undefined) return { integers: Int8Array.from(integers), low, high };
  const zeros = zeroPoint.toNumbers();
  const { index } = scaleIndices(values.shape, grid);
  return {
    integers: Int8Array.from(integers, (integer, at) => integer - zeros[index[at]!]!),
    low: low - zeros.reduce((most, each) => Math.max(most, each)),
    high: high - zeros.reduce((least, each) => Math.min(least, each)),
    zeroPoint: Tensor.of(
      'int8',
      scale.shape,
      Int8Array.from(zeros, (zero) => zero + 2 ** (bits - 1)),
    ),
  };
}

/** A weight as it ends up, and the grid that it lies on. */
function settled(
  weight: Tensor,
  grid: Grid,
  name: string,
  frozen: ReadonlySet<string>,
  result: TrainingResult,
): { put: OnGrid; own: Grid } {
  if (frozen.has(name)) return { put: putOnGrid(weight, grid), own: grid };
  const own = { ...grid, scale: result.trainedScales.get(name) ?? grid.scale };
  return { put: putOnGrid(result.trainedWeights.get(name) ?? weight, own), own };
}
