/** The layers between attentions: up, an activation, perhaps times a gate, and down again. */
import type { Graph, Node, Value } from '../ir/graph.js';
import { columnsAlong, type Projection, productOf, projectionAbove } from './projection.js';

/** One feed-forward layer. */
export interface FeedForward {
  /** The product whose activation multiplies the other; absent where there is no gate. */
  readonly gate: Projection | undefined;
  readonly up: Projection;
  readonly down: Projection;
  readonly activation: string;
}

const ACTIVATIONS =
  /^(Gelu|FastGelu|BiasGelu|QuickGelu|Relu|Sigmoid|Tanh|Elu|LeakyRelu|HardSwish|HardSigmoid|Softplus|Mish|Erf|Celu|Selu|Softsign)$/;
const ON_THE_WAY =
  /^(Mul|Add|Sub|Div|Pow|Cast|Identity|Reshape|Squeeze|Unsqueeze|Transpose|QuantizeLinear|DequantizeLinear|DynamicQuantizeLinear|Split|Slice)$/;

/** Every feed-forward layer of a graph. @param taken products that have another role */
export function feedForwardsOf(graph: Graph, taken: ReadonlySet<Node | undefined>): FeedForward[] {
  const found: FeedForward[] = [];
  for (const down of graph.nodes()) {
    const product = productOf(down);
    if (product === undefined || taken.has(down) || !isResidual(down)) continue;
    const layer = layerAbove(product.data);
    if (layer === undefined || taken.has(layer.up.node)) continue;
    found.push({ ...layer, down: { node: down } });
  }
  return found;
}

/** True where the result is added to something that is no constant, perhaps after a bias, or normalized at once. */
function isResidual(down: Node): boolean {
  let at: Value = down.outputs[0]!;
  for (let steps = 0; steps < 5; steps++) {
    for (const { node } of at.uses) {
      if (/^Skip/.test(node.opType)) return true;
      if (node.is('Add') && node.inputs.every((input) => input !== undefined && !isConstantLike(input)))
        return true;
    }
    const next = at.uses.find(({ node }) =>
      /^(Add|Reshape|Cast|Identity|Mul|Transpose|Squeeze|Unsqueeze|QuantizeLinear|DequantizeLinear)$/.test(
        node.opType,
      ),
    );
    if (next === undefined) return false;
    at = next.node.outputs[0]!;
  }
  return false;
}

const isConstantLike = (value: Value): boolean =>
  value.constant !== undefined || value.producer?.is('Constant') === true;

/** Walks up from the data of a product to the activation, and through it to the products before. */
function layerAbove(data: Value): Omit<FeedForward, 'down'> | undefined {
  const products = new Map<Node, { gated: boolean; value: Value }>();
  let activation: string | undefined;
  const queue: { at: Value; behind: boolean; depth: number }[] = [{ at: data, behind: false, depth: 0 }];
  const seen = new Set<string>();
  for (const { at, behind, depth } of queue) {
    const node = at.producer;
    const key = `${at.name}/${behind}`;
    if (node === undefined || depth > 14 || seen.has(key)) continue;
    seen.add(key);
    if (productOf(node) !== undefined) {
      const known = products.get(node);
      products.set(node, { gated: behind || known?.gated === true, value: at });
      continue;
    }
    const activates = ACTIVATIONS.test(node.opType);
    if (!activates && !ON_THE_WAY.test(node.opType)) continue;
    if (activates)
      activation =
        node.opType === 'Sigmoid' && activation === undefined ? 'Silu' : (activation ?? node.opType);
    for (const input of node.inputs) {
      if (input !== undefined && !isConstantLike(input))
        queue.push({ at: input, behind: behind || activates, depth: depth + 1 });
    }
  }
  if (activation === undefined) return undefined;
  const gated = [...products].filter(([, { gated }]) => gated).map(([node]) => node);
  const plain = [...products].filter(([, { gated }]) => !gated).map(([node]) => node);
  if (gated.length === 1 && plain.length === 1 && productOf(gated[0]!)!.data === productOf(plain[0]!)!.data)
    return { gate: { node: gated[0]! }, up: { node: plain[0]! }, activation };
  if (gated.length !== 1 || plain.length > 0) return undefined;
  return packed(data, gated[0]!, activation) ?? { gate: undefined, up: { node: gated[0]! }, activation };
}

/** Gate and up in one product, cut apart: Mul(activation(part), other part). */
function packed(data: Value, product: Node, activation: string): Omit<FeedForward, 'down'> | undefined {
  const mul = data.producer;
  if (!mul?.is('Mul')) return undefined;
  const parts = mul.inputs.map((input) => partOf(input!, product));
  const [one, other] = parts;
  if (one?.columns === undefined || other?.columns === undefined || one.columns[0] === other.columns[0])
    return undefined;
  const activated = (at: number): boolean =>
    ACTIVATIONS.test(mul.inputs[at]!.producer?.opType ?? '') || mul.inputs[at]!.producer?.is('Mul') === true;
  const [gate, up] = activated(0) ? [one, other] : [other, one];
  return { gate, up, activation };
}

function partOf(value: Value, product: Node): Projection | undefined {
  const seen = new Set<Value>();
  let at = value;
  for (let steps = 0; steps < 6 && !seen.has(at); steps++) {
    seen.add(at);
    const up = projectionAbove(at);
    if (up?.node === product) return { node: product, ...columnsAlong(up) };
    const next = at.producer?.inputs[0];
    if (next === undefined) return undefined;
    at = next;
  }
  return undefined;
}
