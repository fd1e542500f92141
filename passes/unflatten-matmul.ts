import {
  definePass,
  type Node,
  readsFunctionAttributes,
  removeNode,
  replaceAllUses,
  sameDim,
  setInput,
  setType,
  type Value,
} from '../src/index.js';

/**
 * `Reshape(MatMul(Reshape(x, [rows, K]), W), [… of x, N])` → `MatMul(x, W)`, for a matrix W of K × N.
 *
 * A product with a matrix on the right multiplies each row of x by itself, however the rows are arranged: flattening
 * them before and arranging them again after changes nothing. ONNX Runtime flattens them itself, so that even the
 * rounding is the same. The last size of x must be K, and what comes out must have the sizes of x up to its last; one
 * of them may be open, since the number of rows is the same.
 */
export const unflattenMatmul = definePass({
  name: 'unflatten-matmul',
  doc: 'Reshape(MatMul(Reshape(x), W)) → MatMul(x, W): a product by a matrix takes rows in any arrangement',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      for (const product of graph.nodes()) {
        const [rows, matrix] = product.inputs;
        const flatten = rows?.producer;
        const output = product.outputs[0];
        if (!product.is('MatMul') || !isReshape(flatten) || matrix?.shape?.length !== 2) continue;
        const arrange = output!.uses[0]?.node;
        if (output!.uses.length !== 1 || output!.isOutput || !isReshape(arrange) || arrange.graph !== graph)
          continue;
        const source = flatten.inputs[0]!;
        if (!sameRows(source, rows!, matrix, arrange.outputs[0]!)) {
          decline('the rows may be arranged differently before and after', product);
          continue;
        }
        changed('rows are no longer flattened', product);
        setInput(product, 0, source);
        setType(output!, arrange.outputs[0]!.type);
        replaceAllUses(arrange.outputs[0]!, output!);
        removeNode(arrange);
      }
    }
  },
});

const isReshape = (node: Node | undefined): node is Node =>
  node?.is('Reshape') === true && !readsFunctionAttributes(node);

/** True when each row of `source` is a row of `rows`, and its product stands at the same place of `result`. */
function sameRows(source: Value, rows: Value, matrix: Value, result: Value): boolean {
  const [before, flat, after] = [source.shape, rows.shape, result.shape];
  const [inner, columns] = matrix.shape!;
  if (before === undefined || flat?.length !== 2 || after?.length !== before.length || before.length < 2)
    return false;
  const last = before.length - 1;
  if (typeof inner !== 'number' || inner <= 0 || typeof columns !== 'number' || columns <= 0) return false;
  if (before[last] !== inner || flat[1] !== inner || after[last] !== columns) return false;
  const leading = before.slice(0, last);
  const open = leading.filter((dim, axis) => !sameDim(dim, after[axis]));
  return open.length === 0 || (open.length === 1 && leading.every((dim) => dim !== 0));
}
