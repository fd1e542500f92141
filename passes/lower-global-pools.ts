/**
 *   GlobalAveragePool(x)  →  AveragePool(x), its window as large as the image
 * for executors that average integers by windows alone.
 */
import { definePass, isStatic, setAttribute, setOperator } from '../src/index.js';

export const lowerGlobalPools = definePass({
  name: 'lower-global-pools',
  doc: 'GlobalAveragePool → AveragePool over the whole image',
  needs: ['typed'],
  run(model, context) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (!node.is('GlobalAveragePool')) continue;
        const window = node.inputs[0]?.shape?.slice(2);
        if (window === undefined || !isStatic(window) || window.includes(0)) {
          context.decline('the sizes of its image are not known', node);
          continue;
        }
        setOperator(node, 'AveragePool');
        setAttribute(node, 'kernel_shape', [...window]);
        context.changed('AveragePool', node);
      }
    }
  },
});
