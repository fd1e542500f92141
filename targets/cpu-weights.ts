import type { WeightOnly } from '../src/index.js';

/**
 * MatMulNBits of ONNX Runtime's CPU executor (1.30, `matmul_nbits.cc` and `qnbitgemm.cpp`). Kernels that compute on
 * int8 activations exist for every block size at 4 and 8 bits, and for 32, 64 and 128 at 2 bits; at accuracy level 0
 * an 8-bit weight would be unpacked at every run. Blocks of 32 lose least at 4 bits; at 8 bits larger blocks lose
 * nothing that matters and run faster.
 */
export const cpuWeightOnly: WeightOnly = {
  form: 'MatMulNBits',
  blockSizes: { 2: [32, 64, 128], 4: [32, 16, 64, 128, 256], 8: [128, 16, 32, 64, 256] },
  activations: ['float', 'float16'],
  accuracyLevel: 4,
  tables: [4, 8, 2],
};
