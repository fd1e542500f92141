/** What kind of model a model is, told by its structure alone: which precision and which method serve it hangs on that. */
import { constantOf } from './ir/constant.js';
import type { Model, Node, Value } from './ir/graph.js';
import type { Tensor } from './ir/tensor.js';
import { type Roles, rolesOf } from './transformer/roles.js';

/**
 * - `convolutional`: at least half of its multiply-adds with weights are convolutions', whatever else it has.
 * - `language-model`: attention, a table of words, and a product that gives a number a word.
 * - `transformer`: attention without such a head: encoders of text, sound and pictures.
 * - `recurrent`: LSTM, GRU or RNN.
 * - `plain`: products alone, or nothing with weights.
 */
export type ModelKind = 'convolutional' | 'language-model' | 'transformer' | 'recurrent' | 'plain';

export interface KindFacts {
  readonly kind: ModelKind;
  /** Share of the multiply-adds with weights that are convolutions', 0 to 1. */
  readonly convolutions: number;
  /** Elements of the weights that products read, each node's own. */
  readonly productWeights: number;
}

/** @param model as it was read: sizes that it does not tell count as one, on all sides alike */
export function kindOf(model: Model): KindFacts {
  const macs = { convolution: 0, product: 0, recurrent: 0 };
  let productWeights = 0;
  const roles: Roles[] = [];
  for (const graph of model.graphs()) {
    roles.push(rolesOf(graph));
    for (const node of graph.nodes()) {
      const kind = weightKind(node);
      if (kind === undefined) continue;
      const [count, uses] = [weightsOf(node, kind), usesOf(node, kind)];
      macs[kind] += count * uses;
      if (kind === 'product') productWeights += count;
    }
  }
  const all = macs.convolution + macs.product + macs.recurrent;
  const convolutions = all === 0 ? 0 : macs.convolution / all;
  return { kind: kindBy(convolutions, macs.recurrent, roles), convolutions, productWeights };
}

function kindBy(convolutions: number, recurrent: number, roles: readonly Roles[]): ModelKind {
  if (convolutions >= 0.5) return 'convolutional';
  if (roles.some(({ attentions }) => attentions.length > 0))
    return roles.some(({ head }) => head !== undefined) ? 'language-model' : 'transformer';
  return recurrent > 0 ? 'recurrent' : 'plain';
}

type WeightKind = 'convolution' | 'product' | 'recurrent';

function weightKind(node: Node): WeightKind | undefined {
  if (['Conv', 'ConvTranspose'].some((op) => node.is(op))) return 'convolution';
  if (['MatMul', 'Gemm'].some((op) => node.is(op))) return 'product';
  return ['LSTM', 'GRU', 'RNN'].some((op) => node.is(op)) ? 'recurrent' : undefined;
}

/** Either side of a product may be the weight; recurrent operators have two. */
function weightsOf({ inputs }: Node, kind: WeightKind): number {
  const count = (at: number): number => weightAt(inputs[at])?.count ?? 0;
  return kind === 'recurrent' ? count(1) + count(2) : count(1) || (kind === 'product' ? count(0) : 0);
}

/** A weight as it is, or behind the DequantizeLinear of a model that came quantized. */
function weightAt(value: Value | undefined): Tensor | undefined {
  const stored = value?.producer?.is('DequantizeLinear') ? value.producer.inputs[0] : value;
  // A default of an input is a weight too: old exporters write all of theirs so.
  return stored?.constant ?? constantOf(stored);
}

/** How often each weight is used in one inference: positions of a convolution, rows of a product. */
function usesOf(node: Node, kind: WeightKind): number {
  const shape = (node.is('ConvTranspose') ? node.inputs[0] : node.outputs[0])?.shape ?? [];
  const rows = kind === 'convolution' ? shape.slice(2) : kind === 'product' ? shape.slice(0, -1) : [];
  return rows.reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);
}
