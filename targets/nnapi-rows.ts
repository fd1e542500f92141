/** What NNAPI computes in integers (see `nnapi-rules.ts`), and what must not come to stand between them. */
import {
  allOf,
  attributeIs,
  constantIfPresent,
  constantInput,
  floatInput,
  type Node,
  rankIs,
  singleOutput,
  type TargetRow,
} from '../src/index.js';
import { legalAlone } from './legal-alone.js';
import { NNAPI_UNITS } from './nnapi-quantization-rules.js';
import { nnapi } from './nnapi-rules.js';

const legal = legalAlone(nnapi);

const row = (op: string, inputs: TargetRow['inputs'], rest: Partial<TargetRow> = {}): TargetRow => ({
  op,
  domain: '',
  kernel: `NNAPI ${op}`,
  inputs,
  output: 'own',
  kind: 'follow',
  ...rest,
  when: allOf(floatInput, rest.when ?? (() => true), legal),
});

/** Operators that ONNX Runtime groups with the Q and DQ around them, and that NNAPI then leaves whole. */
const GROUPED =
  'GatherElements Gather Expand Flatten Squeeze Unsqueeze Tile TopK Split ArgMax ArgMin GlobalAveragePool GlobalMaxPool ' +
  'LeakyRelu ReduceMean ReduceMax ReduceMin ReduceSum ReduceProd Relu Gelu Elu HardSigmoid HardSwish Sigmoid Slice LogSoftmax ' +
  'Sqrt Atan Asin Sin Cos Sign Tanh Exp Log LRN Ceil Floor Round Abs Neg DepthToSpace SpaceToDepth LpNormalization Reciprocal ' +
  'Einsum CumSum Clip Div Pow Sub PRelu GridSample Max Min ConvTranspose InstanceNormalization LayerNormalization ' +
  'BatchNormalization Where Pad ScatterElements';

const left = (op: string): TargetRow => ({
  op,
  domain: '',
  kernel: 'NNAPI',
  inputs: ['activation'],
  output: 'own',
  kind: 'follow',
  spoils: () => `NNAPI leaves ${op} between DequantizeLinear and QuantizeLinear to the CPU`,
});

const everySameType = (node: Node): true | string =>
  node.inputs.every((input) => input?.dtype === 'float') || 'not all of its inputs are float';

export const nnapiRows: readonly TargetRow[] = [
  row('Conv', ['activation', 'weight', 'bias'], {
    kind: 'compute',
    weightAxis: () => 0,
    when: allOf(constantInput(1), constantIfPresent(2)),
  }),
  row('Gemm', ['activation', 'weight', 'bias'], {
    kind: 'compute',
    when: allOf(constantInput(1), constantIfPresent(2), attributeIs('transA', 0, 0)),
  }),
  row('MatMul', ['activation', 'weight'], {
    kind: 'compute',
    when: allOf(constantInput(1), rankIs(0, 2), rankIs(1, 2)),
  }),
  row('Add', ['activation'], { when: everySameType }),
  row('Mul', ['activation'], { when: everySameType }),
  row('Concat', ['activation'], { when: everySameType }),
  row('AveragePool', ['activation'], { output: 'same' }),
  row('MaxPool', ['activation'], { output: 'same', when: singleOutput }),
  row('Reshape', ['activation', 'as-is'], { output: 'same' }),
  row('Transpose', ['activation'], { output: 'same' }),
  row('Resize', ['activation', 'as-is'], { output: 'same' }),
  row('Softmax', ['activation'], { output: { min: 0, max: 255 / 256 } }),
  ...GROUPED.split(' ')
    .filter((op) => !NNAPI_UNITS.includes(op))
    .map(left),
];
