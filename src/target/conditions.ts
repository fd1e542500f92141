/** Conditions that rows of a target's table are made of; each answers `true` or the reason why not. */
import type { Node, Value } from '../ir/graph.js';

export type Condition = (node: Node) => true | string;

/** All conditions hold; otherwise the first reason. */
export const allOf =
  (...conditions: readonly Condition[]): Condition =>
  (node) => {
    for (const condition of conditions) {
      const answer = condition(node);
      if (answer !== true) return answer;
    }
    return true;
  };

/** Input `index` is present and a constant that no caller overrides. */
export const constantInput =
  (index: number): Condition =>
  (node) =>
    node.inputs[index]?.isConstant === true || `input ${index} is not a constant`;

/** Input `index` is absent or constant. */
export const constantIfPresent =
  (index: number): Condition =>
  (node) =>
    node.inputs[index] === undefined || constantInput(index)(node);

/** Input `index` is computed, not a constant. */
export const computedInput =
  (index: number): Condition =>
  (node) =>
    (node.inputs[index] !== undefined && !node.inputs[index].isConstant) || `input ${index} is a constant`;

/** Input `index` has this rank. */
export const rankIs =
  (index: number, ...ranks: readonly number[]): Condition =>
  (node) => {
    const shape = node.inputs[index]?.shape;
    if (shape === undefined) return `rank of input ${index} is unknown`;
    return (
      ranks.includes(shape.length) || `input ${index} has rank ${shape.length}, not ${ranks.join(' or ')}`
    );
  };

/** The first input holds float32. */
export const floatInput: Condition = (node) => {
  const dtype = node.inputs[0]?.dtype;
  return (
    dtype === 'float' ||
    (dtype === undefined ? 'dtype of input 0 is unknown' : `input 0 is ${dtype}, not float`)
  );
};

/** An attribute has this value (or its default, when absent). */
export const attributeIs =
  (name: string, expected: number | string, otherwise: number | string): Condition =>
  (node) => {
    const actual =
      typeof expected === 'number'
        ? attributeNumber(node, name, Number(otherwise))
        : node.string(name, String(otherwise));
    return actual === expected || `${name} is ${actual}, not ${expected}`;
  };

function attributeNumber(node: Node, name: string, otherwise: number): number {
  const found = node.attributes.get(name);
  if (found?.kind === 'float') return found.value;
  return node.int(name, otherwise);
}

/** The node's only live output is its first. */
export const singleOutput: Condition = (node) =>
  node.outputs
    .slice(1)
    .every((output) => output.isOmitted || (output.uses.length === 0 && !output.isOutput)) ||
  'more than one output is used';

/** The one node of the same graph that reads the node's first output, where there is just one and nothing else does. */
export function soleReader(node: Node): Node | undefined {
  const output = node.outputs[0];
  const reader = output?.uses[0]?.node;
  if (output?.uses.length !== 1 || output.isOutput || reader?.graph !== node.graph) return undefined;
  return reader;
}

/**
 * An activation whose least value is exactly 0, so that an unsigned grid over its range starts where it does and makes
 * it redundant: Relu, or Clip from a constant 0 to a constant or open end.
 */
export function startsAtZero(node: Node): boolean {
  if (node.is('Relu')) return true;
  if (!node.is('Clip')) return false;
  const [, least, most] = node.inputs;
  return (
    least?.isConstant === true &&
    least.constant!.toNumbers()[0] === 0 &&
    (most === undefined || most.isConstant)
  );
}

/**
 * No activation function alone reads the output: ONNX Runtime looks for a QuantizeLinear behind one, and leaves the
 * group float when it finds none.
 */
export const noActivationBehind: Condition = (node) => {
  const reader = soleReader(node);
  return !(reader?.is('Relu') || reader?.is('Clip')) || `${reader.opType} alone reads its float output`;
};

/** Operators that a logarithm is looked for behind: they carry small values on as small values. */
const CARRIES = new Set([
  'Abs',
  'Add',
  'Clip',
  'MatMul',
  'Max',
  'Mul',
  'Pow',
  'ReduceSum',
  'Reshape',
  'Sqrt',
  'Transpose',
]);

/**
 * No logarithm follows, as in the spectrogram at the head of an audio model. The error of integers is the same for large
 * and small values; a logarithm makes it relative, so that what is quiet drowns in it.
 */
export const noLogBehind: Condition = (node) => {
  let reached = new Set([node]);
  for (let step = 0; step < 8 && reached.size > 0 && reached.size < 16; step++) {
    const next = new Set<Node>();
    for (const each of reached) {
      for (const use of each.outputs[0]?.uses ?? []) {
        if (use.node.is('Log')) return `Log of its output follows (${use.node.label})`;
        if (use.node.domain === '' && CARRIES.has(use.node.opType)) next.add(use.node);
      }
    }
    reached = next;
  }
  return true;
};

/** What a dynamic dimension behind the first counts as, where sizes are estimated; the first (the batch) counts as one. */
const ASSUMED = 32;

/** Number of elements of a value; dynamic dimensions are estimated. 0 when even the rank is unknown. */
export function knownElements(value: Value | undefined): number {
  const shape = value?.shape;
  if (shape === undefined) return 0;
  return shape.reduce<number>(
    (product, dim, axis) => product * (typeof dim === 'number' ? dim : axis === 0 ? 1 : ASSUMED),
    1,
  );
}
