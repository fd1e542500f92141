/** Which operators ONNX Runtime's usability checker believes a mobile provider to take. */
import type { UsabilityList } from '../src/index.js';

const set = (...names: readonly string[]): ReadonlySet<string> => new Set(names.join(' ').split(' '));

/** They stand in the lists of both formats of Core ML, and of NNAPI. */
const COMMON =
  'Add AveragePool Cast Clip Concat Conv DepthToSpace Div Gemm GlobalAveragePool GlobalMaxPool MatMul MaxPool Mul PRelu Pow ' +
  'Relu Reshape Resize Sigmoid Slice Sqrt Squeeze Sub Tanh Transpose';

/** ArgMax is misspelt in the list of ML programs, and ReduceSum in that of neural networks: the checker misses both. */
export const usabilityLists: readonly UsabilityList[] = [
  {
    name: 'NNAPI',
    source: 'tools/ci_build/github/android/nnapi_supported_ops.md',
    operators: set(
      COMMON,
      'Abs DequantizeLinear Elu Exp Flatten Floor Gather Identity Log Max Min Neg Pad QLinearConv QLinearMatMul',
      'QuantizeLinear Sin Softmax Unsqueeze',
      'com.microsoft:QLinearAdd com.microsoft:QLinearAveragePool com.microsoft:QLinearSigmoid',
    ),
  },
  {
    name: 'CoreML NeuralNetwork',
    source: 'tools/ci_build/github/apple/coreml_supported_ops.md',
    maxRank: 5,
    operators: set(COMMON, 'ArgMax BatchNormalization Flatten Gather LRN LeakyRelu Pad Reciprocal Shape'),
  },
  {
    name: 'CoreML MLProgram',
    source: 'tools/ci_build/github/apple/coreml_supported_mlprogram_ops.md',
    maxRank: 5,
    operators: set(
      COMMON,
      'ConvTranspose Elu Erf Exp Gelu GridSample GroupNormalization InstanceNormalization LayerNormalization LeakyRelu',
      'Max Reciprocal ReduceMax ReduceMean ReduceSum Round Shape Softmax Softplus Split Unsqueeze',
    ),
  },
];
