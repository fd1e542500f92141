import {
  definePass,
  type Graph,
  type LocalFunction,
  type Model,
  type Node,
  omitOutput,
  type PassContext,
  removeInitializer,
  removeNode,
  removeOutput,
  setGraphOutputs,
  truncateOutputs,
} from '../src/index.js';

/** Operators whose outputs from this index on are optional, and whose number of outputs changes nothing else. */
const OPTIONAL_FROM = new Map<string, number>([
  ['Dropout', 1],
  ['GRU', 0],
  ['LayerNormalization', 1],
  ['LSTM', 0],
  ['MaxPool', 1],
  ['NegativeLogLikelihoodLoss', 1],
  ['RNN', 0],
  ['SoftmaxCrossEntropyLoss', 1],
  ['Unique', 1],
]);

/**
 * Node whose outputs nobody reads, constant that nobody reads, function that nobody calls → nothing.
 *
 * ONNX operators have no effect but their outputs, so what reaches no output of the model cannot change a result.
 * Optional outputs that nobody reads are omitted, so that their kernels need not compute them, and outputs of an If
 * that nobody reads leave both branches. Graph inputs always stay (they are the model's signature), as do default
 * values of inputs, and nodes of other domains that have no outputs at all.
 */
export const deadCode = definePass({
  name: 'dead-code',
  doc: 'what reaches no output of the model → nothing; graph inputs stay',
  run(model, context) {
    // Branch outputs that leave make the code before them dead, and dead calls make functions dead: the outermost
    // graphs first, each from its last node to its first.
    sweep(model.graph, context);
    dropFunctions(model, context);
    for (const each of model.functions) sweep(each.body, context);
    dropFunctions(model, context);
  },
});

function sweep(graph: Graph, context: PassContext): void {
  const leaving = new Set(graph.outputs);
  for (const node of graph.nodesBackwards()) {
    const used = node.outputs.map((output) => output.uses.length > 0 || leaving.has(output));
    if (!used.includes(true)) {
      if (node.outputs.length === 0 && node.domain !== '') continue;
      context.changed('nobody reads its outputs: removed', node);
      removeNode(node);
      continue;
    }
    if (node.is('If')) trimBranches(node, used, context);
    else trimOptional(node, used, context);
    for (const inner of node.subgraphs) sweep(inner, context);
  }
  for (const value of [...graph.initializers, ...graph.sparse.keys()]) {
    if (value.uses.length > 0 || leaving.has(value) || value.isInput) continue;
    context.changed('constant that nobody reads: removed', value);
    removeInitializer(value);
  }
}

/** Omits optional outputs that nobody reads. */
function trimOptional(node: Node, used: readonly boolean[], context: PassContext): void {
  const first = node.domain === '' ? OPTIONAL_FROM.get(node.opType) : undefined;
  if (first === undefined) return;
  const unread = node.outputs.filter((output, index) => index >= first && !used[index] && !output.isOmitted);
  for (const output of unread) {
    context.changed(`optional output ${output.name} that nobody reads: omitted`, node);
    omitOutput(output);
  }
  if (node.outputs.at(-1)?.isOmitted) {
    truncateOutputs(node, used.lastIndexOf(true) + 1);
  }
}

/** Takes outputs of an If that nobody reads out of both branches. */
function trimBranches(node: Node, used: readonly boolean[], context: PassContext): void {
  for (let index = used.length - 1; index >= 0; index--) {
    if (used[index]) continue;
    context.changed(`output ${index} that nobody reads: taken out of both branches`, node);
    removeOutput(node.outputs[index]!);
    for (const branch of node.subgraphs) {
      setGraphOutputs(
        branch,
        branch.outputs.filter((_, at) => at !== index),
      );
    }
  }
}

const functionKey = (domain: string, name: string, overload: string): string =>
  `${domain}\n${name}\n${overload}`;

/** Removes local functions that no node calls, directly or through another function. */
function dropFunctions(model: Model, context: PassContext): void {
  const byKey = new Map<string, LocalFunction>();
  for (const each of model.functions) byKey.set(functionKey(each.domain, each.name, each.overload), each);
  const called = new Set<LocalFunction>();
  const waiting: Graph[] = [model.graph];
  for (let root = waiting.pop(); root !== undefined; root = waiting.pop()) {
    for (const graph of root.withSubgraphs()) {
      for (const node of graph.nodes()) {
        const callee = byKey.get(functionKey(node.domain, node.opType, node.overload));
        if (callee === undefined || called.has(callee)) continue;
        called.add(callee);
        waiting.push(callee.body);
      }
    }
  }
  for (let at = model.functions.length - 1; at >= 0; at--) {
    const each = model.functions[at]!;
    if (called.has(each)) continue;
    context.changed(`function ${each.domain}.${each.name} that nobody calls: removed`);
    model.functions.splice(at, 1);
  }
}
