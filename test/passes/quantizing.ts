/** Runs the quantizing passes on models written as text, and holds what comes out to what was promised. */
import { expect } from 'chai';
import type { DataSet } from '../../src/calibration/dataset.js';
import { watch } from '../../src/calibration/watch.js';
import { type CompressionRequest, tellCompression } from '../../src/compile/prune-request.js';
import { observeRanges } from '../../src/compile/ranges.js';
import { fisherOf } from '../../src/compile/weight-fisher.js';
import {
  cloneModel,
  type Engine,
  encodeModel,
  type HalfChoice,
  halfFact,
  Ledger,
  type LedgerRow,
  type Model,
  type Node,
  parseProtection,
  protectionFact,
  runPipeline,
  type Target,
  targetFact,
  verify,
  type WeightChoice,
  weightFact,
} from '../../src/index.js';
import { type Precision, recipeFor } from '../../src/recipe.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { createEngine } from '../../src/runtime/engine.js';
import { readKernels } from '../../src/runtime/kernels.js';
import { inferTypes } from '../../src/runtime/types.js';
import { filledTensor } from '../../src/text/fill.js';
import { parseModel } from '../../src/text/parse.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { memoryData } from '../calibration/memory-data.js';

/** A target on which every integer kernel pays, so that tests hold whatever the costs are measured to be. */
export const eager: Target = {
  ...cpuX64Vnni,
  costs: {
    ...cpuX64Vnni.costs,
    floatMac: 1,
    integerMac: 0,
    floatDepthwiseMac: 1,
    integerDepthwiseMac: 0,
    floatOutput: 1,
    integerOutput: 0,
    floatElement: 1,
    integerElement: 0,
    quantize: 0.001,
    dequantize: 0.001,
    node: 0,
  },
  rows: cpuX64Vnni.rows.map(({ cost: _cost, ...row }) => row),
};

export interface Quantized {
  readonly before: Model;
  readonly after: Model;
  readonly ledger: Ledger;
  readonly data: DataSet;
  /** What the passes left for later ones. */
  readonly facts: Map<string, unknown>;
  row(node: string): LedgerRow;
  /** Operators of the model's main graph with how often they occur. */
  count(opType: string): number;
}

export interface Options {
  readonly precision?: Exclude<Precision, 'auto'>;
  /** What is asked of weights in blocks. */
  readonly weights?: WeightChoice;
  /** What is asked of arithmetic in 16 bits. */
  readonly half?: HalfChoice;
  readonly target?: Target;
  /** Laws that inputs are drawn by. Default: normal. */
  readonly inputs?: Readonly<Record<string, string>>;
  readonly exclude?: (node: Node) => string | undefined;
  /** What keeps more bits than the rest, as `--protect` has it. */
  readonly protect?: readonly string[];
  /** What is pruned and palettized, as `compile` is asked for it. */
  readonly compression?: CompressionRequest;
  /** Passes may see what values hold over the samples. */
  readonly watched?: boolean;
}

/** Feeds, and the size of open dimensions in each. */
const SAMPLES = 4;
const BATCH = 2;

/** Quantizes a model, verified after every pass. */
export async function quantized(text: string, options: Options = {}): Promise<Quantized> {
  const model = parseModel(text);
  await inferTypes(model);
  const before = cloneModel(model).model;
  const data = memoryData(
    Object.fromEntries(
      model.graph.inputs.map(({ name, shape, dtype }, at) => {
        const dims = [SAMPLES, ...shape!.map((dim) => (typeof dim === 'number' ? dim : BATCH))];
        return [name, filledTensor(dtype!, dims, options.inputs?.[name] ?? `normal:${50 + at}`, name)!];
      }),
    ),
    { stacked: true },
  );
  const engine: Engine = {
    ...createEngine(),
    ...(options.watched && {
      watch: (at, values, samples, see) => watch(at, values, data.first(samples), see),
      costsOf: (at, weights, samples) => fisherOf(at, weights, data.first(samples)),
    }),
    observe: (at, values) => observeRanges(at, values, data, { threads: 1 }, 'minmax'),
  };
  const ledger = new Ledger();
  const facts = new Map<string, unknown>([['opset-21', true]]);
  targetFact.set({ facts }, options.target ?? eager);
  if (options.weights) weightFact.set({ facts }, options.weights);
  if (options.half) halfFact.set({ facts }, options.half);
  if (options.exclude) facts.set('exclusion', options.exclude);
  if (options.protect) protectionFact.set({ facts }, options.protect.map(parseProtection));
  if (options.compression) tellCompression(facts, options.precision ?? 'int8', options.compression);
  for (const graph of model.graphs()) for (const node of graph.nodes()) ledger.record(node, {});
  const recipe = recipeFor(options.precision ?? 'int8');
  await runPipeline(model, recipe.quantize, { engine, ledger, facts, verify: true });
  expect(verify(model)).to.deep.equal([]);
  return {
    before,
    after: model,
    ledger,
    data,
    facts,
    row: (name) => {
      const row = ledger.rows.find(({ node }) => node === name);
      if (row === undefined) throw new Error(`no row for ${name}`);
      return row;
    },
    count: (opType) => [...model.graph.nodes()].filter((node) => node.opType === opType).length,
  };
}

/**
 * ONNX Runtime loads the model; every node that was promised an integer kernel has one; and every output is as near to
 * the float model's as said, in dB.
 */
export async function expectKept(
  { before, after, ledger, data }: Quantized,
  decibels: number,
): Promise<void> {
  const { nodes } = await readKernels(after, { threads: 1 });
  const broken = nodes.flatMap(({ node, fate, kernel }) => {
    const promised = ledger.find(node)?.precision ?? 'float';
    return fate === 'float' && /^int(8(-dynamic|-blocks)?|4|2)$/.test(promised)
      ? [`${node.label} runs as ${kernel}`]
      : [];
  });
  expect(broken).to.deep.equal([]);
  const session = { threads: 1 };
  const bytes = [encodeModel(before), encodeModel(after)] as const;
  for (const { name, sqnr, identical } of await compareOutputs(...bytes, data, {
    reference: session,
    candidate: session,
  }))
    expect(identical ? Number.POSITIVE_INFINITY : sqnr, `SQNR of ${name}`).to.be.at.least(decibels);
}
