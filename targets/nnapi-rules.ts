/**
 * What ONNX Runtime's NNAPI provider demands of a graph (ONNX Runtime 1.30, Android API 30): read from its builders. What
 * breaks a rule runs on the CPU, and parts the graph there.
 */
import type { ProviderTable } from '../src/index.js';
import { nnapiLayerRules } from './nnapi-layer-rules.js';
import { nnapiMovementRules } from './nnapi-movement-rules.js';
import { nnapiQuantizationRules } from './nnapi-quantization-rules.js';
import { type Check, every, rankAtMost, rulesOf, staticInputs } from './provider-conditions.js';

const FOLDER = 'onnxruntime/core/providers/nnapi/nnapi_builtin';
const rule = rulesOf('nnapi', FOLDER);

const OPERATORS =
  'Abs Add AveragePool BatchNormalization Cast Clip Concat Conv DepthToSpace DequantizeLinear Div Elu Exp Flatten Floor Gather ' +
  'Gemm GlobalAveragePool GlobalMaxPool Identity LRN LeakyRelu Log MatMul Max MaxPool Min Mul Neg PRelu Pad Pow QLinearConv ' +
  'QLinearMatMul QuantizeLinear ReduceMean Relu Reshape Resize Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tanh ' +
  'Transpose Unsqueeze com.microsoft:QLinearAdd com.microsoft:QLinearAveragePool com.microsoft:QLinearMul ' +
  'com.microsoft:QLinearSigmoid';

/** Their builders look at the number of axes. */
const RANKED =
  'Add Sub Mul Div Pow PRelu BatchNormalization Concat Gather LeakyRelu Pad ReduceMean Reshape Slice Softmax Squeeze Unsqueeze ' +
  'Transpose Flatten';

const someAxes: Check = ({ node }) => node.inputs[0]?.shape?.length !== 0 || 'its input is a scalar';

const BROADCAST = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'PRelu']);

export const nnapi: ProviderTable = {
  provider: 'nnapi',
  operators: new Set(OPERATORS.split(' ')),
  source: `${FOLDER}/builders/op_builder_factory.cc`,
  readsUnits: true,
  rules: [
    rule(
      'static-shapes',
      'every input has sizes that are numbers',
      'builders/impl/base_op_builder.cc',
      staticInputs,
      { mend: '--dim' },
    ),
    rule(
      'rank',
      'no more than 4 axes, and no scalars',
      'builders/impl',
      every(rankAtMost(4), (unit) => BROADCAST.has(unit.node.opType) || someAxes(unit)),
      { ops: RANKED },
    ),
    ...nnapiQuantizationRules(rule),
    ...nnapiLayerRules(rule),
    ...nnapiMovementRules(rule),
  ],
};
