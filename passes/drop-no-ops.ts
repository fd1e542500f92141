import {
  addConstant,
  axisFromFront,
  constantNumbers,
  definePass,
  elementCount,
  isStatic,
  type Model,
  type Node,
  opsetOf,
  readsFunctionAttributes,
  removeNode,
  replaceAllUses,
  Tensor,
  type Value,
} from '../src/index.js';
import { arithmetic, signOfZeroIsFree } from './drop-no-ops/arithmetic.js';
import { isUnread, movement, reducedAxes } from './drop-no-ops/movement.js';
import { inputIf, type Rule, type Rules } from './drop-no-ops/rule.js';

/** A mask of trues is made only up to this many elements. */
const MASK_ELEMENTS = 1 << 20;

/** Dropout as it runs in inference: until opset 12 always, from then on unless told to train. */
const dropout: Rule = (node, opset) => {
  if (opset < 7) return inputIf(node, node.int('is_test', 0) === 1 && node.outputs.slice(1).every(isUnread));
  if (opset < 12) return inputIf(node, node.outputs.slice(1).every(isUnread));
  const training = node.inputs[2];
  const off = training === undefined || constantNumbers(training)?.every((flag) => flag === 0);
  const mask = node.outputs[1];
  const maskKnown =
    mask === undefined ||
    isUnread(mask) ||
    (isStatic(mask.shape) && elementCount(mask.shape) <= MASK_ELEMENTS);
  return inputIf(node, off && maskKnown);
};

const sameDtype: Rule = (node) => {
  const dtype = node.inputs[0]?.dtype;
  return inputIf(node, dtype !== undefined && dtype === node.outputs[0]!.dtype);
};

/**
 * A reduction over no axes that is told to do nothing then, or over axes of one element that it keeps. The sum, mean,
 * product, maximum and minimum of one element are the element (sums may turn −0 into +0).
 */
const reduce: Rule = (node, opset) => {
  const axes = reducedAxes(node, opset);
  const input = node.inputs[0];
  if (axes === undefined || input === undefined) return undefined;
  if (axes.length === 0 && node.int('noop_with_empty_axes', 0) === 1) return input;
  const { shape } = input;
  if (shape === undefined || node.int('keepdims', 1) === 0) return undefined;
  if ((node.opType === 'ReduceSum' || node.opType === 'ReduceMean') && !signOfZeroIsFree(node))
    return undefined;
  const over =
    axes.length === 0 ? shape.map((_, axis) => axis) : axes.map((axis) => axisFromFront(axis, shape.length));
  return inputIf(
    node,
    over.every((axis) => axis !== undefined && shape[axis] === 1),
  );
};

/** `SequenceAt(SequenceConstruct(a, b …), i)` is the i-th of them. */
const sequenceAt: Rule = (node) => {
  const made = node.inputs[0]?.producer;
  const [index] = constantNumbers(node.inputs[1]) ?? [];
  return made?.is('SequenceConstruct') && index !== undefined ? made.inputs.at(index) : undefined;
};

const rules: Rules = {
  ...arithmetic,
  ...movement,
  Identity: (node) => node.inputs[0],
  Dropout: dropout,
  Cast: sameDtype,
  CastLike: sameDtype,
  ReduceSum: reduce,
  ReduceMean: reduce,
  ReduceProd: reduce,
  ReduceMax: reduce,
  ReduceMin: reduce,
  SequenceAt: sequenceAt,
};

/**
 * `y = f(x)` where f gives back x → x itself.
 *
 * Covers Identity; Dropout in inference; Cast to the dtype at hand; Reshape, Flatten, Squeeze, Unsqueeze, Transpose,
 * Pad, Slice, Expand, Tile, Resize, Split, Concat and pools that move or change nothing; x·1, x/1, x¹, x−0, x∧true,
 * x∨false; Sum, Mean, Max, Min of one; Where whose condition is constant; ¬¬x, −−x; |·|, ⌈·⌉, ⌊·⌋ applied twice; Relu
 * of what is at least 0 or is cut again; reductions of nothing. Each rule proves that dtype, shape and every element
 * are those of x. x+0, and the mean of one, turn −0 into +0: they go only where x is an integer or never −0, or nobody
 * divides by the result. A node whose output leaves the graph stays as an Identity where x cannot leave in its place.
 */
export const dropNoOps = definePass({
  name: 'drop-no-ops',
  doc: 'y = f(x) with f(x) = x, element for element → x',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      const opset = opsetOf(model, graph);
      for (const node of graph.nodes()) {
        const rule = node.domain === '' ? rules[node.opType] : undefined;
        if (rule === undefined || node.outputs.length === 0) continue;
        if (readsFunctionAttributes(node)) {
          decline('its attributes are those of a function call', node);
          continue;
        }
        const equal = rule(node, opset);
        if (equal === undefined || !differs(node, equal)) continue;
        changed(`gives back ${equal.name}`, node);
        drop(model, node, equal);
      }
    }
  },
});

/** False for an Identity that does nothing but let a value leave its graph that cannot leave by itself. */
function differs(node: Node, equal: Value): boolean {
  const output = node.outputs[0]!;
  if (!node.is('Identity') || output.uses.length > 0 || !output.isOutput) return true;
  return equal.graph === output.graph && equal.producer !== undefined && !equal.isOutput;
}

function drop(model: Model, node: Node, equal: Value): void {
  const [output, mask] = node.outputs;
  replaceAllUses(output!, equal);
  if (node.is('Dropout') && mask !== undefined && !isUnread(mask) && isStatic(mask.shape)) {
    const trues = Tensor.of('bool', mask.shape, new Uint8Array(elementCount(mask.shape)).fill(1));
    replaceAllUses(mask, addConstant(model, node.graph, trues, mask.name));
  }
  if (!output!.isOutput) removeNode(node);
}
