import type { AttributeInput } from '../../src/ir/attribute.js';
import {
  addGraphOutput,
  addInitializer,
  addInput,
  createNode,
  renameValue,
  setType,
} from '../../src/ir/edit.js';
import { Graph, Model, type Value } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { type Dim, tensorType } from '../../src/ir/type.js';

/** A model being written node by node, named as exporters name: values after the node that makes them. */
export class Draft {
  readonly #graph: Graph;

  constructor(name: string) {
    this.#graph = new Graph(name);
  }

  input(name: string, shape: readonly Dim[]): Value {
    return addInput(this.#graph, name, tensorType('float', shape));
  }

  /** A trained parameter. */
  weight(name: string, data: Float32Array, shape: readonly number[]): Value {
    return addInitializer(this.#graph, Tensor.of('float', shape, data), name);
  }

  /** A constant as PyTorch writes it: a node of its own. */
  constant(path: string, tensor: Tensor): Value {
    return this.node('Constant', path, [], { value: tensor });
  }

  /** Applies an operator; `path` names the node, and its output `path_output_0`. */
  node(
    opType: string,
    path: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, AttributeInput>> = {},
  ): Value {
    const node = createNode(
      { endOf: this.#graph },
      { opType, name: path, inputs, attributes, outputs: [`${path}_output_0`] },
    );
    return node.outputs[0]!;
  }

  /** The finished model, with one output under this name. */
  finish(output: Value, name: string, shape: readonly Dim[], opset: number): Model {
    renameValue(output, name);
    setType(output, tensorType('float', shape));
    addGraphOutput(this.#graph, output);
    const model = new Model(this.#graph, { irVersion: 8, opsets: new Map([['', opset]]) });
    model.producerName = 'quantc models';
    return model;
  }
}
