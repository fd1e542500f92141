/** Attributes that say what their operator assumes anyway, by the defaults of ai.onnx 21. */
import { type Attribute, definePass, type Node, setAttribute } from '../src/index.js';

/** A number or string that the attribute must equal; `ones` and `zeros` stand for lists of any length. */
type Default = number | string | 'ones' | 'zeros';

const POOL = { auto_pad: 'NOTSET', ceil_mode: 0, dilations: 'ones', pads: 'zeros', strides: 'ones' };
const REDUCE = { keepdims: 1, noop_with_empty_axes: 0 };
const CONVOLUTION = { auto_pad: 'NOTSET', dilations: 'ones', group: 1, pads: 'zeros', strides: 'ones' };

const DEFAULTS: Readonly<Record<string, Readonly<Record<string, Default>>>> = {
  ArgMax: { axis: 0, keepdims: 1, select_last_index: 0 },
  ArgMin: { axis: 0, keepdims: 1, select_last_index: 0 },
  AveragePool: { ...POOL, count_include_pad: 0 },
  BatchNormalization: { epsilon: 1e-5, momentum: 0.9, training_mode: 0 },
  Cast: { saturate: 1 },
  Conv: CONVOLUTION,
  ConvTranspose: { ...CONVOLUTION, output_padding: 'zeros' },
  DepthToSpace: { mode: 'DCR' },
  DequantizeLinear: { axis: 1, block_size: 0 },
  Elu: { alpha: 1 },
  Flatten: { axis: 1 },
  Gather: { axis: 0 },
  GatherElements: { axis: 0 },
  Gelu: { approximate: 'none' },
  Gemm: { alpha: 1, beta: 1, transA: 0, transB: 0 },
  HardSigmoid: { alpha: 0.2, beta: 0.5 },
  InstanceNormalization: { epsilon: 1e-5 },
  LayerNormalization: { axis: -1, epsilon: 1e-5, stash_type: 1 },
  LeakyRelu: { alpha: 0.01 },
  LogSoftmax: { axis: -1 },
  MaxPool: { ...POOL, storage_order: 0 },
  Pad: { mode: 'constant' },
  QuantizeLinear: { axis: 1, block_size: 0, output_dtype: 0, saturate: 1 },
  ReduceL1: REDUCE,
  ReduceL2: REDUCE,
  ReduceMax: REDUCE,
  ReduceMean: REDUCE,
  ReduceMin: REDUCE,
  ReduceProd: REDUCE,
  ReduceSum: REDUCE,
  Reshape: { allowzero: 0 },
  Softmax: { axis: -1 },
  Split: { axis: 0 },
  TopK: { axis: -1, largest: 1, sorted: 1 },
};

export const dropDefaultAttributes = definePass({
  name: 'drop-default-attributes',
  doc: 'Op<a = default of a> → Op: what an operator assumes anyway is not written',
  needs: ['opset-21'],
  run(model, context) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        const defaults = node.domain === '' ? DEFAULTS[node.opType] : undefined;
        if (defaults !== undefined) drop(node, defaults, (name) => context.changed(name, node));
      }
    }
  },
});

function drop(node: Node, defaults: Readonly<Record<string, Default>>, told: (name: string) => void): void {
  for (const [name, attribute] of [...node.attributes]) {
    const expected = defaults[name];
    if (expected === undefined || !saysSo(attribute, expected)) continue;
    setAttribute(node, name, undefined);
    told(name);
  }
}

function saysSo(attribute: Attribute, expected: Default): boolean {
  switch (attribute.kind) {
    case 'int':
      return attribute.value === expected;
    case 'float':
      return typeof expected === 'number' && attribute.value === Math.fround(expected);
    case 'string':
      return attribute.value === expected;
    case 'ints':
      return (
        (expected === 'ones' && attribute.value.every((each) => each === 1)) ||
        (expected === 'zeros' && attribute.value.every((each) => each === 0))
      );
    default:
      return false;
  }
}
