import { createNode, setAttribute, setInput, setType, tensorType } from '../../src/index.js';
import { insertAfter, rankOf, shapeOf } from './operands.js';
import { type Adapter, boundByCaller } from './step.js';

/**
 * Softmax, LogSoftmax and Hardmax up to 12 see [d0·…·d(axis−1), d(axis)·…] as a matrix and work on its rows; from 13
 * on they work along one axis. Both say the same when all dimensions behind `axis` are 1, or none is there; else the
 * node is put between Flatten and Reshape, which needs no known rank.
 */
export const flattenedRows: Adapter = {
  refuse: (node) => boundByCaller(node, 'axis'),
  apply(node, scope) {
    const input = node.inputs[0]!;
    const rank = rankOf(input);
    const given = node.int('axis', 1);
    const axis = given < 0 && rank !== undefined ? given + rank : given;
    const behind = axis < 0 ? undefined : input.shape?.slice(axis + 1);
    if (given === -1 || behind?.length === 0) {
      setAttribute(node, 'axis', -1);
      return;
    }
    if (behind?.every((dim) => dim === 1)) {
      setAttribute(node, 'axis', axis);
      return;
    }
    const matrix = input.dtype && tensorType(input.dtype, [null, null]);
    const flat = createNode(
      { before: node },
      {
        opType: 'Flatten',
        inputs: [input],
        attributes: { axis },
        outputs: [{ name: `${input.name}_rows`, type: matrix }],
      },
    );
    const shape = shapeOf(input, node, scope);
    setInput(node, 0, flat.outputs[0]);
    setAttribute(node, 'axis', -1);
    const output = node.outputs[0]!;
    insertAfter(node, output, { opType: 'Reshape' }, [shape]);
    setType(output, matrix);
  },
};
