import {
  addConstant,
  byteLengthOf,
  constantOf,
  definePass,
  elementCount,
  functionAround,
  type Graph,
  isStatic,
  type Model,
  type Node,
  outputToInitializer,
  type PassContext,
  readsFunctionAttributes,
  removeNode,
  replaceNode,
  type Tensor,
  type Value,
  valuesRead,
} from '../src/index.js';

/** Whatever a node may give without being weighed against what it reads. */
const SMALL_BYTES = 64 << 10;
/** How often larger its result may be than the constants it comes from: a widening Cast passes, an Expand does not. */
const MOST_GROWTH = 2;
/** Bytes computed ahead in one model; weights beyond that stay what they are rather than come into memory. */
const MOST_BYTES = 128 << 20;
/** Folding one node may tell the size of the next. */
const MOST_ROUNDS = 16;

/** Different in every run. */
const RANDOM = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
]);

/**
 * `y = f(c₁, c₂ …)` with constants cᵢ → initializer `y`, computed by ONNX Runtime with its optimizer off.
 *
 * The result is bit for bit what each run would have computed. Nodes of subgraphs are folded too, and whole If, Loop
 * and Scan nodes that read constants alone. Left as they are: random operators; DequantizeLinear and
 * DynamicQuantizeLinear, which executors want to see; calls of local functions and nodes whose attributes stand for a
 * function's; values that leave their graph; results that would take more than 64 KiB and twice what they come from.
 */
export const foldConstants = definePass({
  name: 'fold-constants',
  doc: 'f(constants) → constant, computed once as ONNX Runtime would in every run',
  needs: ['typed'],
  async run(model, context) {
    const roots = [model.graph, ...model.functions.map((each) => each.body)];
    for (const root of roots) {
      for (let round = 0; round < MOST_ROUNDS; round++) {
        const sweep = new Sweep(model, context);
        sweep.collect(root);
        if (!(await sweep.fold())) break;
        if (!sweep.sizesMissing) break;
        await context.engine.inferTypes(model);
      }
    }
  },
});

class Sweep {
  /** Nodes to compute, in topological order. */
  readonly #nodes: Node[] = [];
  readonly #chosen = new Set<Node>();
  /** For each value known ahead, how many bytes of constants it comes from. */
  readonly #bytes = new Map<Value, number>();
  #total = 0;
  /** True when a node was left only because nobody could tell how large its result is. */
  sizesMissing = false;

  constructor(
    readonly model: Model,
    readonly context: PassContext,
  ) {}

  collect(graph: Graph): void {
    for (const node of graph.nodes()) {
      if (this.#folds(node)) {
        this.#nodes.push(node);
        this.#chosen.add(node);
      } else for (const inner of node.subgraphs) this.collect(inner);
    }
  }

  #folds(node: Node): boolean {
    if (node.domain !== '' || node.is('Constant') || node.outputs.length === 0) return false;
    if (this.model.functions.some((each) => node.is(each.name, each.domain))) return false;
    const source = this.#sourceBytes(node);
    if (source === undefined) return false;
    const no = (reason: string): false => {
      this.context.decline(reason, node);
      return false;
    };
    for (const each of withInner(node)) {
      if (RANDOM.has(each.opType)) return no(`${each.opType} gives something else in every run`);
      if (readsFunctionAttributes(each)) return no('its attributes are those of the enclosing function');
    }
    if (node.is('Dropout') && constantOf(node.inputs[2])) return no('it may be set to drop at random');
    if (node.is('DequantizeLinear') || node.is('DynamicQuantizeLinear'))
      return no('executors take the quantized constant with it');
    if (node.outputs.some((output) => output.isOutput)) return no('its result leaves the graph as it is');
    const result = node.outputs.reduce((sum, output) => sum + bytesOf(output), 0);
    if (Number.isNaN(result)) {
      this.sizesMissing = true;
      return no('the size of its result is not known ahead');
    }
    if (result > Math.max(SMALL_BYTES, MOST_GROWTH * source))
      return no(`its result takes ${result} bytes, what it comes from ${source}`);
    if (result > SMALL_BYTES && this.#total + result > MOST_BYTES)
      return no('enough large constants are computed ahead already');
    this.#total += result;
    for (const output of node.outputs) this.#bytes.set(output, source);
    return true;
  }

  /** Bytes of the constants that a node comes from; undefined when it reads anything else. */
  #sourceBytes(node: Node): number | undefined {
    const inner = new Set(node.subgraphs.flatMap((graph) => [...graph.withSubgraphs()]));
    let bytes = 0;
    for (const value of new Set(valuesRead(node))) {
      if (inner.has(value.graph)) continue;
      const known = this.#bytes.get(value) ?? constantOf(value)?.byteLength;
      if (known === undefined) return undefined;
      bytes += known;
    }
    return bytes;
  }

  /** Computes and replaces. False when nothing came of it. */
  async fold(): Promise<boolean> {
    const wanted = this.#nodes.flatMap((node) => node.outputs.filter((output) => this.#leaves(output)));
    if (wanted.length === 0) return false;
    const results = await this.context.engine.evaluate(this.model, this.#nodes, wanted);
    let folded = false;
    for (const node of [...this.#nodes].reverse()) {
      const needed = node.outputs.filter((output) => output.uses.length > 0);
      const tensors = needed.map((output) => results.get(output));
      if (!tensors.every((tensor) => tensor !== undefined)) {
        // Inner nodes of a chain are not asked for: they go once their readers are gone.
        if (wanted.some((value) => value.producer === node))
          this.context.decline('ONNX Runtime does not compute it', node);
        continue;
      }
      this.context.changed(`${node.opType} of constants → constant`, node);
      this.#replace(node, new Map(needed.map((output, at) => [output, tensors[at]!])));
      folded = true;
    }
    return folded;
  }

  #leaves(output: Value): boolean {
    return output.uses.some((use) => !this.#chosen.has(use.node) && !this.#within(use.node));
  }

  /** True when the reader stands in a subgraph of a node that is folded whole. */
  #within(node: Node): boolean {
    for (let owner = node.graph.owner; owner !== undefined; owner = owner.graph.owner)
      if (this.#chosen.has(owner)) return true;
    return false;
  }

  #replace(node: Node, tensors: ReadonlyMap<Value, Tensor>): void {
    const inFunction = functionAround(this.model, node.graph) !== undefined;
    if (!inFunction) {
      for (const [output, tensor] of tensors) outputToInitializer(output, tensor.with({ name: output.name }));
      if (node.attached) removeNode(node);
      return;
    }
    replaceNode(
      node,
      node.outputs.map((each) => {
        const tensor = tensors.get(each);
        return tensor && addConstant(this.model, node.graph, tensor, each.name);
      }),
    );
  }
}

function* withInner(node: Node): IterableIterator<Node> {
  yield node;
  for (const graph of node.subgraphs) for (const each of graph.nodes()) yield* withInner(each);
}

/** Bytes of a value by its type; NaN where they are not known. Strings count as SMALL ones do. */
function bytesOf(value: Value): number {
  if (value.isOmitted || value.uses.length === 0) return 0;
  if (value.type?.kind !== 'tensor' || !isStatic(value.type.shape)) return Number.NaN;
  return byteLengthOf(value.type.dtype, elementCount(value.type.shape));
}
