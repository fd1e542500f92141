import { ACTIVATIONS } from './activation.js';
import { ARITHMETIC } from './arithmetic.js';
import { CONVOLUTIONS } from './convolution.js';
import { BLOCKS } from './depth-to-space.js';
import type { Lowering } from './lowering.js';
import { MOVEMENTS } from './movement.js';
import { NORMALIZATIONS } from './normalization.js';
import { POOLS } from './pool.js';
import { PRODUCTS } from './product.js';
import { REDUCTIONS } from './reduction.js';
import { RESIZES } from './resize.js';

/** Every ONNX operator (ai.onnx) that has a form in the format. */
export const LOWERINGS: ReadonlyMap<string, Lowering> = new Map(
  [
    CONVOLUTIONS,
    POOLS,
    ARITHMETIC,
    ACTIVATIONS,
    MOVEMENTS,
    NORMALIZATIONS,
    PRODUCTS,
    REDUCTIONS,
    RESIZES,
    BLOCKS,
  ].flatMap((table) => Object.entries(table)),
);
