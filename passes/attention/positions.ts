import {
  addConstant,
  constantOf,
  fedInputs,
  fedValues,
  type Node,
  type PassContext,
  type Prober,
  type QuantcError,
  setInput,
  Tensor,
  type Value,
} from '../../src/index.js';
import type { Builder } from './builder.js';

/** One place where data meet something that only the number of tokens says. */
interface Meeting {
  readonly node: Node;
  readonly index: number;
  readonly value: Value;
}

/** What tells sizes, where it is read; it is the operator's business, not the tokens'. */
const SIZES: Readonly<Record<string, readonly number[]>> = {
  Reshape: [1],
  Expand: [1],
  Slice: [1, 2, 3, 4],
  Unsqueeze: [1],
  Squeeze: [1],
  Tile: [1],
  GroupQueryAttention: [5, 6],
};

/**
 * Has everything that is counted from the first token counted by `position_ids` instead: indices into a table of
 * positions, and rows that go by position (cut from a table, or computed).
 * @param except nodes that will be written anew
 * @param positionIds gives the input, and makes it when it is first asked
 */
export async function placeTokens(
  build: Builder,
  prober: Prober,
  context: PassContext,
  except: ReadonlySet<Node>,
  positionIds: () => Value,
  refusal: (why: string) => QuantcError,
): Promise<void> {
  const { graph } = build.model;
  const fed = fedValues(graph, fedInputs(graph));
  const meetings = [...graph.nodes()].flatMap((node) => (except.has(node) ? [] : meetingsAt(node, fed)));
  const placed = new Map<Value, Value>();
  for (const { node, index, value } of meetings) {
    const known = placed.get(value) ?? (await place(build, prober, node, index, value, positionIds));
    if (typeof known === 'string') throw refusal(`${value.name}: ${known}`);
    placed.set(value, known);
    context.changed(`${value.name} goes by position_ids`, node);
    setInput(node, index, known);
  }
}

/** Inputs of a node that are neither fed nor constant, where others are fed; and indices into a constant table. */
function meetingsAt(node: Node, fed: ReadonlySet<Value>): Meeting[] {
  const isCounted = (value: Value | undefined): value is Value =>
    value !== undefined && !fed.has(value) && constantOf(value) === undefined && value.producer !== undefined;
  if (node.is('Gather') && constantOf(node.inputs[0]) !== undefined) {
    const [, indices] = node.inputs;
    const whole = constantOf(node.inputs[0])!.shape.length === 2;
    return whole && isCounted(indices) ? [{ node, index: 1, value: indices }] : [];
  }
  if (!node.inputs.some((input) => input !== undefined && fed.has(input))) return [];
  return node.inputs.flatMap((value, index) => {
    if (SIZES[node.opType]?.includes(index) || !isCounted(value)) return [];
    // A table read by counted indices is met where it is read.
    const reader = value.producer;
    const isLookup = reader?.is('Gather') && constantOf(reader.inputs[0])?.shape.length === 2;
    return isLookup ? [] : [{ node, index, value }];
  });
}

async function place(
  build: Builder,
  prober: Prober,
  node: Node,
  index: number,
  value: Value,
  positionIds: () => Value,
): Promise<Value | string> {
  const rowsAt = async (length: number): Promise<Tensor | string> => {
    const found = await prober.run([value], { batch: 1, length });
    return typeof found === 'string' ? found : found[0]!;
  };
  if (node.is('Gather') && index === 1) {
    const indices = await rowsAt(5);
    if (typeof indices === 'string') return indices;
    const numbers = indices.toNumbers();
    const [first] = numbers as [number];
    if (numbers.length !== 5 || numbers.some((each, at) => each !== first + at))
      return 'it does not count tokens';
    if (first === 0) return positionIds();
    return build.op('Add', [
      positionIds(),
      build.constant(`offset/${first}`, () => Tensor.scalar(first, 'int64')),
    ]);
  }
  const longest = longestTable(value);
  if (longest === undefined) return 'it depends on how many tokens there are';
  const [few, all] = [await rowsAt(3), await rowsAt(longest)];
  if (typeof few === 'string') return few;
  if (typeof all === 'string') return all;
  const width = all.count / longest;
  if (all.dtype !== 'float' || all.shape.at(-1) !== width || few.count !== 3 * width)
    return 'it does not go by position';
  const [start, whole] = [few.toFloat32(), all.toFloat32()];
  if (start.some((each, at) => each !== whole[at])) return 'it depends on how many tokens there are';
  const table = addConstant(build.model, node.graph, all.with({ shape: [longest, width] }), 'position_table');
  return build.op('Gather', [table, positionIds()], { axis: 0 });
}

/** Rows of the longest constant behind a value: the model can place no more tokens than that. */
function longestTable(value: Value): number | undefined {
  let most: number | undefined;
  const seen = new Set<Value>();
  const stack = [value];
  while (stack.length > 0 && seen.size < 200) {
    const at = stack.pop()!;
    if (seen.has(at)) continue;
    seen.add(at);
    const tensor = constantOf(at);
    if (tensor !== undefined && tensor.shape.length >= 2) {
      const rows = tensor.shape.at(-2)!;
      if (rows > (most ?? 1)) most = rows;
    }
    for (const input of at.producer?.inputs ?? []) if (input !== undefined) stack.push(input);
  }
  return most;
}
