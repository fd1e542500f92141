/** From the product of queries and keys to its Softmax: scale, masks and biases, in whatever order they were written. */
import { constantOf, scalarOf } from '../ir/constant.js';
import type { Node, Value } from '../ir/graph.js';

/** One node between the product and the Softmax; `input` is the one that the scores come in by. */
export interface ScoreStep {
  readonly node: Node;
  readonly input: number;
}

/** What is added to the scores before the Softmax. */
export type Bias =
  | { readonly kind: 'add'; readonly value: Value; readonly factor: number }
  /** Where the condition is `when`, the scores are replaced by `fill`. */
  | { readonly kind: 'where'; readonly condition: Value; readonly when: boolean; readonly fill: Value };

/** The way from the product to the Softmax. */
export interface Scores {
  /** The MatMul of queries and keys. */
  readonly product: Node;
  /** From the product to the Softmax. */
  readonly steps: readonly ScoreStep[];
  /** Factor of the product by all constants on the way. */
  readonly scale: number;
  readonly biases: readonly Bias[];
  /** c of c·tanh(scores/c). */
  readonly softcap: number | undefined;
  /** Something on the way that none of the above says; such scores are recognized but not rewritten. */
  readonly oddity: string | undefined;
}

const ELEMENTWISE = new Set(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min']);
const UNARY = new Set(['Cast', 'Identity', 'Dropout', 'Reshape', 'Unsqueeze', 'Squeeze', 'Tanh', 'Clip']);
const LONGEST = 16;

/** True for a MatMul of two values that both change from run to run. */
export const isActivationProduct = (node: Node | undefined): boolean =>
  node !== undefined &&
  (node.is('MatMul') || node.is('FusedMatMul', 'com.microsoft')) &&
  node.inputs.length >= 2 &&
  node.inputs.slice(0, 2).every((input) => input !== undefined && !isFixed(input));

/** True for constants and what is made from constants alone (dequantized, transposed weights). */
export function isFixed(value: Value, depth = 12): boolean {
  if (constantOf(value) !== undefined) return true;
  const node = value.producer;
  if (node === undefined || depth === 0 || node.inputs.length === 0 || node.subgraphs.length > 0)
    return false;
  return node.inputs.every((input) => input === undefined || isFixed(input, depth - 1));
}

/** Every way up to a product of activations, nearest first. */
function climbs(value: Value, below: readonly ScoreStep[]): { product: Node; steps: ScoreStep[] }[] {
  const node = value.producer;
  if (node === undefined || below.length > LONGEST) return [];
  if (isActivationProduct(node)) return [{ product: node, steps: [...below].reverse() }];
  const candidates = UNARY.has(node.opType)
    ? [0]
    : ELEMENTWISE.has(node.opType)
      ? [0, 1]
      : node.is('Where')
        ? [1, 2]
        : [];
  if (node.domain !== '') return [];
  return candidates
    .filter((input) => node.inputs[input] !== undefined)
    .flatMap((input) => climbs(node.inputs[input]!, [...below, { node, input }]))
    .sort((a, b) => a.steps.length - b.steps.length);
}

const scalarInput = (node: Node, index: number): number | undefined => {
  const tensor = constantOf(node.inputs[index]);
  return tensor && scalarOf(tensor);
};

/** Finds the scores behind a Softmax; undefined where none of its inputs comes from a product of activations. */
export function scoresOf(softmax: Node): Scores | undefined {
  const input = softmax.inputs[0];
  const ways = input === undefined ? [] : climbs(input, []);
  const [way] = ways;
  if (way === undefined) return undefined;
  const reading: Reading = { scale: 1, biases: [], softcap: undefined, oddity: undefined };
  if (ways.length > 1) reading.oddity = 'scores of two products are combined';
  way.steps.forEach((step, at) => {
    const oddity = read(step, way.steps, at, reading);
    if (oddity !== undefined) reading.oddity ??= oddity;
  });
  return { product: way.product, steps: way.steps, ...reading };
}

interface Reading {
  scale: number;
  biases: Bias[];
  softcap: number | undefined;
  oddity: string | undefined;
}

function read(
  { node, input }: ScoreStep,
  steps: readonly ScoreStep[],
  at: number,
  reading: Reading,
): string | undefined {
  const other = node.inputs[1 - input];
  switch (node.opType) {
    case 'Mul':
    case 'Div': {
      const factor = scalarInput(node, 1 - input);
      if (factor === undefined || (node.opType === 'Div' && input === 1))
        return `${node.label} scales scores by something that is no constant`;
      apply(reading, node.opType === 'Mul' ? factor : 1 / factor);
      return undefined;
    }
    case 'Add':
    case 'Sub':
      if (node.opType === 'Sub' && input === 1) return `${node.label} subtracts the scores`;
      if (reading.softcap === undefined && steps.slice(at).some((step) => step.node.is('Tanh')))
        return `${node.label} lies before a tanh`;
      reading.biases.push({ kind: 'add', value: other!, factor: node.opType === 'Add' ? 1 : -1 });
      return undefined;
    case 'Where':
      reading.biases.push({
        kind: 'where',
        condition: node.inputs[0]!,
        when: input === 2,
        fill: node.inputs[input === 1 ? 2 : 1]!,
      });
      return undefined;
    case 'Max':
    case 'Clip': {
      const least = scalarInput(node, node.opType === 'Clip' ? 1 : 1 - input);
      const harmless = least !== undefined && least <= -1e30 && node.inputs.length <= 2;
      return harmless ? undefined : `${node.label} bounds the scores`;
    }
    case 'Tanh': {
      // c·tanh(s/c): the factor before it is the scale over c, the one behind it is c.
      const behind = steps[at + 1];
      const c = behind?.node.is('Mul') ? scalarInput(behind.node, 1 - behind.input) : undefined;
      if (c === undefined || reading.biases.length > 0) return `${node.label} bends the scores`;
      reading.softcap = c;
      reading.scale *= c;
      return undefined;
    }
    case 'Cast':
      return ['float', 'float16', 'double'].includes(node.outputs[0]?.dtype ?? 'float')
        ? undefined
        : `${node.label} makes whole numbers of scores`;
    case 'Min':
      return `${node.label} bounds the scores`;
    default:
      return undefined;
  }
}

/** A constant factor behind what was read so far. The one behind a tanh is the cap itself, and told already. */
function apply(reading: Reading, factor: number): void {
  if (reading.softcap !== undefined && reading.softcap === factor && reading.biases.length === 0) return;
  if (reading.softcap !== undefined) reading.oddity ??= 'a factor behind a tanh';
  reading.scale *= factor;
  reading.biases = reading.biases.map((bias) =>
    bias.kind === 'add' ? { ...bias, factor: bias.factor * factor } : bias,
  );
}
