/**
 * What each way of choosing integers loses on language models: divergence from the float model, perplexity and next-token
 * accuracy on held-out text, all weights of the layers (not the head, not tables) at few bits.
 *
 *   npx tsx bench/lm-methods.ts [stories260k|shakewiki-3.4m …] [--bits 4,3,2] [--block 0] [--windows 10]
 *       [--methods rtn,mse,hqq,awq,gptq,gptq-sequential,adaround]
 *
 * --block 0 is one scale and zero point a column, as executors without blocks have. Integers are simulated in float32; 3
 * bits have no kernels anywhere and would be stored as 4.
 */
import { parseArgs } from 'node:util';
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
import { type Bench, heldOut, LANGUAGE_MODELS, openBench, row } from './language-models.js';

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

const METHODS = ['rtn', 'mse', 'hqq', 'awq', 'gptq', 'gptq-sequential', 'adaround'] as const;
type Method = (typeof METHODS)[number];

async function made(
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

const WIDTHS = [16, 6, 10, 12, 11, 10, 9];

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      bits: { type: 'string', default: '4,3,2' },
      block: { type: 'string', default: '0' },
      windows: { type: 'string', default: '10' },
      methods: { type: 'string', default: METHODS.join(',') },
    },
  });
  for (const name of positionals.length > 0 ? positionals : LANGUAGE_MODELS) {
    const bench = await openBench(name, { windows: Number(values.windows) });
    if (bench === undefined) {
      console.log(`${name} is not there`);
      continue;
    }
    const float = await heldOut(bench, (trials) => trials.measure(new Map(), true));
    const block = Number(values.block);
    console.log(
      `\n${name}: float perplexity ${float.perplexity!.toFixed(3)}, accuracy ${(100 * float.accuracy!).toFixed(2)} % on ${values.windows} windows; ` +
        `${block === 0 ? 'one scale a column' : `blocks of ${block}`}`,
    );
    console.log(row(['method', 'bits', 'KL', 'of mse', 'perplexity', 'accuracy', 'seconds'], WIDTHS));
    for (const bits of values.bits.split(',').map(Number) as GridBits[]) {
      let clipped = Number.NaN;
      for (const method of METHODS.filter((each) => values.methods.split(',').includes(each))) {
        const start = performance.now();
        const [on, weights] = await made(bench, method, bits, block);
        const seconds = (performance.now() - start) / 1000;
        const { noise, perplexity, accuracy } = await heldOut(on, (trials) => trials.measure(weights, true));
        if (method === 'mse') clipped = noise;
        const share = Number.isNaN(clipped) ? '' : `${((100 * noise) / clipped).toFixed(0)} %`;
        const percent = `${(100 * accuracy!).toFixed(2)} %`;
        console.log(
          row(
            [method, bits, noise.toFixed(4), share, perplexity!.toFixed(3), percent, seconds.toFixed(1)],
            WIDTHS,
          ),
        );
      }
    }
  }
}

await main();
