/** What each weight's bits do to the outputs, one weight at a time: forward runs alone, on one session. */
import { Float16Array } from '@petamoriken/float16';
import {
  type Engine,
  errorOf,
  type GridBits,
  type Model,
  modelDigest,
  type RoundSpec,
  simulatedBytes,
  simulatedWeight,
  Tensor,
  type TrialFigures,
  type Value,
  type WeightMethod,
  type WeightTrials,
} from '../../src/index.js';
import type { WeightGroup } from './groups.js';

/** How weights are tried. */
export interface Trial {
  readonly method: WeightMethod;
  readonly symmetric: boolean;
  /** Elements that share a scale, by bits; 0 for all that a column sums over. */
  blockSize(bits: GridBits, group: WeightGroup): number;
}

/** One weight at some bits. */
export interface BitsFigure {
  readonly bits: GridBits;
  readonly bytes: number;
  /** Noise of the outputs, this weight alone having these bits. */
  readonly noise: number;
  /** 10·log10(Σ w² / Σ (w − ŵ)²) of the weight itself, in dB. */
  readonly sqnr: number;
}

export interface GroupFigures {
  readonly group: WeightGroup;
  readonly figures: readonly BitsFigure[];
}

export function specOf(
  group: WeightGroup,
  bits: GridBits,
  { method, symmetric, blockSize }: Trial,
): RoundSpec {
  const { tensor, axis } = group;
  const shape = tensor.shape as readonly [number, number];
  return {
    shape,
    axis,
    bits,
    blockSize: blockSize(bits, group) || shape[axis],
    symmetric,
    method,
    half: tensor.dtype === 'float16',
  };
}

/** The tensors that a weight, and its twins, become. */
export function replaced(group: WeightGroup, values: Float32Array): Map<Value, Tensor> {
  const { tensor, weight, twins } = group;
  const made = new Map<Value, Tensor>([[weight, asType(tensor, values, tensor.shape)]]);
  const [rows, columns] = tensor.shape as [number, number];
  for (const twin of twins) {
    if (twin.constant === tensor) {
      made.set(twin, made.get(weight)!);
      continue;
    }
    const turned = new Float32Array(values.length);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c]!;
    made.set(twin, asType(tensor, turned, [columns, rows]));
  }
  return made;
}

const asType = ({ dtype }: Tensor, values: Float32Array, shape: readonly number[]): Tensor =>
  Tensor.of(dtype, shape, dtype === 'float' ? values : Float16Array.from(values));

/**
 * Measures every group at every number of bits. What was measured before is known from the engine's memory.
 * @param onDone told after each measurement how many are done, of how many
 */
export async function weightSensitivities(
  model: Model,
  groups: readonly WeightGroup[],
  bits: readonly GridBits[],
  trial: Trial,
  trials: WeightTrials,
  engine: Pick<Engine, 'remember' | 'samplesDigest'>,
  onDone?: (done: number, of: number) => void,
): Promise<GroupFigures[]> {
  const digest = modelDigest(model);
  const found: GroupFigures[] = [];
  let done = 0;
  for (const group of groups) {
    const figures: BitsFigure[] = [];
    const values = group.tensor.toFloat32();
    for (const each of bits) {
      const spec = specOf(group, each, trial);
      const measure = async (): Promise<{ noise: number; sqnr: number }> => {
        const rounded = simulatedWeight(values, spec);
        const { noise }: TrialFigures = await trials.measure(replaced(group, rounded));
        return { noise, sqnr: errorOf(values, rounded).sqnr };
      };
      const key = [
        digest,
        engine.samplesDigest?.(trials.samples) ?? null,
        group.weight.name,
        JSON.stringify(spec),
      ];
      const measured = engine.remember ? await engine.remember('weight-bits', key, measure) : await measure();
      figures.push({ bits: each, bytes: simulatedBytes(spec), ...measured });
      onDone?.(++done, groups.length * bits.length);
    }
    found.push({ group, figures });
  }
  return found;
}
