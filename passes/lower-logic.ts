import {
  no,
  type PatternBuilder,
  type ReplacementBuilder,
  type ReplacementInput,
  rewrite,
  type Value,
  value,
} from '../src/index.js';

const or = (op: ReplacementBuilder, a: ReplacementInput, b: ReplacementInput) =>
  op.Not(op.And(op.Not(a), op.Not(b)));
const xor = (op: ReplacementBuilder, a: ReplacementInput, b: ReplacementInput) =>
  op.And(or(op, a, b), op.Not(op.And(a, b)));

const bind = { a: value, b: value };
const boolean = ({ a, b }: { readonly a: Value; readonly b: Value }) =>
  (a.dtype === 'bool' && b.dtype === 'bool') || no(`${a.name} is ${a.dtype ?? 'of an unknown type'}`, a);

const disjunction = rewrite({
  name: 'or',
  doc: 'a ∨ b → ¬(¬a ∧ ¬b)',
  bind,
  pattern: (op: PatternBuilder, $) => op.Or($.a, $.b),
  replace: ({ a, b }, op) => or(op, a, b),
});

const exclusion = rewrite({
  name: 'xor',
  doc: 'a ⊕ b → (a ∨ b) ∧ ¬(a ∧ b)',
  bind,
  pattern: (op, $) => op.Xor($.a, $.b),
  replace: ({ a, b }, op) => xor(op, a, b),
});

const equality = rewrite({
  name: 'equal',
  doc: 'a = b, of booleans → ¬(a ⊕ b)',
  needs: ['typed'],
  bind,
  pattern: (op, $) => op.Equal($.a, $.b),
  check: boolean,
  replace: ({ a, b }, op) => op.Not(xor(op, a, b)),
});

export const lowerLogic = rewrite.group(
  'lower-logic',
  'Or, Xor and Equal of booleans → And and Not, for executors that have these two alone',
  [disjunction, exclusion, equality],
);
