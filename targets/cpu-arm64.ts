import { defineTarget } from '../src/index.js';
import { cpuDynamicRows, cpuRows } from './cpu-rows.js';

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
  costs: {
    floatMac: 0.06,
    integerMac: 0.02,
    floatDepthwiseMac: 0.15,
    integerDepthwiseMac: 0.1,
    floatElement: 0.5,
    integerElement: 0.35,
    quantize: 0.4,
    dequantize: 0.3,
    node: 600,
  },
  session: {},
  remarks: ['The cost table of this target is scaled from x64: it was not measured on an ARM64 processor.'],
});
