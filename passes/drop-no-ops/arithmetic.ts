/** Arithmetic and logic that give back an input. */
import {
  constantNumbers,
  constantOf,
  isFloat,
  type Node,
  sameDim,
  uniformNumber,
  type Value,
} from '../../src/index.js';
import { inputIf, type Rule, type Rules } from './rule.js';

/**
 * True when combining `kept` with `other` under broadcasting gives the shape of `kept`: `other` has no larger rank,
 * and each of its sizes is 1 or surely that of `kept`.
 */
export function keepsShape(kept: Value, other: Value): boolean {
  const small = other.shape;
  if (small === undefined) return false;
  if (small.length === 0) return true;
  const large = kept.shape;
  if (large === undefined || small.length > large.length) return false;
  const shift = large.length - small.length;
  return small.every((dim, axis) => dim === 1 || sameDim(dim, large[axis + shift]));
}

/** `x ∘ e = x` for the neutral element e on the right, and on the left where `bothSides`. */
function neutral(element: (node: Node) => number | undefined, bothSides: boolean): Rule {
  return (node, opset) => {
    // Before opset 7 an attribute said how shapes are aligned.
    if (node.inputs.length !== 2 || opset < 7) return undefined;
    for (const [kept, other] of bothSides
      ? [
          [0, 1],
          [1, 0],
        ]
      : [[0, 1]]) {
      const value = node.inputs[kept!];
      const constant = node.inputs[other!];
      if (value === undefined || constant === undefined) continue;
      const expected = element(node);
      const found = uniformNumber(constant);
      // x + −0 = x for every x, whatever the neutral element asked for.
      const matches = Object.is(found, expected) || (node.is('Add') && Object.is(found, -0));
      if (found !== undefined && matches && keepsShape(value, constant)) return value;
    }
    return undefined;
  };
}

const one = (): number => 1;
const zero = (): number => 0;

/** Operators whose results are never −0: sums of products start from +0, and +0 + −0 is +0. */
const NEVER_NEGATIVE_ZERO = new Set([
  'Abs',
  'Conv',
  'Exp',
  'Gemm',
  'MatMul',
  'Sigmoid',
  'Softmax',
  'Softplus',
]);

/**
 * True when −0 may become +0 in the node's first output: the numbers are equal, and nobody divides by them. For
 * integers, and where the input is never −0, there is nothing to become.
 */
export function signOfZeroIsFree(node: Node): boolean {
  const output = node.outputs[0]!;
  if (output.dtype !== undefined && !isFloat(output.dtype)) return true;
  if (
    node.inputs.some(
      (input) => input?.producer?.domain === '' && NEVER_NEGATIVE_ZERO.has(input.producer.opType),
    )
  )
    return true;
  return output.uses.every(
    ({ node: reader, index }) =>
      reader.domain === '' &&
      !reader.is('Reciprocal') &&
      !(reader.is('Div') && index === 1) &&
      !(reader.is('Pow') && index === 0),
  );
}

/** −0 added changes nothing ever; +0 turns −0 into +0. */
const addZero = (node: Node): number => (signOfZeroIsFree(node) ? 0 : -0);

/** `f(f(x)) = f(x)`. */
const idempotent: Rule = (node) => inputIf(node, node.inputs[0]?.producer?.is(node.opType));

/** `f(f(x)) = x`: the input of the inner one. */
const involution: Rule = (node) => {
  const inner = node.inputs[0]?.producer;
  return inner?.is(node.opType) ? inner.inputs[0] : undefined;
};

/** Operators whose results are at least 0. */
const NOT_NEGATIVE = new Set([
  'Abs',
  'Exp',
  'HardSigmoid',
  'ReduceL1',
  'ReduceL2',
  'ReduceSumSquare',
  'Relu',
  'Sigmoid',
  'Softmax',
  'Softplus',
]);

/** The lower bound of a Clip: constant, −∞ when there is none, undefined when it is computed. */
function lowerBound(clip: Node, opset: number): number | undefined {
  if (opset < 11) return clip.float('min', Number.NEGATIVE_INFINITY);
  return clip.inputs[1] === undefined ? Number.NEGATIVE_INFINITY : uniformNumber(clip.inputs[1]);
}

/** `Relu(x) = x` where x is at least 0, and where all who read it cut at 0 or above themselves. */
const relu: Rule = (node, opset) => {
  const producer = node.inputs[0]?.producer;
  if (producer?.domain === '' && NOT_NEGATIVE.has(producer.opType)) return node.inputs[0];
  if (producer?.is('Clip') && (lowerBound(producer, opset) ?? -1) >= 0) return node.inputs[0];
  const output = node.outputs[0]!;
  const cutAgain = output.uses.every(
    (use) =>
      use.index === 0 &&
      (use.node.is('Relu') || (use.node.is('Clip') && (lowerBound(use.node, opset) ?? -1) >= 0)),
  );
  return inputIf(node, output.uses.length > 0 && !output.isOutput && cutAgain);
};

/** A Clip that cuts nothing: of integers, without bounds. Of floats it would still cut infinities. */
const clip: Rule = (node, opset) => {
  const dtype = node.inputs[0]?.dtype;
  const open = opset >= 11 && node.inputs[1] === undefined && node.inputs[2] === undefined;
  if (open) return inputIf(node, dtype !== undefined && !isFloat(dtype));
  const inner = node.inputs[0]?.producer;
  return inputIf(
    node,
    opset >= 11 && inner?.is('Clip') && equalBound(node, inner, 1) && equalBound(node, inner, 2),
  );
};

function equalBound(a: Node, b: Node, index: number): boolean {
  if (a.inputs[index] === b.inputs[index]) return true;
  const bound = uniformNumber(a.inputs[index]);
  return bound !== undefined && Object.is(bound, uniformNumber(b.inputs[index]));
}

/** `Where(true, a, b) = a`, `Where(false, a, b) = b`, `Where(c, a, a) = a`, as long as nothing is stretched. */
const where: Rule = (node) => {
  const [condition, yes, no] = node.inputs;
  if (condition === undefined || yes === undefined || no === undefined) return undefined;
  if (yes === no) return keepsShape(yes, condition) ? yes : undefined;
  if (constantOf(condition)?.dtype !== 'bool') return undefined;
  const bits = constantNumbers(condition);
  if (bits === undefined || bits.length === 0) return undefined;
  const chosen = bits.every((bit) => bit !== 0) ? yes : bits.every((bit) => bit === 0) ? no : undefined;
  if (chosen === undefined) return undefined;
  return keepsShape(chosen, condition) && keepsShape(chosen, chosen === yes ? no : yes) ? chosen : undefined;
};

/** One operand leaves nothing to combine. */
const single: Rule = (node) => inputIf(node, node.inputs.length === 1);

export const arithmetic: Rules = {
  Add: neutral(addZero, true),
  Sub: neutral(zero, false),
  Mul: neutral(one, true),
  Div: neutral(one, false),
  Pow: neutral(one, false),
  And: neutral(one, true),
  Or: neutral(zero, true),
  Xor: neutral(zero, true),
  Sum: single,
  Mean: single,
  Max: single,
  Min: single,
  Abs: idempotent,
  Ceil: idempotent,
  Floor: idempotent,
  Round: idempotent,
  Sign: idempotent,
  Not: involution,
  Neg: involution,
  Relu: relu,
  Clip: clip,
  Where: where,
};
