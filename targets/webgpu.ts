import { defineTarget } from '../src/index.js';
import { webgpuOperators } from './webgpu-operators.js';

/**
 * The native WebGPU provider of ONNX Runtime: `onnxruntime-web/webgpu` in browsers, the same code in onnxruntime-node.
 * Kernels compute in float32 or float16; weights may be of few bits (MatMulNBits), activations never are integers. Opset
 * 21, since a kernel that is registered for an older version of its operator is not found under a newer one.
 */
export const webgpu = defineTarget({
  name: 'webgpu',
  doc: "ONNX Runtime's native WebGPU provider, in browsers and in Node: float activations, weights of few bits in blocks",
  opset: 21,
  activation: { dtype: 'float', symmetric: true },
  weight: { dtype: 'int8', limit: 127 },
  rows: [],
  dynamicRows: [],
  absorbed: [],
  // Blocks of 32 at 4 bits with accuracy level 4 have the fast kernels (DP4A, wide tiles, subgroup matrices).
  weightOnly: {
    form: 'MatMulNBits',
    blockSizes: { 2: [32, 64, 128], 4: [32, 16, 64, 128, 256], 8: [32, 16, 64, 128, 256] },
    activations: ['float', 'float16'],
    accuracyLevel: 4,
    tables: [4, 8],
  },
  // Attention stays in steps, unless a cache of keys and values is asked for: the fused kernels count keys twice on
  // devices whose subgroups have fewer than 8 lanes, for 32 tokens and more.
  fusions: ['fuse-rms-normalization', 'fuse-silu', 'fuse-skip-normalization', 'fuse-bias-gelu'],
  lowerings: [
    'lower-fake-quantization',
    'lower-sums',
    'lower-activations',
    'lower-normalizations',
    'lower-space-to-depth',
    'lower-one-hot',
    'lower-integers',
    'lower-rounding',
    'lower-logic',
    'pad-convolution-channels',
  ],
  executor: {
    provider: 'webgpu',
    operators: webgpuOperators,
    // What the WebGPU specification guarantees for maxStorageBufferBindingSize.
    largestTensor: 128 << 20,
  },
  // Nothing is weighed: no integer kernels compete with float ones.
  costs: {
    floatMac: 1,
    integerMac: 1,
    floatDepthwiseMac: 1,
    integerDepthwiseMac: 1,
    floatOutput: 1,
    integerOutput: 1,
    floatElement: 1,
    integerElement: 1,
    quantize: 1,
    dequantize: 1,
    vector: 1,
    node: 1,
  },
  session: {},
  remarks: [
    "Load it with onnxruntime-web's native entry, `onnxruntime-web/webgpu`, and executionProviders ['webgpu'].",
    'Its kernels know no 64-bit integers: nodes that compute from sizes alone run beside the GPU, which costs nothing.',
  ],
});

/** The same with fused attention, whose flash kernels save memory and time where they are right. */
export const webgpuFlash = defineTarget({
  ...webgpu,
  name: 'webgpu-flash',
  doc: 'as webgpu, with fused attention: for devices whose subgroups have 8 lanes or more, as those of desktops have',
  fusions: [
    'fuse-rms-normalization',
    'fuse-silu',
    'fuse-rotary-embedding',
    'fuse-group-query-attention',
    'fuse-multi-head-attention',
    'fuse-skip-normalization',
    'fuse-bias-gelu',
  ],
  remarks: [
    ...(webgpu.remarks ?? []),
    'Ask the adapter: where subgroupMinSize is below 8, load the file for webgpu instead.',
  ],
});
