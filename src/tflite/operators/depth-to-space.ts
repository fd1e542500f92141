/** DepthToSpace and SpaceToDepth; the format parts channels as ONNX's mode DCR does. */
import type { Node } from '../../ir/graph.js';
import type { Emitter } from '../emitter.js';
import { isDequantize, isQuantize } from '../grid.js';
import { shapeOf } from '../refusal.js';
import type { Unit } from '../unit.js';
import type { Lowering } from './lowering.js';

/** For each channel as DCR wants it, the one of CRD: block row and column outermost instead of innermost. */
function reordered(node: Node): number[] {
  const block = node.int('blocksize', 1);
  const depth = shapeOf(node.outputs[0]!)[1]!;
  const order: number[] = [];
  for (let inBlock = 0; inBlock < block * block; inBlock++)
    for (let channel = 0; channel < depth; channel++) order.push(channel * block * block + inBlock);
  return order;
}

const needsOrder = (node: Node): boolean =>
  node.string('mode', 'DCR') === 'CRD' && shapeOf(node.outputs[0]!)[1]! > 1;

/** The convolution that alone gives what the node reads, through a pair of Q and DQ: it can give channels in any order. */
function giverOf(node: Node): Node | undefined {
  const through = (at: Node | undefined, is: (node: Node | undefined) => node is Node): Node | undefined => {
    const value = at?.inputs[0];
    return is(value?.producer) && value.uses.length === 1 && !value.isOutput ? value.producer : at;
  };
  const quantize = through(through(node, isDequantize), isQuantize);
  const value = quantize?.inputs[0];
  const giver = value?.producer;
  return giver?.is('Conv') && giver.int('group', 1) === 1 && value!.uses.length === 1 && !value!.isOutput
    ? giver
    : undefined;
}

/** The order in which a convolution shall give its channels, for the DepthToSpace that alone reads them. */
export function channelOrderBehind({ node, results }: Unit): readonly number[] | undefined {
  let value = results[0]!.value;
  if (value.uses.length === 1 && isDequantize(value.uses[0]!.node)) value = value.uses[0]!.node.outputs[0]!;
  const reader = value.uses[0]?.node;
  if (!reader?.is('DepthToSpace') || !needsOrder(reader) || giverOf(reader) !== node) return undefined;
  return reordered(reader);
}

function toSpace(unit: Unit, e: Emitter): void {
  const { node } = unit;
  let x = e.read(unit, 0, 'last');
  if (needsOrder(node) && giverOf(node) === undefined)
    x = e.apply('GATHER', [x, e.ints(reordered(node))], { axis: 3 }, x.shape, { name: 'reordered' });
  const options = { blockSize: node.int('blocksize', 1) };
  e.into(unit, 'last', (y) => e.operator('DEPTH_TO_SPACE', [x], options, [y]), { grid: x.grid });
}

function toDepth(unit: Unit, e: Emitter): void {
  const x = e.read(unit, 0, 'last');
  const options = { blockSize: unit.node.int('blocksize', 1) };
  e.into(unit, 'last', (y) => e.operator('SPACE_TO_DEPTH', [x], options, [y]), { grid: x.grid });
}

export const BLOCKS: Readonly<Record<string, Lowering>> = {
  DepthToSpace: { int8: true, layout: 'last', lower: toSpace },
  SpaceToDepth: { int8: true, layout: 'last', lower: toDepth },
};
