/**
 * What LiteRT computes in int8, with the parameters that its kernels want (LiteRT 8-bit quantization specification): int8
 * activations with one scale, int8 weights with a scale an output, int32 biases.
 */
import { allOf, constantInput, floatInput, type Node, type TargetRow } from '../src/index.js';
import { legalAlone } from './legal-alone.js';
import { litert } from './litert-rules.js';

const legal = legalAlone(litert);

const row = (op: string, kernel: string, rest: Partial<TargetRow> = {}): TargetRow => ({
  op,
  kernel,
  inputs: ['activation'],
  output: 'own',
  kind: 'follow',
  ...rest,
  when: allOf(floatInput, rest.when ?? (() => true), legal),
});

/** Bytes are moved: the same parameters on both sides. */
const moved = (op: string, kernel: string, rest: Partial<TargetRow> = {}): TargetRow =>
  row(op, kernel, { inputs: ['activation', 'as-is'], output: 'same', ...rest });

/** Scales of 1/256 and 1/128, which these kernels write whatever they are asked. */
const SHARE = { min: 0, max: 255 / 256 };
const BALANCE = { min: -1, max: 127 / 128 };

const product = (op: string, kernel: string, weightAxis: (node: Node) => number): TargetRow =>
  row(op, kernel, { kind: 'compute', inputs: ['activation', 'weight', 'bias'], weightAxis });

/** The slope that operators for HardSigmoid come to in integers. */
const sixth = (node: Node): true | string =>
  Math.abs(6 * node.float('alpha', 0.2) - 1) < 1e-6 || `its slope is ${node.float('alpha', 0.2)}, not 1/6`;

/** Windows as large as the image: a MEAN, whose grid is its own. What averages by windows gives the grid that it reads. */
const wholeImage = (node: Node): true | string => {
  const image = node.inputs[0]?.shape?.slice(2);
  const window = node.ints('kernel_shape', []);
  const plain = ['pads', 'dilations'].every((each, at) => node.ints(each, []).every((value) => value === at));
  const whole = image?.every((dim, axis) => dim === window[axis]) === true;
  return (
    (plain && whole && !/^SAME/.test(node.string('auto_pad', ''))) || 'its windows are parts of the image'
  );
};

/** A weight matrix; a stack of them is multiplied as data. */
const matrix = (node: Node): true | string =>
  (node.inputs[1]?.isConstant === true && node.inputs[1].shape?.length === 2) ||
  'its second factor is no constant matrix';

export const litertRows: readonly TargetRow[] = [
  product('Conv', 'CONV_2D', () => 0),
  product('ConvTranspose', 'TRANSPOSE_CONV', () => 1),
  product('Gemm', 'FULLY_CONNECTED', (node) => (node.int('transB', 0) === 1 ? 0 : 1)),
  row('MatMul', 'FULLY_CONNECTED', {
    kind: 'compute',
    inputs: ['activation', 'weight'],
    weightAxis: () => 1,
    when: matrix,
  }),
  row('MatMul', 'BATCH_MATMUL', { inputs: ['activation', 'activation'] }),
  row('Add', 'ADD'),
  row('Sub', 'SUB'),
  row('Mul', 'MUL'),
  row('Max', 'MAXIMUM'),
  row('Min', 'MINIMUM'),
  row('Relu', 'RELU'),
  row('Clip', 'RELU6', { inputs: ['activation', 'as-is'] }),
  row('Sigmoid', 'LOGISTIC', { output: SHARE }),
  row('Softmax', 'SOFTMAX', { output: SHARE }),
  row('Tanh', 'TANH', { output: BALANCE }),
  row('HardSwish', 'HARD_SWISH'),
  row('HardSigmoid', 'ADD, MUL', { when: sixth }),
  row('LeakyRelu', 'LEAKY_RELU'),
  row('PRelu', 'PRELU', { when: constantInput(1) }),
  row('GlobalAveragePool', 'MEAN'),
  row('ReduceMean', 'MEAN', { inputs: ['activation', 'as-is'] }),
  row('ReduceSum', 'SUM', { inputs: ['activation', 'as-is'] }),
  row('Concat', 'CONCATENATION', { output: 'shared' }),
  moved('MaxPool', 'MAX_POOL_2D'),
  row('AveragePool', 'MEAN', { when: wholeImage }),
  moved('AveragePool', 'AVERAGE_POOL_2D'),
  moved('GlobalMaxPool', 'REDUCE_MAX'),
  moved('ReduceMax', 'REDUCE_MAX'),
  moved('ReduceMin', 'REDUCE_MIN'),
  moved('Resize', 'RESIZE'),
  moved('Upsample', 'RESIZE'),
  moved('Pad', 'PAD'),
  moved('Reshape', 'RESHAPE'),
  moved('Flatten', 'RESHAPE'),
  moved('Squeeze', 'RESHAPE'),
  moved('Unsqueeze', 'RESHAPE'),
  moved('Transpose', 'TRANSPOSE'),
  moved('Slice', 'SLICE'),
  moved('Split', 'SLICE', { parts: true }),
  moved('Gather', 'GATHER'),
  moved('DepthToSpace', 'DEPTH_TO_SPACE'),
  moved('SpaceToDepth', 'SPACE_TO_DEPTH'),
  moved('Identity', 'none'),
];
