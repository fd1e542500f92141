import type { TargetCosts } from '../src/index.js';

/** Where coverage decides and not time: integers are always worth it, and borders cost nothing. */
export const evenCosts: TargetCosts = {
  floatMac: 2,
  integerMac: 1,
  floatDepthwiseMac: 2,
  integerDepthwiseMac: 1,
  floatOutput: 1,
  integerOutput: 1,
  floatElement: 2,
  integerElement: 1,
  quantize: 0,
  dequantize: 0,
  vector: 1,
  node: 0,
};
