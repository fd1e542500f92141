/** What the rules of several providers ask of a unit: sizes, constants, element types. Answers are reasons, or true. */
import {
  constantAtLoad,
  constantNumbers,
  constantOf,
  type DType,
  type Node,
  type NodeUnit,
  type ProviderRule,
  type Value,
} from '../src/index.js';

export type Check = ProviderRule['check'];

/** Rules of one provider: an id each below the provider's name, from the file of its source that they stand in. */
export const rulesOf =
  (provider: string, folder: string) =>
  (
    name: string,
    doc: string,
    file: string,
    check: Check,
    { ops, mend }: { readonly ops?: string; readonly mend?: string } = {},
  ): ProviderRule => ({
    id: `${provider}/${name}`,
    doc,
    source: `${folder}/${file}`,
    check,
    ...(ops !== undefined && { ops: ops.split(' ') }),
    ...(mend !== undefined && { mend }),
  });

/** All of them hold; otherwise the first reason. */
export const every =
  (...checks: readonly Check[]): Check =>
  (unit) => {
    for (const check of checks) {
      const answer = check(unit);
      if (answer !== true) return answer;
    }
    return true;
  };

/** What a provider sees at an input: the integers before a DequantizeLinear that belongs to the unit. */
export const seenAt = ({ node, dequantizes }: NodeUnit, index: number): Value | undefined =>
  dequantizes[index]?.inputs[0] ?? node.inputs[index];

/** What it sees at an output. */
export const seenFrom = ({ node, quantizes }: NodeUnit, index: number): Value | undefined =>
  quantizes[index]?.outputs[0] ?? node.outputs[index];

/** True where the unit is one node between DequantizeLinear and QuantizeLinear. */
export const isQuantized = ({ dequantizes, quantizes }: NodeUnit): boolean =>
  dequantizes.some((each) => each !== undefined) && quantizes.some((each) => each !== undefined);

/** Sizes as numbers, where all are known. */
export const sizesOf = (value: Value | undefined): readonly number[] | undefined => {
  const shape = value?.shape ?? value?.constant?.shape;
  return shape?.every((dim): dim is number => typeof dim === 'number' && dim >= 0) ? shape : undefined;
};

const RANDOM = /^(Random|Bernoulli$|Multinomial$|Dropout$)/;

/**
 * True for constants, and for what ONNX Runtime makes constant while it loads the model, before any provider is asked:
 * int8 weights that are widened, scales that are multiplied. What dequantizes constants stays.
 */
export function isFixed(value: Value | undefined, depth = 16): boolean {
  if (value === undefined) return false;
  if (constantOf(value) !== undefined) return true;
  const node = value.producer;
  if (node === undefined || depth === 0 || node.inputs.length === 0 || node.subgraphs.length > 0)
    return false;
  if (node.is('DequantizeLinear') || node.is('QuantizeLinear') || RANDOM.test(node.opType)) return false;
  return node.inputs.every((input) => input === undefined || isFixed(input, depth - 1));
}

/** Every input has sizes that are numbers. */
export const staticInputs: Check = ({ node }) => {
  for (const input of node.inputs) {
    if (input === undefined || sizesOf(input) !== undefined) continue;
    const { shape } = input;
    return shape === undefined
      ? `the shape of ${input.name} is unknown`
      : `${input.name} is [${shape.map((dim) => dim ?? '?').join(', ')}]`;
  }
  return true;
};

/** No input has more axes than this. */
export const rankAtMost =
  (most: number): Check =>
  ({ node }) => {
    const deep = node.inputs.find((input) => (input?.shape?.length ?? 0) > most);
    return deep === undefined || `${deep.name} has ${deep.shape!.length} axes`;
  };

/** The first input has one of these ranks. */
export const dataRank =
  (...ranks: readonly number[]): Check =>
  ({ node }) => {
    const rank = node.inputs[0]?.shape?.length;
    return (
      (rank !== undefined && ranks.includes(rank)) || `its input has ${rank ?? 'an unknown number of'} axes`
    );
  };

/** An input, where there is one, is constant. */
export const fixedInput =
  (index: number, what: string): Check =>
  (unit) => {
    const { node } = unit;
    return node.inputs[index] === undefined || isFixed(seenAt(unit, index)) || `${what} is computed`;
  };

/** The same, where the session folds DequantizeLinear of constants, too. */
export const fixedAtLoad =
  (index: number, what: string): Check =>
  ({ node }) =>
    node.inputs[index] === undefined || constantAtLoad(node.inputs[index]) || `${what} is computed`;

/** What stands at an input, as its provider sees it, has one of these types. */
export const inputIs =
  (index: number, ...dtypes: readonly DType[]): Check =>
  (unit) => {
    const dtype = seenAt(unit, index)?.dtype;
    return (
      (dtype !== undefined && dtypes.includes(dtype)) || `input ${index} is ${dtype ?? 'of unknown type'}`
    );
  };

export const intIs =
  (name: string, wanted: number, otherwise = wanted): Check =>
  ({ node }) => {
    const actual = node.int(name, otherwise);
    return actual === wanted || `${name} is ${actual}`;
  };

export const floatIs =
  (name: string, wanted: number): Check =>
  ({ node }) => {
    const actual = node.float(name, wanted);
    return actual === wanted || `${name} is ${actual}`;
  };

export const stringIs =
  (name: string, otherwise: string, ...wanted: readonly string[]): Check =>
  ({ node }) => {
    const actual = node.string(name, otherwise);
    return wanted.includes(actual) || `${name} is ${actual}`;
  };

/** A list attribute that is absent, or the same number everywhere. */
export const intsAre =
  (name: string, wanted: number): Check =>
  ({ node }) => {
    const actual = node.ints(name);
    return actual === undefined || actual.every((each) => each === wanted) || `${name} is [${actual}]`;
  };

/** Only the first output is there. */
export const oneOutput: Check = ({ node }) =>
  node.outputs.slice(1).every((output) => output.isOmitted) || 'it has more than one output';

export const inputCount =
  (least: number, most = least): Check =>
  ({ node }) => {
    const { length } = node.inputs;
    return (length >= least && length <= most) || `it has ${length} inputs`;
  };

/** `kernel_shape`, where it is said, is that of the weight. */
export const kernelOfWeight: Check = (unit) => {
  const kernel = unit.node.ints('kernel_shape');
  const weight = seenAt(unit, 1)?.shape?.slice(2);
  if (kernel === undefined || weight === undefined) return true;
  return (
    String(kernel) === String(weight) || `kernel_shape is [${kernel}], and the weight is [${weight}] there`
  );
};

/** A constant's numbers. */
export const numbersAt = (node: Node, index: number): number[] | undefined =>
  constantNumbers(node.inputs[index]);

/** Where a scale below 1 gives a whole number of steps of a size: 0.5 of 10, not of 9. */
export const dividesSize = (size: number | undefined, scale: number): boolean => {
  if (size === undefined || scale <= 0) return false;
  const step = Math.round(1 / scale);
  return Math.abs(step * scale - 1) < 1e-6 && size % step === 0;
};

/** Smallest and largest value that a Clip lets through; undefined where one is computed. */
export function clipBounds(node: Node): { readonly min: number; readonly max: number } | undefined {
  const bound = (index: number, otherwise: number): number | undefined =>
    node.inputs[index] === undefined ? otherwise : numbersAt(node, index)?.[0];
  const min = bound(1, Number.NEGATIVE_INFINITY);
  const max = bound(2, Number.POSITIVE_INFINITY);
  return min === undefined || max === undefined ? undefined : { min, max };
}

/** Pads, the second input, are constant and cut nothing off. */
export const padsNothingOff: Check = ({ node }) => {
  const pads = numbersAt(node, 1);
  if (pads === undefined) return 'its pads are computed';
  const negative = pads.find((each) => each < 0);
  return negative === undefined || `it cuts off ${-negative}`;
};
