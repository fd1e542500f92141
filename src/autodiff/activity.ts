/** Which values a gradient can flow to: everything else is constant to the backward graph. */
import { isFloat } from '../ir/dtype.js';
import { valuesRead } from '../ir/edit.js';
import type { Graph, Value } from '../ir/graph.js';

/**
 * Operators whose outputs move in steps, or tell of shapes alone: the gradient is zero wherever it is defined, so it is
 * not followed. (Round is not among them: it is straight-through.)
 */
const STEPS = new Set(
  (
    'Shape Size Floor Ceil Sign ArgMax ArgMin NonZero IsNaN IsInf Equal Greater GreaterOrEqual Less LessOrEqual And Or ' +
    'Not Xor OneHot EyeLike ConstantOfShape Constant Range RandomNormalLike RandomUniformLike Hardmax QuantizeLinear'
  ).split(' '),
);

/** Inputs that an operator reads for their numbers alone: sizes, axes, places. */
const SELECTORS: Readonly<Record<string, readonly number[]>> = {
  Reshape: [1],
  Expand: [1],
  Resize: [1, 2, 3],
  Dropout: [1, 2],
};

/** True when an output can carry a gradient: floats of any width, and what nobody has typed. */
const carries = (value: Value): boolean => value.dtype === undefined || isFloat(value.dtype);

/**
 * The values of a sorted graph that depend on `wrt` by a way along which gradients flow: through floats, and not through
 * shapes, comparisons and steps.
 */
export function dependents(graph: Graph, wrt: Iterable<Value>): Set<Value> {
  const active = new Set(wrt);
  for (const node of graph.nodes()) {
    if (node.domain === '' && STEPS.has(node.opType)) continue;
    const skipped = node.domain === '' ? (SELECTORS[node.opType] ?? []) : [];
    const reads =
      node.inputs.some((input, index) => input && active.has(input) && !skipped.includes(index)) ||
      (node.subgraphs.length > 0 && [...valuesRead(node)].some((value) => active.has(value)));
    if (!reads) continue;
    for (const output of node.outputs) if (!output.isOmitted && carries(output)) active.add(output);
  }
  return active;
}
