/** Which products and tables are worth blocks of few bits, and which blocks. */
import {
  QuantcError,
  type Target,
  type Tensor,
  type WeightBits,
  type WeightChoice,
  type WeightOnly,
} from '../../src/index.js';
import type { Product } from './products.js';

export interface Plan {
  readonly target: Target;
  readonly form: WeightOnly['form'];
  readonly choice: WeightChoice;
  readonly blockSize: number;
}

/** A product, and what is to become of it. */
export interface PlannedProduct extends Product {
  readonly plan: Plan;
}

/** Smaller weights are not worth the description of what they became. */
const LEAST_BYTES = 2048;

/**
 * The block size that was asked for, or the target's first for these bits.
 * @throws QuantcError E_BLOCK_SIZE when the target has no kernel for it
 */
export function blockSizeFor({ weightOnly, name }: Target, { bits, blockSize }: WeightChoice): number {
  const known = weightOnly?.blockSizes[bits] ?? [];
  if (blockSize === undefined) return known[0]!;
  if (known.includes(blockSize)) return blockSize;
  throw new QuantcError(
    'E_BLOCK_SIZE',
    `${name} has no fast kernel for ${bits} bits in blocks of ${blockSize}`,
    {
      kind: 'usage',
      hint: `Block sizes: ${[...known].sort((a, b) => a - b).join(', ')}.`,
    },
  );
}

/**
 * The plan for a weight that has bits of its own: in blocks of the size that was asked for, where there are kernels for
 * it at these bits, else of the target's first, or the largest below it that divides the weight's inner dimension.
 */
export function planWith(plan: Plan, bits: WeightBits, inner: number): Plan {
  if (bits === plan.choice.bits) return plan;
  const known = plan.target.weightOnly?.blockSizes[bits] ?? [];
  const asked = known.find((size) => size === plan.choice.blockSize);
  const whole = known.filter((size) => size <= known[0]! && inner % size === 0);
  const blockSize = asked ?? (whole.length > 0 ? Math.max(...whole) : (known[0] ?? plan.blockSize));
  return { ...plan, blockSize, choice: { ...plan.choice, bits, blockSize } };
}

/** What the ledger calls weights of so many bits. */
export const precisionOf = (bits: WeightBits): string => (bits === 8 ? 'int8-blocks' : `int${bits}`);

/** Bytes of a weight in blocks. */
export function bytesOf(
  inner: number,
  columns: number,
  { dtype }: Tensor,
  { bits, symmetric }: WeightChoice,
  blockSize: number,
): number {
  const blocks = Math.ceil(inner / blockSize);
  const zeros = symmetric ? 0 : Math.ceil((blocks * bits) / 8);
  return columns * (blocks * ((blockSize * bits) / 8 + (dtype === 'float16' ? 2 : 4)) + zeros);
}

/** Why a product stays as it is, or undefined. */
export function planProduct({ tensor, axis, turned }: Product, plan: Plan): string | undefined {
  const { target, choice, blockSize, form } = plan;
  if (target.weightOnly!.blockSizes[choice.bits] === undefined)
    return `${target.name} has no kernel for weights of ${choice.bits} bits`;
  if (!target.weightOnly!.activations.includes(tensor.dtype))
    return `${target.name} takes no ${tensor.dtype} here`;
  if (form === 'DequantizeLinear' && turned) return 'a Transpose stands between the product and its weight';
  const after = bytesOf(tensor.shape[axis]!, tensor.shape[1 - axis]!, tensor, choice, blockSize);
  return enough(tensor, after);
}

/** Bits of a table that no product reads: 8, which lose nothing that could be measured, where fewer bits lose much. */
export function tableBits({ target, choice }: Plan): WeightBits {
  return target.weightOnly!.tables.includes(8) ? 8 : choice.bits;
}

/** Why a table stays as it is, or undefined. */
export function planTable(tensor: Tensor, plan: Plan, bits: WeightBits): string | undefined {
  const { target, blockSize, form } = plan;
  const choice = { ...plan.choice, bits };
  const { activations, tables } = target.weightOnly!;
  if (form !== 'MatMulNBits' || !tables.includes(bits)) return `no kernel for tables of ${bits} bits`;
  if (!activations.includes(tensor.dtype)) return `${target.name} takes no ${tensor.dtype} here`;
  const [rows, width] = tensor.shape as [number, number];
  if (width % blockSize !== 0)
    return `its rows of ${width} elements are no whole number of blocks of ${blockSize}`;
  return enough(tensor, bytesOf(width, rows, tensor, choice, blockSize));
}

function enough({ byteLength }: Tensor, after: number): string | undefined {
  if (byteLength < LEAST_BYTES) return 'its weight is too small to be worth it';
  return after * 1.5 < byteLength ? undefined : 'blocks of few bits would hardly make its weight smaller';
}
