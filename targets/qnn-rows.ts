/**
 * How each operator is quantized for Qualcomm's HTP: which inputs are data, weights or biases, whose parameters the
 * output has, and which weights may be finer. Whether the provider then takes the node is what `qnn-rules.ts` says.
 */
import {
  allOf,
  attributeIs,
  type Condition,
  constantIfPresent,
  constantInput,
  leadsToLog,
  type Node,
  rankIs,
  type TargetRow,
} from '../src/index.js';

type Rest = Partial<Omit<TargetRow, 'op'>>;

const row = (op: string, rest: Rest = {}): TargetRow => ({
  op,
  kernel: `QNN ${op}`,
  inputs: ['activation'],
  output: 'own',
  kind: 'follow',
  wide: true,
  ...rest,
});

/** Bytes are moved, or chosen among: the provider demands equal parameters, or loses nothing by them. */
const moved = (op: string, rest: Rest = {}): TargetRow =>
  row(op, { inputs: ['activation', 'as-is'], output: 'same', ...rest });

/** The ranges that 16-bit kernels of lookup tables are made for: scales of 1/65536 and 1/32768. */
const SHARE = { min: 0, max: 65535 / 65536 };
const BALANCE = { min: -1, max: 32767 / 32768 };

/** The provider's own scales are those of its kernels, which know uint8 beside uint8 and uint16 alike. */
const scaleOfNorm = { dtype: 'uint8', symmetric: false } as const;

/**
 * A logarithm follows, or stands right in front: the products at the head of an audio model, where what is quiet counts
 * as much as what is loud, and where sums of weights that should cancel multiply a large constant part.
 */
function besideLog(node: Node): boolean {
  return node.inputs[0]?.producer?.is('Log') === true || leadsToLog(node);
}

/**
 * Convolutions whose weights are few, and sum over little, so that the error of each stays: depthwise ones, and the first
 * of an image. With a constant bias the provider takes 16 bits for them.
 */
function fewWeights(node: Node): boolean {
  const inner = node.inputs[1]?.constant?.shape[1] ?? 0;
  return inner <= 4;
}

const oneGroup = (node: Node): boolean => node.int('group', 1) === 1;

const gemmBias: Condition = (node) => {
  const shape = node.inputs[2]?.constant?.shape;
  const columns = node.inputs[1]!.constant!.shape[node.int('transB', 0) === 1 ? 0 : 1];
  const fits =
    shape === undefined || (shape.at(-1) === columns && shape.slice(0, -1).every((dim) => dim === 1));
  return fits || `C is [${shape}], not a row of ${columns}`;
};

/** Operators whose floats are data, each with parameters of its own. */
const UNARY = [
  'Abs',
  'Asin',
  'Atan',
  'AveragePool',
  'Ceil',
  'Cos',
  'Elu',
  'Exp',
  'Floor',
  'Gelu',
  'GlobalAveragePool',
  'HardSigmoid',
  'HardSwish',
  'LRN',
  'LeakyRelu',
  'Log',
  'LogSoftmax',
  'LpNormalization',
  'Neg',
  'Reciprocal',
  'Relu',
  'Round',
  'Sign',
  'Sin',
  'Sqrt',
];
/** Of several inputs, all data. */
const NARY = ['Add', 'Concat', 'Div', 'Einsum', 'GridSample', 'Max', 'Min', 'Mul', 'PRelu', 'Pow', 'Sub'];
/** Their second input and those behind it are shapes, axes, or bounds. */
const FIRST = ['Clip', 'CumSum', 'Pad', 'ReduceMean', 'ReduceProd', 'ReduceSum'];
const MOVED = [
  'DepthToSpace',
  'Expand',
  'Flatten',
  'Gather',
  'GatherElements',
  'GlobalMaxPool',
  'MaxPool',
  'ReduceMax',
  'ReduceMin',
  'Reshape',
  'Resize',
  'Slice',
  'SpaceToDepth',
  'Squeeze',
  'Tile',
  'TopK',
  'Transpose',
  'Unsqueeze',
];
/** They read floats and give none. */
const ASKING = ['ArgMax', 'ArgMin', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'];

const normalization = (op: string, when?: Condition): TargetRow =>
  row(op, {
    kind: 'compute',
    inputs: ['activation', 'weight', 'bias'],
    weightType: scaleOfNorm,
    when: allOf(constantInput(1), constantIfPresent(2), ...(when ? [when] : [])),
  });

export const qnnRows: readonly TargetRow[] = [
  row('Conv', {
    kind: 'compute',
    inputs: ['activation', 'weight', 'bias'],
    weightAxis: () => 0,
    fourBits: true,
    sixteenBits: (node) => (fewWeights(node) && node.inputs[2] ? 'int16' : undefined),
    when: allOf(constantInput(1), constantIfPresent(2)),
  }),
  row('ConvTranspose', {
    kind: 'compute',
    inputs: ['activation', 'weight', 'bias'],
    weightAxis: (node) => (oneGroup(node) ? 1 : undefined),
    when: allOf(constantInput(1), constantIfPresent(2)),
  }),
  // Beside 8-bit activations the provider's tests know one scale a weight alone.
  row('MatMul', {
    kind: 'compute',
    inputs: ['activation', 'weight'],
    weightAxis: (_, wide) => (wide ? 1 : undefined),
    fourBits: true,
    sixteenBits: (node) => (besideLog(node) ? 'uint16' : undefined),
    when: allOf(constantInput(1), rankIs(1, 2)),
  }),
  // Two activations of 16 bits are no pair that HTP multiplies: the second goes through a grid of 8.
  row('MatMul', { inputs: ['activation', 'activation'], eightBits: [1] }),
  row('Gemm', {
    kind: 'compute',
    inputs: ['activation', 'weight', 'bias'],
    weightAxis: (node) => (node.int('transB', 0) === 1 ? 0 : 1),
    when: allOf(
      constantInput(1),
      constantIfPresent(2),
      attributeIs('alpha', 1, 1),
      attributeIs('beta', 1, 1),
      attributeIs('transA', 0, 0),
      gemmBias,
    ),
  }),
  normalization('LayerNormalization'),
  normalization('RMSNormalization'),
  normalization('SimplifiedLayerNormalization'),
  normalization('InstanceNormalization'),
  row('Sigmoid', { output: SHARE }),
  row('Softmax', { output: SHARE }),
  row('Tanh', { output: BALANCE }),
  ...UNARY.map((op) => row(op)),
  ...['Gelu', 'QuickGelu'].map((op) => row(op, { domain: 'com.microsoft' })),
  ...NARY.map((op) => row(op)),
  ...FIRST.map((op) => row(op, { inputs: ['activation', 'as-is'] })),
  ...MOVED.map((op) => moved(op)),
  moved('Split', { parts: true }),
  row('Where', { inputs: ['as-is', 'activation', 'activation'] }),
  row('ScatterElements', { inputs: ['activation', 'as-is', 'activation'] }),
  ...ASKING.map((op) => row(op, { output: 'float' })),
];
