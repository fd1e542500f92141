/**
 * What a value is made of, computed for chosen sizes: masks and tables of positions depend on how many tokens there
 * are and on nothing else, so a few runs of the nodes behind them say what they are, however an exporter wrote them.
 */
import { constantOf } from '../ir/constant.js';
import { addGraphOutput, addInitializer, createNode } from '../ir/edit.js';
import { Graph, Model, type Node, type Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import type { Dim } from '../ir/type.js';
import type { Engine } from '../pipeline/pass.js';

/** How many sequences, and how many tokens each has. */
export interface Sizes {
  readonly batch: number;
  readonly length: number;
}

/** More nodes than this are not behind a mask or a table: the search has run into the network itself. */
const MOST_NODES = 300;

/** The inputs of a graph that callers feed. */
export const fedInputs = (graph: Graph): Value[] =>
  graph.inputs.filter((input) => input.constant === undefined);

/**
 * Sizes of the graph's symbolic dimensions: the first of every fed input of two dimensions or more is the batch, the
 * second the tokens. Undefined where the model fixes one of them to something else.
 */
export function dimsFor(graph: Graph, sizes: Sizes): Map<string, number> | undefined {
  const dims = new Map<string, number>();
  for (const { shape, dtype } of fedInputs(graph)) {
    const [batch, length] = shape ?? [];
    if (shape === undefined || shape.length < 2) continue;
    if (typeof batch === 'string') dims.set(batch, dims.get(batch) ?? sizes.batch);
    else if (typeof batch === 'number' && batch !== sizes.batch) return undefined;
    const counts = shape.length === 2 || (shape.length === 3 && (dtype === 'float' || dtype === 'float16'));
    if (typeof length === 'string') dims.set(length, dims.get(length) ?? sizes.length);
    else if (counts && isWholeNumber(dtype) && length !== sizes.length) return undefined;
  }
  return dims;
}

export const isWholeNumber = (dtype: string | undefined): boolean => /^u?int\d+$/.test(dtype ?? '');

/** The sizes that a graph allows: those given, with what it fixes put in their place, each once. */
export function allowedSizes(graph: Graph, wanted: readonly Sizes[]): Sizes[] {
  let fixedBatch: number | undefined;
  let fixedLength: number | undefined;
  for (const { shape, dtype } of fedInputs(graph)) {
    if (shape === undefined || shape.length < 2) continue;
    if (typeof shape[0] === 'number') fixedBatch ??= shape[0];
    if (isWholeNumber(dtype) && typeof shape[1] === 'number') fixedLength ??= shape[1];
  }
  const all = wanted.map(({ batch, length }) => ({
    batch: fixedBatch ?? batch,
    length: fixedLength ?? length,
  }));
  return all.filter((each, at) => all.findIndex((one) => sameSizes(one, each)) === at);
}
const sameSizes = (a: Sizes, b: Sizes): boolean => a.batch === b.batch && a.length === b.length;

/** What stands for values that are not followed further: for inputs of the graph, and for cuts inside. */
export type Given = ReadonlyMap<Value, Tensor>;

interface Cone {
  readonly model: Model;
  readonly outputs: readonly Value[];
}

/** The nodes behind values, copied into a model whose inputs are all constant; a reason when they cannot be. */
function coneOf(
  model: Model,
  wanted: readonly Value[],
  dims: Map<string, number>,
  given: Given,
): Cone | string {
  const graph = new Graph('cone');
  const copy = new Model(graph, { irVersion: model.irVersion, opsets: new Map(model.opsets) });
  const twins = new Map<Value, Value>();
  let count = 0;
  const constant = (value: Value, tensor: Tensor): Value => {
    const twin = addInitializer(graph, tensor, 'c');
    twins.set(value, twin);
    return twin;
  };
  const follow = (value: Value): Value | string => {
    const known = twins.get(value);
    if (known !== undefined) return known;
    const tensor = given.get(value) ?? constantOf(value);
    if (tensor !== undefined) return constant(value, tensor);
    const node = value.producer;
    if (node === undefined) return `it reads ${value.name}`;
    if (node.is('Shape')) {
      const shape = shapeRead(node, dims);
      if (shape !== undefined) return constant(value, Tensor.ints(shape));
    }
    if (node.subgraphs.length > 0) return `it lies behind ${node.opType}`;
    count += 1;
    if (count > MOST_NODES) return 'it depends on too much';
    const inputs: (Value | undefined)[] = [];
    for (const input of node.inputs) {
      const twin = input && follow(input);
      if (typeof twin === 'string') return twin;
      inputs.push(twin);
    }
    const made = createNode(
      { endOf: graph },
      {
        opType: node.opType,
        domain: node.domain,
        inputs,
        attributes: node.attributes,
        outputs: node.outputs.map((output) => (output.isOmitted ? null : 'v')),
      },
    );
    node.outputs.forEach((output, index) => {
      if (!output.isOmitted) twins.set(output, made.outputs[index]!);
    });
    return twins.get(value)!;
  };
  const outputs: Value[] = [];
  for (const value of wanted) {
    const twin = follow(value);
    if (typeof twin === 'string') return twin;
    outputs.push(twin);
  }
  return { model: copy, outputs };
}

const sizeOf = (dim: Dim, dims: ReadonlyMap<string, number>): number | undefined =>
  typeof dim === 'number' ? dim : dim === null ? undefined : dims.get(dim);

/** What a Shape node answers where the types say it. */
function shapeRead(node: Node, dims: ReadonlyMap<string, number>): number[] | undefined {
  const shape = node.inputs[0]?.shape;
  if (shape === undefined) return undefined;
  const sizes = shape
    .slice(node.int('start', 0), node.int('end', shape.length))
    .map((dim) => sizeOf(dim, dims));
  return sizes.every((size) => size !== undefined) ? (sizes as number[]) : undefined;
}

/** Computes values for chosen sizes. Answers are kept, since every layer asks about the same masks. */
export class Prober {
  readonly model: Model;
  readonly #engine: Engine;
  constructor(model: Model, engine: Engine) {
    this.model = model;
    this.#engine = engine;
  }

  /**
   * The values, for that many sequences and tokens.
   * @param given what graph inputs hold, and values that are not followed further
   * @returns the tensors, or why they cannot be told: a data input is read, or the executor refuses a node
   */
  async run(wanted: readonly Value[], sizes: Sizes, given: Given = new Map()): Promise<Tensor[] | string> {
    const dims = dimsFor(this.model.graph, sizes);
    if (dims === undefined) return 'the model fixes other sizes';
    const cone = coneOf(this.model, wanted, dims, given);
    if (typeof cone === 'string') return cone;
    const { model, outputs } = cone;
    const nodes = [...model.graph.nodes()];
    const made = outputs.filter((value) => value.constant === undefined);
    for (const value of made) addGraphOutput(model.graph, value);
    const found = await this.#engine.evaluate(model, nodes, made);
    const tensors = outputs.map((value) => value.constant ?? found.get(value));
    return tensors.every((tensor) => tensor !== undefined)
      ? (tensors as Tensor[])
      : 'the executor does not compute it';
  }
}

/** The fed inputs whose elements, not only whose sizes, a value is made from. */
export function inputsRead(value: Value, stops: ReadonlySet<Value> = new Set()): Value[] {
  const found = new Set<Value>();
  const seen = new Set<Value>();
  const stack = [value];
  while (stack.length > 0 && seen.size < 20 * MOST_NODES) {
    const at = stack.pop()!;
    if (seen.has(at) || stops.has(at)) continue;
    seen.add(at);
    if (at.producer === undefined) {
      if (at.constant === undefined) found.add(at);
    } else if (!at.producer.is('Shape')) {
      for (const input of at.producer.inputs) if (input !== undefined) stack.push(input);
    }
  }
  return [...found];
}
