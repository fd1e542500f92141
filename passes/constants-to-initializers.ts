import { constantOf, definePass, functionAround, outputToInitializer } from '../src/index.js';

/**
 * `y = Constant<value: t>()` → initializer `y = t`, in the graph where the node stood.
 *
 * A Constant node has no input and gives the same tensor in every run, which is what an initializer is. All `value_*`
 * forms are covered: `value_float(s)` is float, `value_int(s)` int64, `value_string(s)` string, of rank 0 (1), and a
 * small `sparse_value` is written out densely. Left alone are attributes that stand for one of the enclosing function,
 * bodies of local functions (they know no initializers), constants that are themselves outputs of their graph, and
 * models of IR version 3, where every initializer must be an input as well.
 */
export const constantsToInitializers = definePass({
  name: 'constants-to-initializers',
  doc: 'Constant node → initializer of the same graph: both give one tensor in every run',
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      if (functionAround(model, graph) !== undefined) continue;
      const outputs = new Set(graph.outputs);
      for (const node of graph.nodes()) {
        if (!node.is('Constant') || node.outputs.length !== 1) continue;
        const output = node.outputs[0]!;
        const tensor = constantOf(output);
        if (tensor === undefined)
          decline('its value is given by no plain attribute, or sparse and large', node);
        else if (outputs.has(output)) decline('it leaves the graph as it is', node);
        else if (model.irVersion < 4) decline('IR version 3 wants each initializer to be an input', node);
        else {
          changed(`Constant → initializer ${tensor.dtype}[${tensor.shape}]`, node);
          outputToInitializer(output, tensor.with({ name: output.name }));
        }
      }
    }
  },
});
