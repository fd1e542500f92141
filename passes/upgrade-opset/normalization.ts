import {
  createNode,
  type DType,
  dtypeFacts,
  type Node,
  setAttribute,
  setInput,
  setType,
  Tensor,
  tensorType,
  truncateOutputs,
  type Value,
} from '../../src/index.js';
import { constant, insertAfter, rankOf, shapeOf } from './operands.js';
import { type Adapter, boundByCaller, type Scope } from './step.js';

/**
 * BatchNormalization 9 drops `spatial`: without it every element of a sample had its own scale, bias, mean and
 * variance. The sample laid flat makes each element a channel: [N, C, D…] → [N, C·D…] and back.
 */
export const flatWhereNotSpatial: Adapter = {
  refuse: (node) => boundByCaller(node, 'spatial'),
  apply(node, scope) {
    const flattens = node.int('spatial', 1) === 0;
    setAttribute(node, 'spatial', undefined);
    if (!flattens) return;
    const input = node.inputs[0]!;
    const matrix = input.dtype && tensorType(input.dtype, [input.shape?.[0] ?? null, null]);
    const flat = createNode(
      { before: node },
      {
        opType: 'Flatten',
        inputs: [input],
        attributes: { axis: 1 },
        outputs: [{ name: `${input.name}_flat`, type: matrix }],
      },
    );
    const shape = shapeOf(input, node, scope);
    setInput(node, 0, flat.outputs[0]);
    for (let index = 1; index <= 4; index++)
      setInput(node, index, flattened(node.inputs[index]!, node, scope));
    const output = node.outputs[0]!;
    insertAfter(node, output, { opType: 'Reshape' }, [shape]);
    setType(output, matrix);
  },
};

function flattened(value: Value, node: Node, scope: Scope): Value {
  if (rankOf(value) === 1) return value;
  const shape = constant(node, scope, Tensor.ints([-1]), 'flat_shape');
  return createNode(
    { before: node },
    {
      opType: 'Reshape',
      inputs: [value, shape],
      outputs: [{ name: `${value.name}_flat`, type: value.dtype && tensorType(value.dtype, [null]) }],
    },
  ).outputs[0]!;
}

const outputsInUse = (node: Node, from: number): boolean =>
  node.outputs.slice(from).some((output) => !output.isOmitted && (output.uses.length > 0 || output.isOutput));

/**
 * BatchNormalization 14 trains where an attribute says so; before, it trained when all five outputs were asked for. The
 * batch's own mean and variance, the last two, are no longer told.
 */
export const trainingMode: Adapter = {
  refuse: (node) => (outputsInUse(node, 3) ? 'its saved mean or variance is read' : undefined),
  apply(node) {
    if (node.outputs.length === 1) return;
    setAttribute(node, 'training_mode', 1);
    truncateOutputs(node, 3);
  },
};

/** Dropout 12 says that without training its mask is all true; before, nothing said what is in it. */
export const unreadMask: Adapter = {
  refuse: (node) =>
    outputsInUse(node, 1) ? 'its mask is read, whose meaning nothing fixed before 12' : undefined,
  apply: (node) => truncateOutputs(node, 1),
};

/**
 * GroupNormalization 21 takes scale and bias a channel instead of a group: each is repeated for the channels of its
 * group. `stash_type` keeps the arithmetic in the data's own type, as it was.
 */
export const channelScales: Adapter = {
  refuse(node) {
    const bound = boundByCaller(node, 'num_groups');
    if (bound !== undefined) return bound;
    const channels = node.inputs[0]?.shape?.[1];
    if (node.inputs[0]?.dtype === undefined) return 'the element type of its input is unknown';
    return typeof channels === 'number' ? undefined : 'its number of channels is unknown';
  },
  apply(node, scope) {
    const channels = node.inputs[0]!.shape![1] as number;
    const groups = node.int('num_groups', 1);
    setAttribute(node, 'stash_type', dtypeFacts(node.inputs[0]!.dtype as DType).code);
    if (groups === channels) return;
    for (const index of [1, 2])
      setInput(node, index, repeated(node.inputs[index]!, groups, channels, node, scope));
  },
};

/** [g] → [g·n], each element n times in a row: Reshape to a column, Expand, Reshape. */
function repeated(value: Value, groups: number, channels: number, node: Node, scope: Scope): Value {
  const step = (opType: string, input: Value, shape: readonly number[], becomes: readonly number[]): Value =>
    createNode(
      { before: node },
      {
        opType,
        inputs: [input, constant(node, scope, Tensor.ints(shape), 'channels')],
        outputs: [{ name: `${value.name}_channels`, type: value.dtype && tensorType(value.dtype, becomes) }],
      },
    ).outputs[0]!;
  const column = step('Reshape', value, [groups, 1], [groups, 1]);
  const rows = step('Expand', column, [groups, channels / groups], [groups, channels / groups]);
  return step('Reshape', rows, [channels], [channels]);
}
