import { defineTarget } from '../src/index.js';
import { coreml } from './coreml-rules.js';
import { evenCosts } from './even-costs.js';

/**
 * Apple's Neural Engine and GPU through ONNX Runtime's Core ML provider, which makes an ML program of the graph. It knows
 * neither QuantizeLinear nor integer weights: arithmetic is float16 or float; weights may be int8 in the file, and are
 * widened by nodes that ONNX Runtime folds while it loads it, before it asks the provider.
 */
export const npuCoreml = defineTarget({
  name: 'npu-coreml',
  doc: "Apple's Neural Engine and GPU through the Core ML provider: float16 ML programs, weights of 16 or 8 bits in the file",
  opset: 21,
  precisions: ['fp16', 'int8-weights', 'float'],
  activation: { dtype: 'float', symmetric: true },
  weight: { dtype: 'int8', limit: 127 },
  rows: [],
  dynamicRows: [],
  absorbed: [],
  staticShapes: true,
  lowerings: [
    ...[
      'lower-fake-quantization',
      'lower-recurrent',
      'lower-einsum',
      'lower-one-dimensional',
      'lower-resize',
    ],
    ...[
      'lower-rank',
      'lower-one-hot-products',
      'lower-rms-normalization',
      'lower-indexing',
      'lower-sums',
      'lower-gemm',
    ],
    ...['lower-expand', 'lower-activations', 'lower-hard-activations', 'lower-signs', 'lower-space-to-depth'],
    'lower-flatten',
    ...['lower-integer-clips', 'lower-transposed-pads', 'lower-reductions', 'lower-smooth-activations'],
  ],
  provider: coreml,
  costs: evenCosts,
  // Files of others may store weights behind DequantizeLinear: folded, the provider takes what reads them.
  session: { 'session.disable_quant_qdq': '1' },
  remarks: [
    'Give the provider ModelFormat=MLProgram: its default, NeuralNetwork, knows neither float16 nor most of these operators.',
    'float16 data want iOS 16 or macOS 13. Which of its units computes a node is for Core ML to decide.',
  ],
});
