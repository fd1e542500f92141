import {
  definePass,
  isStatic,
  type Model,
  type Node,
  opsetOf,
  readsFunctionAttributes,
  replaceNode,
  type Value,
} from '../src/index.js';
import { Emitter } from './algebra/emitter.js';

/**
 * `Einsum` of one or two inputs → `ReduceSum`, `Transpose`, `Reshape`, `MatMul`.
 *
 * Letters of one input alone that do not come out are summed first. The others stand in four groups: in both inputs and
 * the output (batch), in both but not the output (depth), in one of them and the output (rows, columns). As
 * [batch, rows, depth] × [batch, depth, columns] the product is a MatMul, whose result is taken apart and turned. Left:
 * more inputs, `…`, a letter twice in one input, sizes that are not known.
 */
export const lowerEinsum = definePass({
  name: 'lower-einsum',
  doc: 'Einsum → ReduceSum, Transpose, Reshape and MatMul',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      if (opsetOf(model, graph) < 13) continue;
      for (const node of graph.nodes()) {
        if (!node.is('Einsum')) continue;
        const formula = readsFunctionAttributes(node) ? 'the caller decides its attributes' : formulaOf(node);
        if (typeof formula === 'string') decline(formula, node);
        else {
          changed(`${node.string('equation')}`, node);
          replaceNode(node, [lower(new Emitter(model as Model, node), node, formula)]);
        }
      }
    }
  },
});

interface Formula {
  readonly terms: readonly (readonly string[])[];
  readonly result: readonly string[];
  readonly sizes: ReadonlyMap<string, number>;
}

function formulaOf(node: Node): Formula | string {
  const equation = node.string('equation', '').replaceAll(' ', '');
  if (equation.includes('.')) return 'it holds axes without letters';
  const [left = '', right] = equation.split('->');
  const terms = left.split(',').map((term) => [...term]);
  if (terms.length > 2 || terms.length !== node.inputs.length) return `it has ${terms.length} inputs`;
  if (terms.some((term) => new Set(term).size < term.length)) return 'a letter stands twice in one input';
  const sizes = new Map<string, number>();
  for (const [at, term] of terms.entries()) {
    const shape = node.inputs[at]?.shape;
    if (!isStatic(shape) || shape.length !== term.length || shape.includes(0))
      return 'its sizes are not known';
    for (const [axis, letter] of term.entries()) {
      const known = sizes.get(letter);
      if (known !== undefined && known !== shape[axis]) return `${letter} has two sizes`;
      sizes.set(letter, shape[axis]!);
    }
  }
  // Without an arrow: letters that stand once, in the order of the alphabet.
  const all = terms.flat();
  const once = all.filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort();
  return { terms, result: right === undefined ? once : [...right], sizes };
}

function lower(emit: Emitter, node: Node, { terms, result, sizes }: Formula): Value {
  const turned = (value: Value, from: readonly string[], to: readonly string[]): Value =>
    from.join() === to.join()
      ? value
      : emit.op('Transpose', [value], { perm: to.map((letter) => from.indexOf(letter)) });
  const kept = terms.map((term, at) => {
    const other = terms[1 - at] ?? [];
    const idle = term.flatMap((letter, axis) =>
      result.includes(letter) || other.includes(letter) ? [] : [axis],
    );
    const value = node.inputs[at]!;
    return {
      letters: term.filter((_, axis) => !idle.includes(axis)),
      value: idle.length > 0 ? emit.op('ReduceSum', [value, emit.ints(idle)], { keepdims: 0 }) : value,
    };
  });
  const [a, b] = kept;
  if (b === undefined) return turned(a!.value, a!.letters, result);
  const product = (letters: readonly string[]) =>
    letters.reduce((all, letter) => all * sizes.get(letter)!, 1);
  const both = a!.letters.filter((letter) => b.letters.includes(letter));
  const batch = result.filter((letter) => both.includes(letter));
  const depth = both.filter((letter) => !result.includes(letter));
  const rows = result.filter((letter) => a!.letters.includes(letter) && !both.includes(letter));
  const columns = result.filter((letter) => b.letters.includes(letter) && !both.includes(letter));
  const factor = (
    side: { readonly letters: readonly string[]; readonly value: Value },
    first: readonly string[],
    second: readonly string[],
  ): Value => {
    const order = [...batch, ...first, ...second];
    const shape = [...(batch.length > 0 ? [product(batch)] : []), product(first), product(second)];
    const value = turned(side.value, side.letters, order);
    const same =
      order.length === shape.length && order.every((letter, at) => sizes.get(letter) === shape[at]);
    return same ? value : emit.op('Reshape', [value, emit.ints(shape)]);
  };
  const made = emit.op('MatMul', [factor(a!, rows, depth), factor(b, depth, columns)]);
  const letters = [...batch, ...rows, ...columns];
  const plain =
    letters.length === 2 + Math.min(1, batch.length) &&
    batch.length < 2 &&
    rows.length === 1 &&
    columns.length === 1;
  const apart = plain
    ? made
    : emit.op('Reshape', [made, emit.ints(letters.map((letter) => sizes.get(letter)!))]);
  return turned(apart, letters, result);
}
