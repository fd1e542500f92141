import { defineTarget } from '../src/index.js';
import { cpuDynamicRows, cpuRows } from './cpu-rows.js';
import { cpuWeightOnly } from './cpu-weights.js';

/**
 * ARM64 with dot products or i8mm: uint8 × int8 runs through UDOT/UMMLA (weights xor'ed once at load), exact over the
 * whole range. The costs are scaled from x64, not measured on the chip.
 */
export const cpuArm64 = defineTarget({
  name: 'cpu-arm64',
  doc: 'ONNX Runtime CPU on ARM64: uint8 activations, int8 weights per channel over the whole range',
  opset: 21,
  activation: { dtype: 'uint8', symmetric: false },
  weight: { dtype: 'int8', limit: 127 },
  rows: cpuRows,
  dynamicRows: cpuDynamicRows,
  absorbed: ['Relu', 'Clip'],
  weightOnly: cpuWeightOnly,
  costs: {
    floatMac: 0.05,
    integerMac: 0.016,
    floatDepthwiseMac: 0.15,
    integerDepthwiseMac: 0.12,
    floatOutput: 0.4,
    integerOutput: 0.6,
    floatElement: 0.3,
    integerElement: 0.35,
    quantize: 0.2,
    dequantize: 0.15,
    vector: 8,
    node: 1000,
  },
  session: {},
  remarks: ['The cost table of this target is scaled from x64: it was not measured on an ARM64 processor.'],
});
