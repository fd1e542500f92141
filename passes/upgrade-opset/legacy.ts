/** What changed before opset 7. */
import {
  constantOf,
  createNode,
  DTYPES,
  dtypeFacts,
  type Node,
  setAttribute,
  setInput,
  setInputs,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';
import { constant, rankOf } from './operands.js';
import { type Adapter, boundByCaller, type Scope } from './step.js';

const drop = (...names: readonly string[]): Adapter => ({
  apply: (node) => {
    for (const name of names) setAttribute(node, name, undefined);
  },
});

/** Version 6 of many operators: memory reuse is no longer the model's business. */
export const dropConsumedInputs = drop('consumed_inputs');

/** Recurrent operators 7: an output is made when it is named. */
export const dropOutputSequence = drop('output_sequence');

/** Concat 4: the axis must be said; it was 1. */
export const concatAxis: Adapter = {
  apply: (node) => {
    if (!node.attributes.has('axis')) setAttribute(node, 'axis', 1);
  },
};

/** Pad 2 renames its attribute. */
export const padsName: Adapter = {
  refuse: (node) => boundByCaller(node, 'paddings'),
  apply(node) {
    const pads = node.ints('paddings') ?? [];
    setAttribute(node, 'paddings', undefined);
    setAttribute(node, 'pads', { kind: 'ints', value: pads });
  },
};

/** Split 2 has no second input, and splits along axis 0 unless told. */
export const splitAttributes: Adapter = {
  refuse: (node) => (node.inputs[1] === undefined ? undefined : 'its lengths are an input of version 1'),
};

/** LpPool and GlobalLpPool 2: the power is an integer. */
export const wholePower: Adapter = {
  refuse: (node) =>
    boundByCaller(node, 'p') ?? (Number.isInteger(node.float('p', 2)) ? undefined : 'its power is not whole'),
  apply: (node) => setAttribute(node, 'p', node.float('p', 2)),
};

/** Selu 6 states α with one digit more. */
export const seluAlpha: Adapter = {
  apply: (node) => {
    if (!node.attributes.has('alpha')) setAttribute(node, 'alpha', 1.6732);
  },
};

const CODES = new Map(DTYPES.map((dtype) => [dtype.toUpperCase(), dtypeFacts(dtype).code]));

/** Cast 6: the type is a number, no longer a name. */
export const castCode: Adapter = {
  refuse(node) {
    const bound = boundByCaller(node, 'to');
    if (bound !== undefined) return bound;
    return CODES.has(node.string('to', '').toUpperCase()) ? undefined : 'its target type has no number';
  },
  apply: (node) => setAttribute(node, 'to', CODES.get(node.string('to', '').toUpperCase())),
};

/** Tile 6: one count a dimension, where version 1 repeated along one axis. */
export const tileRepeats: Adapter = {
  refuse(node) {
    if (!node.inputs[1]?.isConstant || !node.inputs[2]?.isConstant)
      return 'its count or axis is not constant';
    return rankOf(node.inputs[0]) === undefined ? 'the rank of its input is unknown' : undefined;
  },
  apply(node, scope) {
    const repeats = new Array<number>(rankOf(node.inputs[0])!).fill(1);
    const [count, axis] = [1, 2].map((index) => constantOf(node.inputs[index])!.toNumbers()[0]!);
    repeats[axis!] = count!;
    setInputs(node, [node.inputs[0], constant(node, scope, Tensor.ints(repeats), 'repeats')]);
  },
};

/** BatchNormalization 7 and Dropout 7 only infer unless further outputs are asked for. */
export const inferenceOnly: Adapter = {
  refuse: (node) =>
    boundByCaller(node, 'is_test') ?? (node.int('is_test', 0) === 0 ? 'is_test = 0 trains' : undefined),
  apply: drop('is_test').apply!,
};

/** Gemm 7 broadcasts its third operand by itself. */
export const dropBroadcast = drop('broadcast');

/**
 * Arithmetic, comparisons and logic 7 broadcast from the last axis. Before, `broadcast` with an `axis` said where the
 * second operand's shape begins: ones are put behind it. Without an axis it ended at the last one, as now.
 */
export const trailingBroadcast: Adapter = {
  refuse(node) {
    const bound = boundByCaller(node, 'axis', 'broadcast');
    if (bound !== undefined || node.int('broadcast', 0) === 0 || !node.attributes.has('axis')) return bound;
    const known = rankOf(node.inputs[0]) !== undefined && rankOf(node.inputs[1]) !== undefined;
    return known ? undefined : 'it broadcasts along an axis, and the ranks of its operands are unknown';
  },
  apply(node, scope) {
    const axis = node.int('axis');
    if (node.int('broadcast', 0) !== 0 && axis !== undefined) {
      const rank = rankOf(node.inputs[0])!;
      const behind = rank - (axis < 0 ? axis + rank : axis) - rankOf(node.inputs[1])!;
      setInput(node, 1, withOnesBehind(node.inputs[1]!, behind, node, scope));
    }
    setAttribute(node, 'axis', undefined);
    setAttribute(node, 'broadcast', undefined);
  },
};

/** PRelu 7: slopes a channel broadcast from the last axis, so ones are put behind them. */
export const channelSlopes: Adapter = {
  refuse(node) {
    const [data, slope] = node.inputs;
    if (rankOf(data) === undefined || rankOf(slope) === undefined)
      return 'the ranks of its operands are unknown';
    return undefined;
  },
  apply(node, scope) {
    const [data, slope] = node.inputs;
    if (rankOf(slope) !== 1 || slope!.shape![0] === 1) return;
    setInput(node, 1, withOnesBehind(slope!, rankOf(data)! - 2, node, scope));
  },
};

function withOnesBehind(value: Value, count: number, node: Node, scope: Scope): Value {
  if (count <= 0) return value;
  const rank = rankOf(value)!;
  const axes = Array.from({ length: count }, (_, index) => rank + index);
  return createNode(
    { before: node },
    {
      opType: 'Unsqueeze',
      inputs: [value, constant(node, scope, Tensor.ints(axes), 'axes')],
      outputs: [
        {
          name: `${value.name}_aligned`,
          type: value.dtype && tensorType(value.dtype, [...value.shape!, ...axes.map(() => 1)]),
        },
      ],
    },
  ).outputs[0]!;
}
