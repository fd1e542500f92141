/**
 * What ONNX Runtime's native WebGPU provider (1.30) has kernels for at opset 21, by sessions of single nodes with
 * fallback forbidden and by running each that was made. 8-bit integers are stored, moved and widened, never computed
 * with; 64-bit integers are taken as indices and shapes alone.
 */
import { attributeIs, type DType, type Node, type OperatorRow, rankIs, singleOutput } from '../src/index.js';

const FLOATS: readonly DType[] = ['float', 'float16'];
const NUMBERS: readonly DType[] = [...FLOATS, 'int32', 'uint32'];
const STORED: readonly DType[] = [...NUMBERS, 'bool', 'uint8'];

const rows = (names: string, dtypes: readonly DType[], rest: Partial<OperatorRow> = {}): OperatorRow[] =>
  names.split(' ').map((op) => ({ op, dtypes, ...rest }));

const MICROSOFT = { domain: 'com.microsoft' };

/** The provider's kernel gives no indices, and fails when it is run, not when the session is made. */
const valuesAlone = (node: Node): true | string =>
  singleOutput(node) === true || 'its kernel gives no indices, and fails at run';

export const webgpuOperators: readonly OperatorRow[] = [
  ...rows(
    'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log ' +
      'Neg Reciprocal Relu Sigmoid Sin Sinh Softplus Softmax Sqrt Tan Tanh ThresholdedRelu Mish LpNormalization PRelu ' +
      'GlobalAveragePool GlobalMaxPool AveragePool Conv BatchNormalization InstanceNormalization LayerNormalization ' +
      'DepthToSpace Einsum GatherElements MatMul Slice TopK DFT',
    FLOATS,
  ),
  ...rows('MaxPool', FLOATS, { when: valuesAlone }),
  ...rows('ConvTranspose', FLOATS, { when: rankIs(0, 3, 4) }),
  ...rows(
    'Add Sub Mul Div Max Min Clip Equal Greater GreaterOrEqual Less LessOrEqual Identity Concat CumSum GatherND Gemm ' +
      'Pad ScatterElements ScatterND Shape Split Squeeze Tile Transpose Trilu ArgMax ArgMin ' +
      'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
    NUMBERS,
  ),
  ...rows('Resize', NUMBERS, { when: attributeIs('antialias', 0, 0) }),
  ...rows('Pow', [...FLOATS, 'int32']),
  ...rows('Range', ['float', 'int32']),
  // Recurrent kernels compute in float32 alone.
  ...rows('GRU LSTM', ['float']),
  ...rows('Not And', ['bool']),
  ...rows('Flatten Unsqueeze', [...NUMBERS, 'bool']),
  ...rows('Where', [...NUMBERS, 'bool'], { input: 1 }),
  ...rows('Expand Gather Reshape', STORED),
  ...rows('Cast', STORED, { outputs: [...STORED, 'int64'] }),
  ...rows('DequantizeLinear', ['int8', 'uint8', 'int4', 'uint4', 'int32']),
  // Its condition is read on the CPU; its branches hold what they hold.
  { op: 'If' },
  ...rows('RMSNormalization SimplifiedLayerNormalization', FLOATS),
  ...rows(
    'BiasAdd BiasGelu BiasSplitGelu FastGelu FusedConv Gelu QuickGelu GroupQueryAttention MatMulBnb4 MatMulNBits ' +
      'SkipLayerNormalization SkipSimplifiedLayerNormalization SimplifiedLayerNormalization MultiHeadAttention ' +
      'RotaryEmbedding',
    FLOATS,
    MICROSOFT,
  ),
  ...rows('GatherBlockQuantized', ['uint8', 'int4', 'uint4'], MICROSOFT),
];
