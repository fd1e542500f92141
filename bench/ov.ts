/**
 * Which weights bear few bits: what those of each role cost alone, for their size; and language models of equal bytes
 * whose bits were given evenly, by the rule of llama.cpp (values and down projections of the first and last eighth of the
 * layers, and of every third between), to values and outputs, and by our own measurement on calibration text.
 *
 *   npx tsx bench/ov.ts [stories260k|shakewiki-3.4m …] [--windows 10] [--samples 4]
 *
 * Bits are simulated: integers of 2, 3, 4 and 8 bits in blocks of 32 and, for even bits of more bytes, of 16; nothing else
 * is quantized. Divergence, perplexity and next-token accuracy on held-out text, which no choice has seen.
 */
import { parseArgs } from 'node:util';
import type { WeightGroup } from '../passes/mix-weights/groups.js';
import { replaced, specOf, type Trial, weightSensitivities } from '../passes/mix-weights/sensitivity.js';
import {
  chooseWithin,
  type GridBits,
  nodeRoles,
  simulatedBytes,
  simulatedWeight,
  type Tensor,
  type Value,
} from '../src/index.js';
import type { WeightTrials } from '../src/pipeline/weight-trials.js';
import { type Bench, heldOut, LANGUAGE_MODELS, onCalibration, openBench, row } from './language-models.js';

/** Bits and elements that share a scale. */
interface Grid {
  readonly bits: GridBits;
  readonly block: number;
}
const GRIDS: readonly Grid[] = [
  { bits: 2, block: 32 },
  { bits: 3, block: 32 },
  { bits: 4, block: 32 },
  { bits: 8, block: 32 },
];

const trialOf = (block: number): Trial => ({ method: 'mse', symmetric: false, blockSize: () => block });
const bytesOf = (group: WeightGroup, { bits, block }: Grid): number =>
  simulatedBytes(specOf(group, bits, trialOf(block)));

function weightsOf(groups: readonly WeightGroup[], grids: readonly Grid[]): Map<Value, Tensor> {
  return new Map(
    groups.flatMap((group, at) => {
      const { bits, block } = grids[at]!;
      return [
        ...replaced(group, simulatedWeight(group.tensor.toFloat32(), specOf(group, bits, trialOf(block)))),
      ];
    }),
  );
}

/** Bits by role: those of `kept` in the layers that `inLayer` takes get `high`, all others `low`. */
function byRole(
  bench: Bench,
  low: Grid,
  high: Grid,
  kept: readonly string[],
  inLayer: (layer: number, layers: number) => boolean,
): Grid[] {
  const roles = nodeRoles(bench.model);
  const own = bench.groups.map(({ nodes }) => nodes.flatMap((node) => roles.get(node) ?? [])[0]);
  const layers = 1 + Math.max(...own.map((each) => each?.layer ?? 0));
  return own.map((each) =>
    each && kept.includes(each.role) && inLayer(each.layer ?? 0, layers) ? high : low,
  );
}

/** llama.cpp's "use more bits": the first and last eighth of the layers, and every third between. */
const moreBits = (layer: number, layers: number): boolean =>
  layer < layers / 8 || layer >= (7 * layers) / 8 || (layer - Math.floor(layers / 8)) % 3 === 2;

async function measure(bench: Bench, samples: number): Promise<void> {
  const { groups } = bench;
  const figures = await onCalibration(bench, samples, (trials) =>
    weightSensitivities(
      bench.model,
      groups,
      GRIDS.map(({ bits }) => bits),
      trialOf(32),
      trials,
      {},
    ),
  );
  roles(
    bench,
    figures.map((each) => each.figures.map(({ noise }) => noise)),
  );
  const options = figures.map((each) =>
    each.figures.map(({ bytes, noise }) => ({ cost: bytes, loss: noise })),
  );
  const ours = (limit: number): Grid[] => (chooseWithin(options, limit) ?? []).map((at) => GRIDS[at]!);
  await heldOut(bench, async (trials) => {
    const float = (await trials.measure(new Map(), true)).perplexity!;
    console.log(`\n${bench.name}: float perplexity ${float.toFixed(3)} on ${trials.samples} windows`);
    console.log(row(['weights', 'bytes', 'KL', 'perplexity', 'accuracy'], WIDTHS));
    const [g2, g3, g4, g8] = GRIDS as [Grid, Grid, Grid, Grid];
    const even = (grid: Grid): Grid[] => groups.map(() => grid);
    for (const [low, high] of [
      [g4, g8],
      [g3, g4],
      [g2, g4],
    ] as const) {
      const rule = byRole(bench, low, high, ['v', 'down'], moreBits);
      const limit = total(bench, rule);
      await tell(bench, trials, `v, down: ${high.bits}, rest ${low.bits} (llama.cpp)`, rule);
      await tell(
        bench,
        trials,
        `o, v: ${high.bits}, rest ${low.bits}, within`,
        within(bench, low, high, limit),
      );
      const finer = even({ bits: low.bits, block: 16 });
      if (total(bench, finer) <= limit * 1.02)
        await tell(bench, trials, `all ${low.bits}, blocks of 16`, finer);
      await tell(bench, trials, `all ${low.bits}`, even(low));
      await tell(bench, trials, 'ours, as many bytes', ours(limit));
      console.log('');
    }
    await tell(bench, trials, 'ours, as all 4', ours(total(bench, even(g4))));
    await tell(bench, trials, 'all 3', even(g3));
    await tell(bench, trials, 'ours, as all 3', ours(total(bench, even(g3))));
  });
}

/** Outputs and values of as many layers, from the last to the first, as the bytes suffice for. */
function within(bench: Bench, low: Grid, high: Grid, limit: number): Grid[] {
  for (let from = 0; ; from++) {
    const grids = byRole(bench, low, high, ['o', 'v'], (layer) => layer >= from);
    if (total(bench, grids) <= limit || !grids.includes(high)) return grids;
  }
}

const total = ({ groups }: Bench, grids: readonly Grid[]): number =>
  groups.reduce((sum, group, at) => sum + bytesOf(group, grids[at]!), 0);

const WIDTHS = [34, 10, 10, 11, 10];

async function tell(bench: Bench, trials: WeightTrials, what: string, grids: readonly Grid[]): Promise<void> {
  const { noise, perplexity, accuracy } = await trials.measure(weightsOf(bench.groups, grids), true);
  const percent = `${(100 * accuracy!).toFixed(2)} %`;
  console.log(row([what, total(bench, grids), noise.toFixed(4), perplexity!.toFixed(3), percent], WIDTHS));
}

/** What the weights of a role cost together, for a million elements. */
function roles(bench: Bench, noises: readonly (readonly number[])[]): void {
  const found = nodeRoles(bench.model);
  const sums = new Map<string, { elements: number; noise: number[] }>();
  for (const [at, { nodes, tensor }] of bench.groups.entries()) {
    const role = found.get(nodes[0]!)?.[0]?.role ?? 'other';
    const sum = sums.get(role) ?? { elements: 0, noise: GRIDS.map(() => 0) };
    sum.elements += tensor.count;
    noises[at]!.forEach((noise, grid) => {
      sum.noise[grid]! += noise;
    });
    sums.set(role, sum);
  }
  console.log(`\n${bench.name}: nats of divergence a million elements, each weight alone`);
  console.log(row(['role', ...GRIDS.map(({ bits }) => `${bits} bits`)], [10]));
  const order = [...sums].toSorted(([, a], [, b]) => b.noise[0]! / b.elements - a.noise[0]! / a.elements);
  for (const [role, { elements, noise }] of order)
    console.log(row([role, ...noise.map((each) => ((1e6 * each) / elements).toPrecision(3))], [10]));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { windows: { type: 'string', default: '10' }, samples: { type: 'string', default: '4' } },
  });
  for (const name of positionals.length > 0 ? positionals : LANGUAGE_MODELS) {
    const bench = await openBench(name, { windows: Number(values.windows) });
    if (bench === undefined) console.log(`${name} is not there`);
    else await measure(bench, Number(values.samples));
  }
}

await main();
