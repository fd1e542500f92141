/** Grids beside a model that `finetune` has written: `<model>.grids.json`, and `<model>.grids.npz` with the numbers. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import * as v from 'valibot';
import { openNpz, type StoredArray } from '../calibration/npy.js';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import type { Ledger } from '../pipeline/ledger.js';
import { readTraining, type TrainingReport } from '../report/training.js';
import type { Range } from '../target/facts.js';
import { type GivenGrid, type GivenGrids, givenGridsFact } from '../target/given-grids.js';

const whole = v.pipe(v.number(), v.integer());
const finite = v.pipe(v.number(), v.finite());

const manifestSchema = v.object({
  weights: v.array(
    v.object({
      name: v.string(),
      index: whole,
      bits: v.optional(v.pipe(whole, v.minValue(2), v.maxValue(8))),
      low: v.pipe(whole, v.minValue(-128)),
      high: v.pipe(whole, v.maxValue(127)),
      axis: v.optional(v.pipe(whole, v.minValue(0))),
      blockSize: v.optional(v.pipe(whole, v.minValue(1))),
    }),
  ),
  kept: v.optional(v.array(v.string())),
  activations: v.optional(
    v.array(v.object({ name: v.string(), low: whole, high: whole, scale: finite, zeroPoint: whole })),
  ),
});

/** Where the grids of a model lie. */
export const gridFilesOf = (model: string): { readonly manifest: string; readonly arrays: string } => {
  const stem = model.replace(/\.onnx$/, '');
  return { manifest: `${stem}.grids.json`, arrays: `${stem}.grids.npz` };
};

/**
 * The grids beside a model, undefined where there are none.
 * @param model as it was read from `path`
 * @throws QuantcError E_GRIDS_READ for files that are damaged or of another form, E_GRIDS_FOREIGN where they are not
 * this model's: a weight or value that it does not have, or a weight that does not lie on its grid
 */
export function givenGrids(path: string, model: Model): GivenGrids | undefined {
  const files = gridFilesOf(path);
  if (!existsSync(files.manifest)) return undefined;
  const manifest = parsedManifest(files.manifest);
  const arrays = openNpz(files.arrays);
  const initializers = new Map([...model.graph.initializers].map((value) => [value.name, value.constant]));
  const weights = new Map<string, GivenGrid>();
  for (const { name, index, ...form } of manifest.weights) {
    const weight = initializers.get(name);
    if (weight === undefined) throw foreign(files.manifest, name, 'the model has no such weight');
    const [scale, integers] = ['scale', 'integers'].map((what) =>
      wholeArray(arrays, `${index}.${what}`, files.arrays),
    ) as [Tensor, Tensor];
    const place = `${index}.zeroPoint`;
    const zeroPoint = arrays.has(place) ? wholeArray(arrays, place, files.arrays) : undefined;
    const grid: GivenGrid = { ...form, scale, integers, ...(zeroPoint && { zeroPoint }) };
    if (!liesOn(weight, grid)) throw foreign(files.manifest, name, 'the weight does not lie on its grid');
    weights.set(name, grid);
  }
  const kept = new Set(manifest.kept);
  for (const name of kept)
    if (!initializers.has(name)) throw foreign(files.manifest, name, 'the model has no such weight');
  return { weights, kept, activations: rangesOf(manifest.activations ?? [], model, files.manifest) };
}

/** How the model was trained, undefined where it is none of `finetune`. @throws QuantcError E_REPORT_TRAINING */
export function trainingBeside(path: string): TrainingReport | undefined {
  const { manifest } = gridFilesOf(path);
  return existsSync(manifest) ? readTraining(manifest) : undefined;
}

function parsedManifest(file: string): v.InferOutput<typeof manifestSchema> {
  try {
    return v.parse(manifestSchema, JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    if (!(cause instanceof SyntaxError) && !(cause instanceof v.ValiError)) throw cause;
    throw new QuantcError('E_GRIDS_READ', `the grids cannot be read: ${cause.message}`, {
      place: { file },
      hint: HINT,
      cause,
    });
  }
}

const HINT = 'Write the model anew with quantc finetune, or remove the file to have grids chosen anew.';

function wholeArray(arrays: ReadonlyMap<string, StoredArray>, name: string, file: string): Tensor {
  const array = arrays.get(name);
  if (array === undefined || array.dtype !== (name.endsWith('.scale') ? 'float' : 'int8')) {
    throw new QuantcError('E_GRIDS_READ', `${name} is missing, or of another type`, {
      place: { file },
      hint: HINT,
    });
  }
  return array.rows(0, array.shape[0] ?? 1).with({ shape: array.shape });
}

const foreign = (file: string, value: string, why: string): QuantcError =>
  new QuantcError('E_GRIDS_FOREIGN', `the grids are of another model: ${why}`, {
    place: { file, value },
    hint: HINT,
  });

/** Scales of the shape that the form asks for, integers within it, and the weight just what they stand for. */
function liesOn(
  weight: Tensor,
  { bits, low, high, axis, blockSize, scale, integers, zeroPoint }: GivenGrid,
): boolean {
  if (weight.dtype !== 'float' || integers.shape.join() !== weight.shape.join()) return false;
  if (axis !== undefined && axis >= weight.shape.length) return false;
  const size = axis === undefined ? 1 : weight.shape[axis]!;
  const parts = blockSize === undefined ? size : Math.ceil(size / blockSize);
  const wanted =
    axis === undefined
      ? []
      : blockSize === undefined
        ? [size]
        : weight.shape.map((dim, at) => (at === axis ? parts : dim));
  if (scale.shape.join() !== wanted.join()) return false;
  if (zeroPoint !== undefined && (bits === undefined || zeroPoint.shape.join() !== wanted.join()))
    return false;
  const zeros = zeroPoint?.toNumbers();
  const [values, steps, numbers] = [weight.toFloat32(), scale.toFloat32(), integers.data() as Int8Array];
  if (!steps.every((step) => step > 0 && Number.isFinite(step))) return false;
  const inner = axis === undefined ? 1 : elementCount(weight.shape.slice(axis + 1));
  return values.every((value, at) => {
    const along = Math.floor(at / inner) % size;
    const outer = Math.floor(at / (inner * size));
    const which =
      axis === undefined
        ? 0
        : blockSize === undefined
          ? along
          : (outer * parts + Math.floor(along / blockSize)) * inner + (at % inner);
    const integer = numbers[at]!;
    const counted = integer + (zeros?.[which] ?? 0);
    if (zeros !== undefined && (counted < 0 || counted >= 2 ** bits!)) return false;
    return integer >= low && integer <= high && value === Math.fround(integer * steps[which]!);
  });
}

/** What the integers of each grid reach to; from these, the same scales and zero points are chosen again. */
function rangesOf(
  rows: NonNullable<v.InferOutput<typeof manifestSchema>['activations']>,
  model: Model,
  file: string,
): Map<string, Range> {
  if (rows.length === 0) return new Map();
  const names = new Set<string>();
  for (const value of model.graph.inputs) names.add(value.name);
  for (const node of model.graph.nodes()) for (const output of node.outputs) names.add(output.name);
  return new Map(
    rows.map(({ name, low, high, scale, zeroPoint }) => {
      if (!names.has(name)) throw foreign(file, name, 'the model has no such value');
      if (!(scale > 0 && low <= zeroPoint && zeroPoint <= high && low < high))
        throw new QuantcError('E_GRIDS_READ', `the grid of ${name} is none`, {
          place: { file, value: name },
          hint: HINT,
        });
      return [name, { min: (low - zeroPoint) * scale, max: (high - zeroPoint) * scale }];
    }),
  );
}

/** Tells the passes of grids that came with the model. */
export function tellGrids(
  facts: Map<string, unknown>,
  given: GivenGrids | undefined,
  { model }: { readonly model: string },
  ledger: Ledger,
): void {
  if (given === undefined) return;
  givenGridsFact.set({ facts }, given);
  ledger.note(
    'info',
    'grids',
    `${basename(gridFilesOf(model).manifest)} has the grids of ${given.weights.size} weights and ${given.activations.size} activations: they are taken as they were trained`,
  );
}

/** What was trained on its grids is not refined again, unless that is asked for. */
export const algorithmsBeside = (
  given: GivenGrids | undefined,
  asked: readonly string[] | undefined,
): readonly string[] | undefined => asked ?? (given && ['none']);
