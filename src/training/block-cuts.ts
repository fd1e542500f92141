/**
 * Where a model can be cut in parts that follow each other: values that everything behind depends on what is before only
 * through them, such as the stream between the layers of a transformer. What reads no trained weight and comes in beside
 * (masks, angles, positions) is no such way: every part computes it again.
 */
import { valuesRead } from '../ir/edit.js';
import type { Model, Node, Value } from '../ir/graph.js';

/** What lies between two cuts. */
export interface Segment {
  /** The value that it reads of what is before; absent for the first, which reads the model's inputs. */
  readonly from?: Value;
  readonly to: Value;
  /** Names of the trained weights that its nodes read. */
  readonly weights: readonly string[];
  readonly nodes: readonly Node[];
}

/**
 * The segments that lead to the first output, each with at least one of the weights. What has none goes with the one
 * before it, and ahead of all weights with the first. A model that cannot be cut is one segment.
 * @param weights names of initializers of the main graph
 */
export function segmentsOf({ graph }: Model, weights: ReadonlySet<string>): Segment[] {
  const output = graph.outputs[0]!;
  const reached = ancestorsOf([output]);
  const nodes = [...graph.nodes()].filter((node) => node.outputs.some((each) => reached.has(each)));
  const main = mainValues(nodes, weights);
  const cuts = dominatorsOf(output, nodes, main);
  const segments: Segment[] = [];
  let pending: Node[] = [];
  let from: Value | undefined;
  let past: ReadonlySet<Value> = new Set();
  for (const to of cuts) {
    const behind = ancestorsOf([to]);
    const own = nodes.filter(({ outputs }) =>
      outputs.some((each) => main.has(each) && behind.has(each) && !past.has(each)),
    );
    past = behind;
    const names = weightsRead(own, weights);
    const last = segments.at(-1);
    if (names.length > 0) {
      segments.push({ ...(from && { from }), to, weights: names, nodes: [...pending, ...own] });
      pending = [];
    } else if (last === undefined) {
      pending.push(...own);
      continue;
    } else segments[segments.length - 1] = { ...last, to, nodes: [...last.nodes, ...own] };
    from = to;
  }
  return withoutShared(segments);
}

/** Two segments, or more, as one. */
export function joined(segments: readonly Segment[]): Segment {
  const { from } = segments[0]!;
  return {
    ...(from && { from }),
    to: segments.at(-1)!.to,
    weights: [...new Set(segments.flatMap(({ weights }) => weights))],
    nodes: segments.flatMap(({ nodes }) => nodes),
  };
}

/** A weight is trained in one place: segments that share one become one, with all between them. */
function withoutShared(segments: readonly Segment[]): Segment[] {
  const done: Segment[] = [];
  for (const segment of segments) {
    const first = done.findIndex(({ weights }) => weights.some((name) => segment.weights.includes(name)));
    if (first < 0) done.push(segment);
    else done.push(joined([...done.splice(first), segment]));
  }
  return done;
}

function ancestorsOf(values: readonly Value[]): Set<Value> {
  const found = new Set<Value>();
  const stack = [...values];
  while (stack.length > 0) {
    const value = stack.pop()!;
    if (found.has(value)) continue;
    found.add(value);
    if (value.producer !== undefined) stack.push(...valuesRead(value.producer));
  }
  return found;
}

function weightsRead(nodes: readonly Node[], weights: ReadonlySet<string>): string[] {
  const read = nodes.flatMap(({ inputs }) => inputs).filter((input) => input && weights.has(input.name));
  return [...new Set(read.map((input) => input!.name))];
}

/** Values that depend on a weight, and what the first products read beside theirs, all the way back. */
function mainValues(nodes: readonly Node[], weights: ReadonlySet<string>): Set<Value> {
  const behind = new Set<Value>();
  const begins: Value[] = [];
  for (const { inputs, outputs } of nodes) {
    const weighted = inputs.some((input) => input && weights.has(input.name));
    const continued = inputs.some((input) => input && behind.has(input));
    if (weighted && !continued)
      begins.push(...inputs.filter((input): input is Value => input !== undefined && !input.isConstant));
    if (weighted || continued) for (const output of outputs) behind.add(output);
  }
  for (const value of ancestorsOf(begins)) if (!value.isConstant) behind.add(value);
  return behind;
}

/**
 * The values through which every way to the output leads, first to last, the output among them. Nodes are in order, so
 * one pass suffices: what dominates a value is what dominates all that its node reads.
 */
function dominatorsOf(output: Value, nodes: readonly Node[], main: ReadonlySet<Value>): Value[] {
  const known = new Map<Value, { readonly above: Value | undefined; readonly depth: number }>();
  const depthOf = (value: Value | undefined): number => (value === undefined ? 0 : known.get(value)!.depth);
  const meet = (a: Value | undefined, b: Value | undefined): Value | undefined => {
    let [one, other] = [a, b];
    while (one !== other) {
      if (depthOf(one) >= depthOf(other)) one = one && known.get(one)!.above;
      else other = other && known.get(other)!.above;
    }
    return one;
  };
  for (const node of nodes) {
    const read = node.inputs.filter(
      (input): input is Value => input !== undefined && main.has(input) && known.has(input),
    );
    const [first, ...others] = read;
    const above = others.reduce<Value | undefined>(meet, first);
    for (const each of node.outputs)
      if (main.has(each)) known.set(each, { above, depth: depthOf(above) + 1 });
  }
  const chain: Value[] = [];
  for (let at: Value | undefined = output; at !== undefined; at = known.get(at)?.above) chain.unshift(at);
  return chain;
}
