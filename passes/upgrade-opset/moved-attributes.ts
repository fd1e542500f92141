/** Attributes that a later version takes as inputs. */
import { type Node, setAttribute, setInput, setInputs, Tensor } from '../../src/index.js';
import { constant, intsToInput, SCALAR_DTYPES } from './operands.js';
import { type Adapter, boundByCaller, together } from './step.js';

/** Reduce operators (13 or 18) and Squeeze 13: no axes, or an empty list, stay «all axes», which the new default says. */
export const axesInput = intsToInput('axes', 1, { emptyIsNone: true });
export const requiredAxesInput = intsToInput('axes', 1);

/** Slice 10. Steps stay 1. */
export const sliceInputs = together(intsToInput('starts', 1), intsToInput('ends', 2), intsToInput('axes', 3));

/** Split 13: the lengths become an input. */
export const splitInput = intsToInput('split', 1);

/** Split 18: equal parts must say how many; up to 17 the number of outputs said it. */
export const splitCount: Adapter = {
  apply(node) {
    if (node.inputs[1] === undefined) setAttribute(node, 'num_outputs', node.outputs.length);
  },
};

/** TopK 10: k becomes a vector of one element. */
export const topKInput = intsToInput('k', 1);

/** DFT 20: the axis becomes a scalar input, and its default moves from 1 to −2. */
export const dftAxis: Adapter = {
  refuse: (node) => boundByCaller(node, 'axis'),
  apply(node, scope) {
    const axis = Tensor.ints([node.int('axis', 1)], []);
    setAttribute(node, 'axis', undefined);
    setInput(node, 2, constant(node, scope, axis, 'axis'));
  },
};

/** Reshape 5: the shape becomes an input. */
export const reshapeInput = intsToInput('shape', 1);

const unknownDType = (node: Node) =>
  SCALAR_DTYPES.has(node.inputs[0]?.dtype)
    ? undefined
    : `the element type of its input is ${node.inputs[0]?.dtype ?? 'unknown'}`;

const LARGEST_FLOAT = 3.4028234663852886e38;

/**
 * Clip 11: the limits become scalar inputs of the data's type. Absent ones mean the largest finite float up to 10 and
 * the largest finite value of the type after, which differ for double alone.
 */
export const clipInputs: Adapter = {
  refuse: (node) => boundByCaller(node, 'min', 'max') ?? unknownDType(node),
  apply(node, scope) {
    const dtype = node.inputs[0]!.dtype!;
    const otherwise = dtype === 'double' ? LARGEST_FLOAT : undefined;
    const min = node.float('min') ?? (otherwise && -otherwise);
    const max = node.float('max') ?? otherwise;
    setAttribute(node, 'min', undefined);
    setAttribute(node, 'max', undefined);
    const inputs = [node.inputs[0]];
    if (min !== undefined) inputs[1] = constant(node, scope, Tensor.scalar(min, dtype), 'min');
    if (max !== undefined) inputs[2] = constant(node, scope, Tensor.scalar(max, dtype), 'max');
    setInputs(node, Array.from(inputs));
  },
};

/** Pad 11: pads and the fill value become inputs; a fill of zero is the default. */
export const padInputs = together(intsToInput('pads', 1), {
  refuse: (node) =>
    boundByCaller(node, 'value', 'mode') ?? (node.float('value', 0) === 0 ? undefined : unknownDType(node)),
  apply(node, scope) {
    const fill = node.float('value', 0);
    setAttribute(node, 'value', undefined);
    if (fill === 0 || node.string('mode', 'constant') !== 'constant') return;
    setInput(node, 2, constant(node, scope, Tensor.scalar(fill, node.inputs[0]!.dtype!), 'value'));
  },
});

/** Dropout 12: the ratio becomes an input; without the training input the node stays a copy. */
export const dropoutRatio: Adapter = {
  refuse: (node) => boundByCaller(node, 'ratio'),
  apply(node, scope) {
    const ratio = node.float('ratio');
    setAttribute(node, 'ratio', undefined);
    if (ratio !== undefined) setInput(node, 1, constant(node, scope, Tensor.floats([ratio], []), 'ratio'));
  },
};
