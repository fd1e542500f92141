/** What a finetuning trains: which weights go on a grid, and which of them are held there. */
import { QuantcError } from '../../errors/error.js';
import type { Model, Node, Value } from '../../ir/graph.js';
import type { Tensor } from '../../ir/tensor.js';
import type { Grid } from '../../training/fake-quant.js';
import { fittedGrid, putOnGrid, towards } from '../../training/fit-grid.js';
import type { Pace } from '../../training/optimizer.js';
import type { StepOptions, WeightSpec } from '../../training/step.js';
import { nodeRoles, type Role } from '../../transformer/index.js';
import { type ProtectedPrecision, parseProtection, protectedNodes } from '../../transformer/protection.js';
import type { WeightForm } from './static.js';

/**
 * Weights that are held at their quantized values while the others are trained: none; outputs and values of attention
 * ("Oh! We Freeze", arXiv 2403.18159); queries, keys and values; the fifth of all weights with the largest gradients an
 * element.
 */
export const FREEZES = ['none', 'ov', 'qkv', 'top-gradient'] as const;
export type Freeze = (typeof FREEZES)[number];

const ROLES_OF: Readonly<Partial<Record<Freeze, readonly Role[]>>> = { ov: ['o', 'v'], qkv: ['q', 'k', 'v'] };

/** A weight of the student that goes on a grid. */
export interface Candidate {
  readonly name: string;
  readonly weight: Tensor;
  /** The float weight, where another method has moved it. */
  readonly origin?: Tensor;
  readonly bits: number;
  readonly grid: Grid;
  readonly roles: readonly Role[];
}

/** A weight as another method left it: on this grid, training starts from there and a freeze holds it there. */
export interface Start {
  readonly values: Tensor;
  readonly grid: Grid;
}

export interface GridChoice {
  /** By name of the initializer; others start from themselves, on the grid with the least squared error. */
  readonly start?: ReadonlyMap<string, Start>;
  readonly bits: number;
  /** What weights are kept in that others' bits would hurt, by name of the initializer. */
  readonly kept?: ReadonlyMap<string, ProtectedPrecision>;
  /** Elements along the inputs that share a scale; absent: a scale an output channel. */
  readonly blockSize?: number;
  /** How integer kernels want weights, by name of the initializer; others as `bits` say. */
  readonly forms?: ReadonlyMap<string, WeightForm>;
}

/** Axes of a product's weight: along its outputs, and along what is summed over. */
function axesOf(node: Node, weight: Value): { channels: number; summed: number } | undefined {
  const rank = weight.shape?.length;
  if (node.is('MatMul') && node.inputs[1] === weight && rank === 2) return { channels: 1, summed: 0 };
  if (node.is('Gemm') && node.inputs[1] === weight)
    return node.int('transB', 0) ? { channels: 0, summed: 1 } : { channels: 1, summed: 0 };
  if (node.is('Conv') && node.inputs[1] === weight) return { channels: 0, summed: 1 };
  return undefined;
}

/** Axes of a weight that products or convolutions alone read, in one way. */
function axesOfAll(value: Value): { channels: number; summed: number } | undefined {
  const axes = value.uses.map(({ node }) => axesOf(node, value));
  const first = axes[0];
  const agree = axes.every((each) => each?.channels === first?.channels);
  return value.constant?.dtype === 'float' && agree ? first : undefined;
}

/**
 * What weights are kept in that the user protects, by name of the initializer.
 * @throws QuantcError E_PROTECT_SYNTAX, E_PROTECT_NOTHING
 */
export function keptWeights(model: Model, patterns: readonly string[]): Map<string, ProtectedPrecision> {
  const kept = new Map<string, ProtectedPrecision>();
  if (patterns.length === 0) return kept;
  const weightOf = (node: Node): Value | undefined =>
    node.inputs.find((input) => input?.isConstant && axesOfAll(input) !== undefined);
  const found = protectedNodes(model, patterns.map(parseProtection), (node) => weightOf(node) !== undefined);
  for (const { node, precision } of found) {
    const weight = weightOf(node);
    if (weight !== undefined && kept.get(weight.name) !== 'fp16') kept.set(weight.name, precision);
  }
  return kept;
}

/** The bits that a weight gets: none where it is kept in 16. */
export const bitsFor = ({ bits, kept }: GridChoice, name: string): number | undefined => {
  const own = kept?.get(name);
  return own === 'fp16' ? undefined : own === 'int8' ? Math.max(8, bits) : bits;
};

/** The initializers that go on grids: weights of products and convolutions, but for those that are kept in 16 bits. */
export const gridWeights = (model: Model, choice: GridChoice): Value[] =>
  [...model.graph.initializers].filter(
    (value) => axesOfAll(value) !== undefined && bitsFor(choice, value.name) !== undefined,
  );

/** The weights of products and convolutions, each with the first grid it gets. Blocks are for products alone. */
export function candidatesOf(model: Model, choice: GridChoice): Candidate[] {
  const { blockSize, start } = choice;
  const roles = nodeRoles(model);
  return [...model.graph.initializers].flatMap((value): Candidate[] => {
    const { constant: weight } = value;
    const first = axesOfAll(value);
    const bits = bitsFor(choice, value.name);
    if (weight === undefined || first === undefined || bits === undefined) return [];
    const found = value.uses.flatMap(({ node }) => roles.get(node) ?? []).map(({ role }) => role);
    const known = { name: value.name, roles: [...new Set(found)], bits };
    const begun = start?.get(value.name);
    if (begun !== undefined) return [{ ...known, weight: begun.values, origin: weight, grid: begun.grid }];
    const inBlocks = blockSize !== undefined && weight.shape.length === 2;
    const integer = choice.forms && { limit: 127, axis: first.channels, ...choice.forms.get(value.name) };
    const form = inBlocks
      ? { bits, axis: first.summed, blockSize }
      : { bits, axis: first.channels, ...integer };
    return [{ ...known, weight, grid: fittedGrid(weight, form) }];
  });
}

/** Of all weights the fifth whose squared gradients are largest an element. */
export function largestGradients(squares: ReadonlyMap<string, number>): Set<string> {
  const order = [...squares].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  return new Set(order.slice(0, Math.max(1, Math.round(order.length / 5))));
}

/**
 * The names that a freeze holds.
 * @throws QuantcError E_FINETUNE_FREEZE where it goes by roles and the model has none of them
 */
export function frozenNames(
  freeze: Freeze,
  candidates: readonly Candidate[],
  squares: () => ReadonlyMap<string, number>,
): Set<string> {
  if (freeze === 'none') return new Set();
  if (freeze === 'top-gradient') return largestGradients(squares());
  const wanted = ROLES_OF[freeze]!;
  const found = candidates.filter(({ roles }) => roles.some((role) => wanted.includes(role)));
  if (found.length > 0) return new Set(found.map(({ name }) => name));
  throw new QuantcError('E_FINETUNE_FREEZE', `the model has no ${wanted.join(', ')} to freeze`, {
    kind: 'usage',
    hint: 'Those are parts of attention; --freeze none trains everything. `quantc inspect --roles` shows what there is.',
  });
}

/**
 * What stays float and learns beside the weights on grids: gains and offsets of normalizations, biases. They take next to
 * no room, and make up for a part of what rounding does.
 * @param open the same model as it will be written: what it does not have by this name and shape is left alone
 * @param kept where tables that are looked up learn too: weights that stay in 16 bits, which do so as well
 */
export function floatsOf(model: Model, open: Model, kept?: ReadonlySet<string>): string[] {
  const written = new Map([...open.graph.initializers].map((value) => [value.name, value.constant?.shape]));
  const reached = new Set<Value>();
  const reach = (values: readonly (Value | undefined)[]): void => {
    for (const value of values) {
      if (value === undefined || reached.has(value)) continue;
      reached.add(value);
      if (value.producer) reach(value.producer.inputs);
    }
  };
  reach(model.graph.outputs.slice(0, 1));
  return [...model.graph.initializers].flatMap((value) => {
    const { constant, name } = value;
    const isGain =
      constant?.shape.length === 1 && value.uses.every(({ node, index }) => isFloatSlot(node, index));
    const isTable = value.uses.every(({ node, index }) => node.is('Gather') && index === 0);
    const learns = isGain || (kept !== undefined && (kept.has(name) || isTable));
    if (constant?.dtype !== 'float' || !learns || !reached.has(value)) return [];
    return written.get(name)?.join() === constant.shape.join() ? [name] : [];
  });
}

/** How fast tables and weights of 16 bits learn: slower than the others, they are right as they are. */
const TABLE_PACE: Pace = { rate: 0.3 };

const isFloatSlot = (node: Node, index: number): boolean =>
  /Normalization$/.test(node.opType)
    ? index === 1 || index === 2
    : node.is('Gemm') || node.is('Conv')
      ? index === 2
      : node.is('Add') && node.inputs[1 - index]?.producer?.is('MatMul') === true;

/** Scales learn by shares of themselves, a third as fast as weights. */
const SCALE_PACE = { rate: 0.3, relative: true } as const;
/**
 * In convolutional networks, where inputs may be bytes or numbers around 0, weights of one layer are a thousand times
 * those of another: there a step is a share of what a tensor's elements are like, and of a scale itself.
 */
const CONVOLUTIONAL_SCALE_PACE = { rate: 0.3, relative: true } as const;

export const isConvolutional = (model: Model): boolean =>
  [...model.graph.nodes()].some((node) => node.is('Conv') && node.inputs[1]?.isConstant);

/** √(Σ w²/n); of what is all zero, a thousandth. */
function magnitudeOf(tensor: Tensor): number {
  const sum = tensor.toFloat32().reduce((total, each) => total + each * each, 0);
  return Math.sqrt(sum / tensor.count) || 1e-3;
}

/** What a step trains and holds. */
export function weightsOf(
  candidates: readonly Candidate[],
  frozen: ReadonlySet<string>,
  floats: readonly string[] = [],
  student?: Model,
  begun?: ReadonlyMap<string, Tensor>,
): Pick<StepOptions, 'weights' | 'frozen'> {
  const values = new Map(
    [...(student?.graph.initializers ?? [])].map((value) => [value.name, value.constant]),
  );
  const shares = student !== undefined && isConvolutional(student);
  const paceOf = (tensor: Tensor | undefined): Pace =>
    shares && tensor ? { rate: magnitudeOf(tensor) } : {};
  const onGrids = candidates
    .filter(({ name }) => !frozen.has(name))
    .map(
      ({ name, weight, origin, grid }): WeightSpec => ({
        name,
        pace: paceOf(weight),
        initial: origin ? towards(origin, weight, grid) : weight,
        quantized: { grid, scales: shares ? CONVOLUTIONAL_SCALE_PACE : SCALE_PACE },
      }),
    );
  const held = candidates
    .filter(({ name }) => frozen.has(name))
    .map(({ name, weight, grid }) => [name, putOnGrid(weight, grid).values] as const);
  const weights = [
    ...onGrids,
    ...floats.map(
      (name): WeightSpec => ({
        name,
        pace: !shares && values.get(name)?.shape.length !== 1 ? TABLE_PACE : paceOf(values.get(name)),
        ...(begun?.has(name) && { initial: begun.get(name)! }),
      }),
    ),
  ];
  return { weights, frozen: new Map(held) };
}
