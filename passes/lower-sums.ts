import {
  addConstant,
  createNode,
  definePass,
  isReal,
  type Node,
  replaceNode,
  Tensor,
  tensorType,
  type Value,
} from '../src/index.js';

/**
 * `Sum(a, b, c)` → `Add(Add(a, b), c)`; `Mean(a, b, c)` → `Div(Add(Add(a, b), c), 3)`: what the operators are defined
 * as, in the order in which ONNX Runtime's CPU adds. Broadcasting goes pairwise to the same shape. A single input
 * stands for itself. Where the element type is unknown, Mean keeps its place: its divisor needs one.
 */
export const lowerSums = definePass({
  name: 'lower-sums',
  doc: 'Sum → Adds, Mean → Adds and a Div: their definitions, for executors that know two inputs only',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        const isMean = node.is('Mean');
        if (!isMean && !node.is('Sum')) continue;
        const inputs = node.inputs.filter((input) => input !== undefined);
        const [first, ...others] = inputs;
        const dtype = first?.dtype;
        if (first === undefined) continue;
        if (isMean && !isReal(dtype ?? 'string')) {
          decline(`its elements are ${dtype ?? 'of an unknown type'}`, node);
          continue;
        }
        changed(`${node.opType} of ${inputs.length} → Add`, node);
        let total: Value = first;
        for (const other of others) total = step(node, 'Add', total, other);
        if (isMean && others.length > 0)
          total = step(node, 'Div', total, addConstant(model, graph, Tensor.scalar(inputs.length, dtype)));
        replaceNode(node, others.length > 0 ? [total] : [step(node, 'Identity', first)]);
      }
    }
  },
});

function step(before: Node, opType: string, ...inputs: Value[]): Value {
  const { name, dtype } = before.outputs[0]!;
  return createNode(
    { before },
    {
      opType,
      name: before.name,
      inputs,
      outputs: [{ name: `${name}_${opType.toLowerCase()}`, type: dtype && tensorType(dtype) }],
    },
  ).outputs[0]!;
}
