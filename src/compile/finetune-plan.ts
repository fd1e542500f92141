/** What a finetuning trains: which weights go on a grid, and which of them are held there. */
import { QuantcError } from '../errors/error.js';
import type { Model, Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Grid } from '../training/fake-quant.js';
import { fittedGrid, putOnGrid } from '../training/fit-grid.js';
import type { StepOptions, WeightSpec } from '../training/step.js';
import { nodeRoles, type Role } from '../transformer/index.js';

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
  /** Elements along the inputs that share a scale; absent: a scale an output channel. */
  readonly blockSize?: number;
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

/** The weights of products and convolutions, each with the first grid it gets. Blocks are for products alone. */
export function candidatesOf(model: Model, { bits, blockSize, start }: GridChoice): Candidate[] {
  const roles = nodeRoles(model);
  return [...model.graph.initializers].flatMap((value): Candidate[] => {
    const { constant: weight } = value;
    const axes = value.uses.map(({ node }) => axesOf(node, value));
    const first = axes[0];
    const agree = axes.every((each) => each?.channels === first?.channels);
    if (weight?.dtype !== 'float' || first === undefined || !agree) return [];
    const found = value.uses.flatMap(({ node }) => roles.get(node) ?? []).map(({ role }) => role);
    const known = { name: value.name, roles: [...new Set(found)] };
    const begun = start?.get(value.name);
    if (begun !== undefined) return [{ ...known, weight: begun.values, grid: begun.grid }];
    const inBlocks = blockSize !== undefined && weight.shape.length === 2;
    const form = inBlocks ? { bits, axis: first.summed, blockSize } : { bits, axis: first.channels };
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

/** Scales learn by shares of themselves, a tenth as fast as weights. */
const SCALE_PACE = { rate: 0.1, relative: true } as const;

/** What a step trains and holds. */
export function weightsOf(
  candidates: readonly Candidate[],
  frozen: ReadonlySet<string>,
): Pick<StepOptions, 'weights' | 'frozen'> {
  const weights = candidates
    .filter(({ name }) => !frozen.has(name))
    .map(
      ({ name, weight: initial, grid }): WeightSpec => ({
        name,
        pace: {},
        initial,
        quantized: { grid, scales: SCALE_PACE },
      }),
    );
  const held = candidates
    .filter(({ name }) => frozen.has(name))
    .map(({ name, weight, grid }) => [name, putOnGrid(weight, grid).values] as const);
  return { weights, frozen: new Map(held) };
}
