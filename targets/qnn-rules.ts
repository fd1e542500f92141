/**
 * What the QNN execution providers demand of a graph before the whole of it runs on Qualcomm's HTP: read from their
 * builders and tests (ONNX Runtime 1.30; plug-in onnxruntime-qnn 2). What breaks a rule runs on the CPU.
 */
import type { ProviderTable } from '../src/index.js';
import { type Check, rankAtMost, rulesOf, sizesOf } from './provider-conditions.js';
import { qnnLayerRules } from './qnn-layer-rules.js';
import { qnnOperators, qnnPluginOperators } from './qnn-operators.js';
import { qnnTypeRules } from './qnn-type-rules.js';
import { qnnUnitRules } from './qnn-unit-rules.js';

const rule = rulesOf('qnn', 'onnxruntime');
const WRAPPER = 'core/providers/qnn/builder/qnn_model_wrapper.cc';

const staticShapes: Check = ({ node }) => {
  for (const value of [...node.inputs, ...node.outputs]) {
    if (value === undefined || value.isOmitted || sizesOf(value) !== undefined) continue;
    const sizes = value.shape?.map((dim) => dim ?? '?').join(', ');
    return sizes === undefined ? `the shape of ${value.name} is unknown` : `${value.name} is [${sizes}]`;
  }
  return true;
};

const noEmpty: Check = ({ node }) => {
  const isOperand = (index: number) => node.is('Resize') && index > 0;
  const empty = [...node.inputs.filter((_, index) => !isOperand(index)), ...node.outputs].find((value) =>
    value?.shape?.includes(0),
  );
  return empty === undefined || `${empty.name} has no elements`;
};

const outputsToo =
  (most: number): Check =>
  (unit) => {
    const deep = unit.node.outputs.find((output) => (output.shape?.length ?? 0) > most);
    return deep ? `${deep.name} has ${deep.shape!.length} axes` : rankAtMost(most)(unit);
  };

const table = (operators: ReadonlySet<string>, source: string): ProviderTable => ({
  provider: 'qnn',
  operators,
  source,
  readsUnits: true,
  // A partition of one Q or DQ is given back.
  notAlone: ['QuantizeLinear', 'DequantizeLinear'],
  rules: [
    rule('static-shapes', 'every size is a number', WRAPPER, staticShapes, { mend: '--dim' }),
    rule('empty', 'no tensor is without elements', WRAPPER, noEmpty),
    rule('rank', 'no more than 5 axes', WRAPPER, outputsToo(5)),
    rule(
      'node-names',
      'every node has a name',
      'python/tools/quantization/execution_providers/qnn/preprocess.py',
      ({ node }) => node.name !== '' || 'it has no name',
      { mend: 'name-nodes' },
    ),
    ...qnnUnitRules(rule),
    ...qnnTypeRules(rule),
    ...qnnLayerRules(rule),
  ],
});

/** The provider that is built into ONNX Runtime 1.30. */
export const qnnTable = table(qnnOperators, 'onnxruntime/core/providers/qnn/builder/op_builder_factory.cc');

/** The plug-in, version 2. */
export const qnnPluginTable = table(
  qnnPluginOperators,
  'onnxruntime-qnn: onnxruntime/core/providers/qnn-abi/builder/op_builder_factory.cc',
);
