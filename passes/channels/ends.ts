/** Where scales end: operators whose constants take the scale of a channel in, of what they read or of what they give. */
import { constantOf, isReal, type Node, type Tensor, type Value } from '../../src/index.js';
import { LINEAR, linearOf } from '../algebra/linear.js';

/** One place at which a node takes scales in: the value, which side of the node it stands on, the axes of its channels. */
export interface End {
  readonly value: Value;
  readonly side: 'input' | 'output';
  readonly axes: readonly number[];
}

const known = new WeakMap<
  Node,
  { readonly of: readonly (Value | undefined)[]; readonly ends: readonly End[] }
>();

/** The places at which a node takes scales in; none for most operators. */
export function endsOf(node: Node): readonly End[] {
  const cached = known.get(node);
  if (cached?.of.length === node.inputs.length && cached.of.every((value, i) => value === node.inputs[i]))
    return cached.ends;
  const ends = find(node);
  known.set(node, { of: [...node.inputs], ends });
  return ends;
}

function find(node: Node): readonly End[] {
  if (node.domain !== '') return [];
  if ((LINEAR as readonly string[]).includes(node.opType)) return linearEnds(node);
  switch (node.opType) {
    case 'LayerNormalization':
    case 'SimplifiedLayerNormalization':
      return normalizationEnds(node);
    case 'InstanceNormalization':
      return parametersFit(node, [1, 2], node.inputs[0]?.shape?.[1])
        ? [{ value: node.outputs[0]!, side: 'output', axes: [1] }]
        : [];
    case 'Mul':
    case 'Div':
      return diagonalEnds(node);
  }
  return [];
}

/** Constants of others are not changed under their feet, and not stored twice. */
const ownConstant = (value: Value | undefined): Tensor | undefined => {
  const tensor = value?.uses.length === 1 ? constantOf(value) : undefined;
  return tensor && isReal(tensor.dtype) ? tensor : undefined;
};

function linearEnds(node: Node): readonly End[] {
  const form = linearOf(node);
  if (typeof form === 'string' || ownConstant(node.inputs[1]) === undefined) return [];
  const axes = [form.axis];
  return [
    { value: node.inputs[0]!, side: 'input', axes },
    { value: node.outputs[0]!, side: 'output', axes },
  ];
}

const parametersFit = (node: Node, inputs: readonly number[], channels: unknown): boolean =>
  inputs.every((index) => {
    const value = node.inputs[index];
    return value === undefined
      ? index !== inputs[0]
      : ownConstant(value)?.shape.length === 1 && ownConstant(value)!.count === channels;
  });

/** γ·x̂ + β over the last axis alone. */
function normalizationEnds(node: Node): readonly End[] {
  const shape = node.inputs[0]?.shape;
  if (shape === undefined) return [];
  const axis = node.int('axis', -1);
  if (axis !== -1 && axis !== shape.length - 1) return [];
  if (!parametersFit(node, [1, 2], shape.at(-1))) return [];
  return [{ value: node.outputs[0]!, side: 'output', axes: [shape.length - 1] }];
}

/** x·c with one c a channel: c takes scales in on both sides. */
function diagonalEnds(node: Node): readonly End[] {
  const at = node.inputs[1]?.isConstant ? 1 : node.opType === 'Mul' && node.inputs[0]?.isConstant ? 0 : -1;
  const constant = at < 0 ? undefined : ownConstant(node.inputs[at]);
  const value = node.inputs[1 - at];
  const rank = value?.shape?.length;
  if (constant === undefined || rank === undefined || constant.shape.length > rank) return [];
  const offset = rank - constant.shape.length;
  const own = constant.shape.flatMap((dim, axis) => (dim === 1 ? [] : [axis + offset]));
  if (own.length !== 1 || value!.shape![own[0]!] !== constant.count) return [];
  return [
    { value: value!, side: 'input', axes: own },
    { value: node.outputs[0]!, side: 'output', axes: own },
  ];
}
