import { defineTarget } from '../src/index.js';
import { evenCosts } from './even-costs.js';
import { litertRows } from './litert-rows.js';
import { litert } from './litert-rules.js';

/**
 * LiteRT (TensorFlow Lite), through whose delegates most NPUs of Android phones are reached: the graph is planned as an ONNX
 * graph with quantized values, proven as such, and written as a `.tflite` file with channels last.
 */
export const npuLitert = defineTarget({
  name: 'npu-litert',
  doc: 'Android NPUs, GPUs and CPUs through LiteRT: a .tflite file, int8 with a scale an output, channels last',
  format: 'tflite',
  opset: 21,
  whole: ['a8w8'],
  precisions: ['a8w8', 'float', 'fp16'],
  // Weights alone are stored in 16 bits: whether to compute in them is for the delegate.
  halves: [],
  activation: { dtype: 'int8', symmetric: false },
  weight: { dtype: 'int8', limit: 127 },
  rows: litertRows,
  dynamicRows: [],
  absorbed: ['Relu', 'Clip'],
  fusions: ['fuse-hard-swish'],
  staticShapes: true,
  lowerings: [
    'lower-recurrent',
    'lower-einsum',
    'lower-resize',
    'lower-rank',
    'lower-one-hot-products',
    'lower-rms-normalization',
    'lower-sums',
    'lower-gemm',
    'lower-powers',
    'lower-reductions',
    'lower-expand',
    'lower-tile',
    'lower-activations',
    'lower-smooth-activations',
    'lower-normalizations',
  ],
  provider: litert,
  costs: evenCosts,
  session: {},
  remarks: [
    'Inputs and outputs of four dimensions are NHWC where convolutions read or give them; the file says which under the metadata quantc_layout.',
    'Inputs and outputs are float32; QUANTIZE and DEQUANTIZE stand at the border, and every delegate takes them.',
  ],
});
