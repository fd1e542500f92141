import { defineTarget, type Target } from '../src/index.js';
import { cpuDynamicRows, cpuRows } from './cpu-rows.js';
import { cpuWeightOnly } from './cpu-weights.js';

/** What both x64 variants share. */
const x64: Omit<Target, 'name' | 'doc' | 'weight'> = {
  opset: 21,
  activation: { dtype: 'uint8', symmetric: false },
  rows: cpuRows,
  dynamicRows: cpuDynamicRows,
  absorbed: ['Relu', 'Clip'],
  weightOnly: cpuWeightOnly,
  // Measured with ONNX Runtime 1.30 on one thread of an AVX512-VNNI processor.
  costs: {
    floatMac: 0.018,
    integerMac: 0.0055,
    // The integer kernel takes 0.06 to 0.15, the float one 0.05 to 0.08; but a float convolution between integer ones
    // costs two changes of layout besides, so that whole models run faster with both alike here.
    floatDepthwiseMac: 0.06,
    integerDepthwiseMac: 0.06,
    floatOutput: 0.25,
    integerOutput: 0.35,
    floatElement: 0.16,
    integerElement: 0.2,
    quantize: 0.06,
    dequantize: 0.06,
    vector: 16,
    node: 700,
  },
  session: {},
};

/**
 * Processors with VNNI (AVX512-VNNI, AVX-VNNI): uint8 × int8 products are exact, so weights use the whole range.
 * The same file is right on older processors only with the session option in the remarks.
 */
export const cpuX64Vnni = defineTarget({
  ...x64,
  name: 'cpu-x64',
  doc: 'ONNX Runtime CPU on x64 with VNNI: uint8 activations, int8 weights per channel over the whole range',
  weight: { dtype: 'int8', limit: 127 },
  remarks: [
    'On x64 processors without VNNI, set the session option session.x64quantprecision=1 (exact, up to 20 % slower), ' +
      'or compile for cpu-x64-avx2: their uint8 × int8 kernels saturate.',
  ],
});

/**
 * Processors without VNNI (AVX2, AVX512 without VNNI): `vpmaddubsw` adds two products in 16 bits and saturates
 * beyond weights of 64, so weights keep 7 bits.
 */
export const cpuX64Avx2 = defineTarget({
  ...x64,
  name: 'cpu-x64-avx2',
  doc: 'ONNX Runtime CPU on any x64 with AVX2: as cpu-x64, with weights within ±64, which its kernels cannot saturate',
  weight: { dtype: 'int8', limit: 64 },
});
