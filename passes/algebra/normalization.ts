/** Pieces of patterns that decomposed normalizations share. */
import type { Pattern, PatternBuilder, PatternInput, Tensor } from '../../src/index.js';

/** x² however it is written. */
export const square = (op: PatternBuilder, x: PatternInput): Pattern => op.anyOf(op.Mul(x, x), op.Pow(x, 2));

/** 1/√x however it is written. */
export const inverseRoot = (op: PatternBuilder, x: PatternInput): Pattern => {
  const root = op.anyOf(op.Sqrt(x), op.Pow(x, 0.5));
  return op.anyOf(op.Reciprocal(root), op.Div(1, root), op.Pow(x, -0.5));
};

/** x/√y however it is written. */
export const overRoot = (op: PatternBuilder, x: PatternInput, y: PatternInput): Pattern =>
  op.anyOf(op.Div(x, op.anyOf(op.Sqrt(y), op.Pow(y, 0.5))), op.Mul(x, inverseRoot(op, y)));

/** A constant that varies along the last axes alone, with the shape of just those; undefined for others. */
export function alongLast(tensor: Tensor, shape: readonly number[]): Tensor | undefined {
  const leading = tensor.shape.length - shape.length;
  const fits = tensor.shape.every((dim, at) => dim === (at < leading ? 1 : shape[at - leading]));
  if (leading < 0 || !fits) return undefined;
  return leading === 0 ? tensor : tensor.with({ shape });
}

/** True when every element is 1. */
export const isOnes = (tensor: Tensor): boolean =>
  tensor.count <= 65_536 && tensor.toNumbers().every((each) => each === 1);
