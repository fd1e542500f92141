/** Language models whose weights were rounded by each of the methods that need no training. */
import type { WeightGroup } from '../passes/mix-weights/groups.js';
import { weightGroups } from '../passes/mix-weights/groups.js';
import { replaced } from '../passes/mix-weights/sensitivity.js';
import { adaptively } from '../passes/quantize-weights-nbits/adaptive.js';
import { visitLayers } from '../passes/quantize-weights-nbits/layers.js';
import { productOf } from '../passes/quantize-weights-nbits/products.js';
import { scaleChannels } from '../passes/scale-salient-channels.js';
import {
  cloneModel,
  type GridBits,
  type Rounding,
  type RoundSpec,
  roundIntoBy,
  simulatedWeight,
  type Tensor,
  type Value,
  type WeightMethod,
  Widened,
} from '../src/index.js';
import { withProducts } from '../src/runtime/products.js';
import type { Bench } from './language-models.js';

const specOf =
  (bits: GridBits, block: number, method: WeightMethod) =>
  (tensor: Tensor, axis: 0 | 1): RoundSpec => {
    const shape = tensor.shape as readonly [number, number];
    return { shape, axis, bits, blockSize: block || shape[axis], symmetric: false, method, half: false };
  };

type SpecOf = ReturnType<typeof specOf>;

const alone = ({ groups }: Bench, spec: SpecOf): Map<Value, Tensor> =>
  new Map(
    groups.flatMap((group) => [
      ...replaced(group, simulatedWeight(group.tensor.toFloat32(), spec(group.tensor, group.axis))),
    ]),
  );

async function together(
  { model, groups, context }: Bench,
  spec: SpecOf,
  rounding: Rounding,
): Promise<Map<Value, Tensor>> {
  const byTensor = new Map<Tensor, WeightGroup>(groups.map((group) => [group.tensor, group]));
  const products = groups.flatMap(({ nodes }) => {
    const product = productOf(nodes[0]!);
    return typeof product === 'object' ? [product] : [];
  });
  const weights = new Map<Value, Tensor>();
  await withProducts({ maxBytes: 1 << 30 }, async (matrices) => {
    const round: ReturnType<typeof adaptively> = rounding.adaptive
      ? adaptively(context)
      : (...what) => roundIntoBy(matrices, ...what);
    await visitLayers(model, products, rounding, context, matrices, async ({ tensor, axis }, metrics) => {
      const own = spec(tensor, axis);
      const widened = new Widened(own);
      await round(tensor.toFloat32(), own, metrics, (...block) => widened.put(...block));
      for (const [value, made] of replaced(byTensor.get(tensor)!, widened.values)) weights.set(value, made);
      return widened.values;
    });
  });
  return weights;
}

/** The same model with its channels scaled. */
async function scaled(bench: Bench, spec: SpecOf): Promise<Bench> {
  const { model } = cloneModel(bench.model);
  const names = new Set(bench.groups.flatMap(({ nodes }) => nodes.map(({ label }) => label)));
  await scaleChannels(model, bench.context, ({ node, tensor, axis }) =>
    names.has(node.label) ? spec(tensor, axis) : undefined,
  );
  const groups = weightGroups(model, ({ node }) => names.has(node.label));
  return { ...bench, model, groups };
}

export const METHODS = ['rtn', 'mse', 'hqq', 'awq', 'gptq', 'gptq-sequential', 'adaround'] as const;
export type Method = (typeof METHODS)[number];

/** @returns the model that the weights are of (AWQ scales channels of a copy), and what its weights become */
export async function made(
  bench: Bench,
  method: Method,
  bits: GridBits,
  block: number,
): Promise<[Bench, Map<Value, Tensor>]> {
  const spec = specOf(bits, block, method === 'rtn' || method === 'hqq' ? method : 'mse');
  switch (method) {
    case 'rtn':
    case 'mse':
    case 'hqq':
      return [bench, alone(bench, spec)];
    case 'awq': {
      const other = await scaled(bench, spec);
      return [other, alone(other, spec)];
    }
    case 'gptq':
      return [bench, await together(bench, spec, {})];
    case 'gptq-sequential':
      return [bench, await together(bench, spec, { sequential: true })];
    case 'adaround':
      return [bench, await together(bench, spec, { adaptive: true })];
  }
}
