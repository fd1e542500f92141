/** Gradient of Einsum: another Einsum for each operand. */
import type { Value } from '../../ir/graph.js';
import { type Dim, tensorType } from '../../ir/type.js';
import { type Backward, type GradientRule, knownShape, rule, unsupported } from '../rule.js';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The letters of each operand and of the output, ellipses written out by the ranks. */
function terms(at: Backward): { operands: string[]; result: string } {
  const { node } = at;
  const equation = node.string('equation', '').replace(/\s/g, '');
  const [left, right] = equation.split('->') as [string, string | undefined];
  const written = left.split(',');
  const free = [...LETTERS].filter((letter) => !equation.includes(letter));
  const hidden = written.map((term, index) =>
    term.includes('...') ? knownShape(at.input(index), node).length - (term.length - 3) : 0,
  );
  const dots = (count: number) =>
    free
      .slice(0, Math.max(...hidden))
      .slice(Math.max(...hidden) - count)
      .join('');
  const operands = written.map((term, index) => term.replace('...', dots(hidden[index]!)));
  const letters = [...new Set(operands.join(''))];
  const once = letters.filter(
    (letter) => operands.join('').split(letter).length === 2 && !free.includes(letter),
  );
  const implied = `...${once.sort().join('')}`;
  const result = (right ?? implied).replace('...', dots(Math.max(...hidden)));
  return { operands, result };
}

function gradientOf(at: Backward, index: number, operands: readonly string[], result: string): Value {
  const { emit, node } = at;
  const own = operands[index]!;
  if (new Set(own).size !== own.length)
    throw unsupported(node, 'a diagonal (an operand that repeats a letter)');
  const x = at.input(index);
  const others = operands.flatMap((_, each) => (each === index ? [] : [each]));
  const known = result + others.map((each) => operands[each]).join('');
  // Letters that only this operand has were summed over: the gradient is the same along them.
  const shared = [...own].filter((letter) => known.includes(letter)).join('');
  const equation = `${[result, ...others.map((each) => operands[each])].join(',')}->${shared}`;
  const sizes = new Map<string, Dim>();
  operands.forEach((term, each) => {
    [...term].forEach((letter, axis) => {
      const dim = at.input(each).shape?.[axis] ?? null;
      if (!sizes.has(letter) || sizes.get(letter) === 1) sizes.set(letter, dim);
    });
  });
  const shape = [...shared].map((letter) => sizes.get(letter) ?? null);
  const inputs = [at.gradient(), ...others.map((each) => at.input(each))];
  const summed = emit.op('Einsum', inputs, { equation }, tensorType(x.dtype!, shape));
  if (shared === own) return emit.sumTo(summed, x);
  const missing = [...own].flatMap((letter, axis) => (shared.includes(letter) ? [] : [axis]));
  const opened = emit.op('Unsqueeze', [summed, emit.ints(missing)], {}, tensorType(x.dtype!));
  return emit.op('Expand', [opened, emit.shapeOf(x)], {}, x.type);
}

export const EINSUM: readonly GradientRule[] = [
  rule('Einsum', 'Einsum of g and the other operands, in the letters of the operand', (at) => {
    const { operands, result } = terms(at);
    if (new Set(result).size !== result.length) throw unsupported(at.node, 'a repeated letter in the result');
    return at.node.inputs.map((_, index) =>
      at.wants(index) ? gradientOf(at, index, operands, result) : undefined,
    );
  }),
];
