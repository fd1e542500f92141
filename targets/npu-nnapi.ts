import { defineTarget } from '../src/index.js';
import { evenCosts } from './even-costs.js';
import { nnapiRows } from './nnapi-rows.js';
import { nnapi } from './nnapi-rules.js';

/**
 * Android's Neural Networks API through ONNX Runtime's provider: uint8 activations, int8 weights with a scale a filter
 * for convolutions and one for products; what has no integers there is computed in float, by the same provider.
 */
export const npuNnapi = defineTarget({
  name: 'npu-nnapi',
  doc: 'Android NPUs through the NNAPI provider (Android 11 and later): uint8 activations, int8 weights, float beside them',
  opset: 21,
  precisions: ['int8', 'float'],
  activation: { dtype: 'uint8', symmetric: false },
  weight: { dtype: 'int8', limit: 127 },
  rows: nnapiRows,
  dynamicRows: [],
  absorbed: ['Relu', 'Clip'],
  onIntegers: ['MaxPool'],
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
      'lower-indexing',
      'lower-sums',
      'lower-extremes',
      'lower-gemm',
    ],
    ...[
      'lower-powers',
      'lower-reduce-sum',
      'lower-expand',
      'lower-tile',
      'lower-activations',
      'lower-hard-activations',
    ],
    ...['lower-prelu', 'lower-smooth-activations', 'lower-signs', 'lower-space-to-depth', 'lower-flatten'],
    'lower-global-pools',
    ...['lower-pools', 'lower-reductions', 'lower-softplus'],
    ...['lower-layer-normalization', 'lower-instance-normalization'],
  ],
  provider: nnapi,
  costs: evenCosts,
  session: {},
  remarks: [
    'NNAPI is deprecated from Android 15 on: drivers stay, and new ones are made for LiteRT and QNN.',
    'Which chip computes what is for the drivers of the phone to decide; CPU_DISABLED keeps them from their reference kernels.',
  ],
});
