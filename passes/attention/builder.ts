import {
  type AttributeInput,
  addConstant,
  createNode,
  type Model,
  type Node,
  Tensor,
  type Value,
} from '../../src/index.js';

/** Makes nodes before another one, and each constant once a graph. */
export class Builder {
  readonly model: Model;
  readonly #constants: Map<string, Value>;
  before: Node;
  constructor(model: Model, before: Node, constants = new Map<string, Value>()) {
    this.model = model;
    this.before = before;
    this.#constants = constants;
  }

  /** The first output of a new node of ai.onnx. */
  op(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, AttributeInput | undefined>> = {},
    name?: string,
  ): Value {
    return this.make('', opType, inputs, attributes, [name ?? '']).outputs[0]!;
  }

  /** A new node of ONNX Runtime's own domain, which the model imports from then on. */
  contrib(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, AttributeInput | undefined>> = {},
    outputs: readonly (string | null)[] = [''],
  ): Node {
    if (!this.model.opsets.has('com.microsoft')) this.model.opsets.set('com.microsoft', 1);
    return this.make('com.microsoft', opType, inputs, attributes, outputs);
  }

  make(
    domain: string,
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, AttributeInput | undefined>>,
    outputs: readonly (string | null)[],
  ): Node {
    const given = [...inputs];
    while (given.length > 0 && given.at(-1) === undefined) given.pop();
    return createNode({ before: this.before }, { opType, domain, inputs: given, attributes, outputs });
  }

  /** A constant under a key; the same key gives the same value. */
  constant(key: string, make: () => Tensor): Value {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const value = addConstant(this.model, this.before.graph, make(), key.split('/')[0]);
    this.#constants.set(key, value);
    return value;
  }

  ints(name: string, ...numbers: number[]): Value {
    return this.constant(`${name}/${numbers}`, () => Tensor.ints(numbers));
  }
}
