/** Weights that were trained on a grid: their integers and scales are stored as they are, not found again. */
import {
  BlockPacker,
  type BlockSpec,
  type GivenGrid,
  givenGridsFact,
  type PassContext,
  QuantcError,
  type WeightBits,
} from '../../src/index.js';
import { type Plan, planWith } from './plan.js';
import type { Product } from './products.js';
import type { Rounded } from './rounded.js';

/** The grid that a product's weight came with, where a kernel can read it: along its columns, or in blocks along its inputs. */
export function givenGridOf(
  { weight, tensor, axis }: Product,
  context: Pick<PassContext, 'facts'>,
): GivenGrid | undefined {
  const grid = givenGridsFact.find(context)?.weights.get(weight.name);
  if (grid === undefined || grid.integers.shape.join() !== tensor.shape.join()) return undefined;
  if (grid.axis === undefined) return grid;
  return grid.axis === (grid.blockSize === undefined ? 1 - axis : axis) ? grid : undefined;
}

/** The smallest bits that hold the grid; nothing for one that is not of few bits. */
function bitsOf({ bits, low, high }: GivenGrid): WeightBits {
  const own = bits ?? Math.ceil(Math.log2(high - low + 1));
  return own <= 2 ? 2 : own <= 4 ? 4 : 8;
}

/**
 * How such a weight is stored: with the smallest bits that hold it, in blocks that its own are made of; undefined where
 * there are none such.
 */
export function planGiven(plan: Plan, grid: GivenGrid, inner: number): Plan | undefined {
  const bits = bitsOf(grid);
  const own = planWith(plan, bits, inner);
  const sizes = plan.target.weightOnly?.blockSizes[bits] ?? [];
  if (grid.blockSize === undefined || grid.blockSize % own.blockSize === 0) return own;
  const size = sizes.filter((each) => grid.blockSize! % each === 0).sort((a, b) => b - a)[0];
  return size === undefined
    ? undefined
    : { ...own, blockSize: size, choice: { ...own.choice, blockSize: size } };
}

/**
 * Packs a weight on its grid.
 * @throws QuantcError E_GRIDS_SYMMETRIC where it has zero points and none are to be stored
 */
export function packGiven(
  { weight, tensor, axis }: Product,
  { integers, scale, zeroPoint, blockSize: own }: GivenGrid,
  { choice, blockSize }: Plan,
): Rounded extends Map<unknown, infer Entry> ? Entry : never {
  const { bits, symmetric = false } = choice;
  if (symmetric && zeroPoint !== undefined) {
    throw new QuantcError('E_GRIDS_SYMMETRIC', `${weight.name} was trained on a grid with zero points`, {
      kind: 'usage',
      place: { value: weight.name },
      hint: 'Leave --symmetric-weights out, or train with --start rtn, whose grids have none.',
    });
  }
  const shape = tensor.shape as readonly [number, number];
  const spec: BlockSpec = {
    ...{ shape, axis, bits, blockSize, symmetric },
    ...{ method: 'mse', half: tensor.dtype === 'float16' },
  };
  const [inner, columns] = [shape[axis], shape[1 - axis]!];
  const [numbers, scales, zeros] = [integers.toNumbers(), scale.toFloat32(), zeroPoint?.toNumbers()];
  const packer = new BlockPacker(spec);
  const block = new Uint8Array(blockSize);
  for (let column = 0; column < columns; column++) {
    for (let first = 0, at = 0; first < inner; first += blockSize, at++) {
      const which = placeOf({ axis, columns, inner, own, scales: scales.length }, column, first);
      const zero = zeros?.[which] ?? 2 ** (bits - 1);
      for (let k = 0; k < Math.min(blockSize, inner - first); k++) {
        const place = axis === 0 ? (first + k) * columns + column : column * inner + first + k;
        block[k] = numbers[place]! + zero;
      }
      packer.put(column, at, { scale: scales[which]!, zeroPoint: zero }, block);
    }
  }
  return { axis, bits, blockSize, bytes: packer.bytes };
}

interface Layout {
  readonly axis: 0 | 1;
  readonly columns: number;
  readonly inner: number;
  /** Elements that share a scale, where those are blocks. */
  readonly own: number | undefined;
  readonly scales: number;
}

/** Which scale the element of a column has that is multiplied with input `k`. */
function placeOf({ axis, columns, inner, own, scales }: Layout, column: number, k: number): number {
  if (scales === 1) return 0;
  if (own === undefined) return column;
  const block = Math.floor(k / own);
  return axis === 0 ? block * columns + column : column * Math.ceil(inner / own) + block;
}
