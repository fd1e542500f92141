/**
 * What 8 bits of activations are known not to hold, whatever the model: places where they lose the answer, and where 16
 * cost next to nothing, for they are narrow or few. A profile of 8 bits keeps these in 16, and says of each why.
 */
import type { Node, Value } from '../ir/graph.js';
import { isStatistic } from './statistics.js';

type Test = (node: Node) => boolean;
const readers = (node: Node): readonly Node[] => node.outputs[0]?.uses.map((use) => use.node) ?? [];
const makers = (node: Node): readonly Node[] => node.inputs.flatMap((input) => input?.producer ?? []);

/** Why the activations of a node need 16 bits; undefined where 8 may do. */
export function beyondEightBits(node: Node): string | undefined {
  if (isStatistic(node) && !node.is('Log'))
    return 'a statistic of a norm: 8 bits cannot hold squares and their roots';
  if (node.is('Log') || leadsToLog(node))
    return 'a logarithm: 8 bits cannot hold what is quiet beside what is loud';
  if (isNormalized(node)) return 'a norm divides it: where it is small everywhere, 8 bits are few';
  if (besideCube(node)) return 'a cube in front of a Tanh: 8 bits cannot hold it beside what it was made of';
  if (isDepthwise(node)) return 'a depthwise convolution: it sums few products, whose errors do not even out';
  if (isScore(node)) return 'it makes the scores that are the answer: 8 bits would make close ones equal';
  return undefined;
}

/** A difference that a norm in pieces divides by its root. */
const isNormalized = (node: Node): boolean =>
  node.is('Sub') && readers(node).some((each) => (each.is('Mul') || each.is('Div')) && isStatistic(each));

/** What carries small values on as small ones. */
const CARRIES =
  /^(Abs|Add|Clip|Concat|MatMul|Max|Min|Mul|Pow|ReduceSum|Reshape|Slice|Sqrt|Squeeze|Sub|Transpose|Unsqueeze)$/;
/** From an audio signal to the logarithm of its spectrogram. */
const TO_LOG = 24;

/**
 * A logarithm follows behind what carries small values on: the head of an audio model, where what is quiet counts as much
 * as what is loud.
 */
export function leadsToLog(node: Node): boolean {
  const carries = (each: Node): boolean => each.domain === '' && CARRIES.test(each.opType);
  return carries(node) && follows(node, TO_LOG, (each) => each.is('Log'), carries);
}

/** Every output channel reads one input channel. Without weights of 16 bits, which want a constant bias, little is won. */
const isDepthwise = (node: Node): boolean =>
  node.is('Conv') &&
  node.int('group', 1) > 1 &&
  node.inputs[1]?.constant?.shape[1] === 1 &&
  node.inputs[2]?.isConstant === true;

const ELEMENTWISE = /^(Add|Div|Mul|Pow|Sub)$/;
/** From the square to Tanh, and from there to the product with x. */
const TO_TANH = 5;
const FROM_TANH = 3;

/** GELU in pieces: x + 0.0447 x³, its Tanh, and what is made of that. */
function besideCube(node: Node): boolean {
  const elementwise = (each: Node): boolean => ELEMENTWISE.test(each.opType);
  if (node.is('Tanh')) return hasCube(node);
  if (!elementwise(node)) return false;
  const found = (each: Node): boolean => each.is('Tanh') && hasCube(each);
  return follows(node, TO_TANH, found, elementwise) || precedes(node, FROM_TANH, found, elementwise);
}

const hasCube = (tanh: Node): boolean =>
  precedes(
    tanh,
    TO_TANH,
    (each) => each.is('Pow') || isSquare(each),
    (each) => ELEMENTWISE.test(each.opType),
  );

/** x · x, or x · (c · x). */
function isSquare(node: Node): boolean {
  const [a, b] = node.inputs;
  return (
    node.is('Mul') && (a === b || a!.producer?.inputs.includes(b) || b!.producer?.inputs.includes(a)) === true
  );
}

const PRODUCT = /^(Conv|ConvTranspose|Gemm|MatMul)$/;
/** What stands between the last features of an image and the product that scores them. */
const POOLS = /^(AveragePool|Flatten|GlobalAveragePool|ReduceMean|Reshape|Squeeze|Transpose|Unsqueeze)$/;
const WIDEST = 32;
/** A row of scores has no more elements than these, nor does what makes them. */
const SCORES = 4096;
/** From the product to what leaves, as a Softmax in pieces. */
const TO_END = 12;

/** The last product in front of a row of scores, all that stands behind it, and the pooling whose means it multiplies. */
function isScore(node: Node): boolean {
  if (!isShort(node) || isRounding(node) || precedes(node, TO_END, isRounding, behind)) return false;
  if (endsInScores(node)) return true;
  if (!POOLS.test(node.opType)) return false;
  const last = (each: Node): boolean => PRODUCT.test(each.opType) && isShort(each) && endsInScores(each);
  return follows(node, TO_END, last, (each) => POOLS.test(each.opType));
}

const behind = (each: Node): boolean => !PRODUCT.test(each.opType) && !isRounding(each);
/** Somebody quantized the model before, and chose the bits. */
const isRounding = (node: Node): boolean => /^(Round|QuantizeLinear|DequantizeLinear)$/.test(node.opType);

function endsInScores(node: Node): boolean {
  const leaves = (each: Node): boolean => each.outputs.some((output) => output?.isOutput && isRow(output));
  return leaves(node) || follows(node, TO_END, (each) => behind(each) && leaves(each), behind);
}

const isShort = (node: Node): boolean => (node.outputs[0] ? sizeOf(node.outputs[0]) : Infinity) <= SCORES;
/** Scores lie side by side, and nowhere in space. */
const isRow = (value: Value): boolean =>
  value.dtype === 'float' && (value.shape?.filter((size) => size !== 1).length ?? Infinity) <= 1;

const sizeOf = ({ shape }: Value): number =>
  shape?.reduce<number>((size, dim) => size * (typeof dim === 'number' ? dim : 1), 1) ?? Infinity;

/**
 * Among the nodes behind, one is what is looked for; what branches widely is none of this.
 * @param through the nodes that are passed on the way
 */
const follows = (from: Node, steps: number, found: Test, through: Test): boolean =>
  reaches(from, steps, found, through, readers);
const precedes = (from: Node, steps: number, found: Test, through: Test): boolean =>
  reaches(from, steps, found, through, makers);

function reaches(
  from: Node,
  steps: number,
  found: Test,
  through: Test,
  next: (node: Node) => readonly Node[],
): boolean {
  let reached = new Set([from]);
  for (let step = 0; step < steps && reached.size > 0 && reached.size < WIDEST; step++) {
    const following = new Set([...reached].flatMap(next));
    for (const node of following) {
      if (found(node)) return true;
      if (!through(node)) following.delete(node);
    }
    reached = following;
  }
  return false;
}
