/** A part of a model as a model of its own. */
import { cloneModel } from '../ir/clone.js';
import {
  addInput,
  freshName,
  removeInitializer,
  removeInput,
  removeNode,
  replaceAllUses,
  setConstant,
  setGraphOutputs,
} from '../ir/edit.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Segment } from './block-cuts.js';

/** A block with its ports. Other inputs are the whole model's: what masks and positions are made of. */
export interface BlockModel {
  readonly model: Model;
  /** Input for what the block before left; absent in the first. */
  readonly from?: string;
  readonly to: string;
  /** Inputs of the whole model that it reads. */
  readonly beside: readonly string[];
}

/**
 * The nodes between two cuts, constants shared with the whole.
 * @param constants what stands in the place of initializers, by name
 */
export function blockModel(
  whole: Model,
  { from, to }: Pick<Segment, 'from' | 'to'>,
  constants: ReadonlyMap<string, Tensor> = new Map(),
): BlockModel {
  const { model, values } = cloneModel(whole);
  const { graph } = model;
  const end = values.get(to)!;
  setGraphOutputs(graph, [end]);
  let begin: string | undefined;
  if (from !== undefined) {
    const input = addInput(graph, freshName(graph, 'block/from'), from.type);
    replaceAllUses(values.get(from)!, input);
    begin = input.name;
  }
  for (const node of graph.nodesBackwards()) {
    if (node.outputs.every((output) => output.uses.length === 0 && !output.isOutput)) removeNode(node);
  }
  for (const value of [...graph.initializers]) {
    if (value.uses.length === 0 && !value.isInput && !value.isOutput) removeInitializer(value);
    else if (constants.has(value.name)) setConstant(value, constants.get(value.name)!);
  }
  for (const input of [...graph.inputs]) if (input.uses.length === 0) removeInput(input);
  const beside = graph.inputs.filter(({ name, constant }) => name !== begin && constant === undefined);
  return {
    model,
    ...(begin !== undefined && { from: begin }),
    to: end.name,
    beside: beside.map(({ name }) => name),
  };
}

/** A model of one input that answers with it: the teacher of a block whose answers are known. */
export function answering(block: BlockModel, name: string): Model {
  const { model } = cloneModel(block.model);
  const { graph } = model;
  const { type } = graph.outputs[0]!;
  const input = addInput(graph, name, type);
  setGraphOutputs(graph, [input]);
  for (const node of graph.nodesBackwards()) removeNode(node);
  for (const value of [...graph.initializers]) if (!value.isInput) removeInitializer(value);
  for (const other of [...graph.inputs]) if (other !== input) removeInput(other);
  return model;
}
