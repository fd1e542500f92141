/**
 * What ONNX Runtime's Core ML provider demands of a graph where it makes an ML program of it (ONNX Runtime 1.30): read from its
 * builders. A node that breaks a rule runs on the CPU, and parts the graph there.
 */
import type { ProviderTable } from '../src/index.js';
import { coremlLayerRules } from './coreml-layer-rules.js';
import { coremlMovementRules } from './coreml-movement-rules.js';
import { coremlResizeRules } from './coreml-resize-rules.js';
import { type Check, inputIs, rankAtMost, rulesOf, staticInputs } from './provider-conditions.js';

const FOLDER = 'onnxruntime/core/providers/coreml';
const rule = rulesOf('coreml', FOLDER);

/** Operators with a builder for ML programs; LRN and Flatten have one for neural networks alone. */
const OPERATORS =
  'Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvTranspose Cos DepthToSpace Div Elu Erf Exp ' +
  'Gather GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool GridSample GroupNormalization HardSigmoid Identity ' +
  'InstanceNormalization LayerNormalization LeakyRelu MatMul Max MaxPool Mul PRelu Pad Pow Reciprocal ReduceMax ReduceMean ' +
  'ReduceMin ReduceProd ReduceSum Relu Reshape Resize Round Shape Sigmoid Sin Slice Softmax Softplus Split Sqrt Squeeze Sub ' +
  'Tanh Tile Transpose Unsqueeze Where com.microsoft:QuickGelu com.microsoft:FusedConv';

/** They look at types themselves, by rules of their own. */
const OWN_TYPES = new Set([
  ...['And', 'Cast', 'Gather', 'GatherND', 'Pad', 'Shape', 'Slice', 'Tile', 'Where'],
  ...['GroupNormalization', 'InstanceNormalization', 'LayerNormalization'],
]);

const halfOrFloat: Check = (unit) =>
  OWN_TYPES.has(unit.node.opType) || inputIs(0, 'float', 'float16', 'int64')(unit);

const noEmptyInput: Check = ({ node }) => {
  const empty = node.inputs.find((input) => (input?.shape ?? input?.constant?.shape)?.includes(0));
  // An absent region of interest is written as an empty constant.
  return empty === undefined || node.is('Resize') || `${empty.name} has no elements`;
};

export const coreml: ProviderTable = {
  provider: 'coreml',
  operators: new Set(OPERATORS.split(' ')),
  source: `${FOLDER}/builders/op_builder_factory.cc`,
  readsUnits: false,
  foldsDequantized: true,
  rules: [
    rule(
      'static-shapes',
      'every input has sizes that are numbers (RequireStaticInputShapes, which the Neural Engine needs)',
      'builders/helper.cc',
      staticInputs,
      { mend: '--dim' },
    ),
    rule('no-empty-inputs', 'no input has a size of 0', 'builders/helper.cc', noEmptyInput),
    rule('rank', 'no input has more than 5 axes', 'builders/helper.cc', rankAtMost(5), {
      mend: 'lower-rank',
    }),
    rule('float-data', 'data are float, float16 or int64', 'builders/impl/base_op_builder.cc', halfOrFloat),
    ...coremlLayerRules(rule),
    ...coremlMovementRules(rule),
    ...coremlResizeRules(rule),
  ],
};
