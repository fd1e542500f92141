import {
  type AttributeInput,
  addConstant,
  createNode,
  type DType,
  type Model,
  type Node,
  Tensor,
  type Type,
  type Value,
} from '../../src/index.js';

/** Puts nodes before another one, for passes that write more than a pattern's replacement. */
export class Emitter {
  readonly #integers = new Map<string, Value>();

  constructor(
    readonly model: Model,
    readonly before: Node,
  ) {}

  /** A new node's first output. Constants given become initializers. */
  op(
    opType: string,
    inputs: readonly (Value | Tensor | undefined)[],
    attributes: Readonly<Record<string, AttributeInput | undefined>> = {},
    type?: Type,
  ): Value {
    return this.ops(opType, inputs, attributes, 1, type)[0]!;
  }

  /** A new node's outputs, `count` of them. */
  ops(
    opType: string,
    inputs: readonly (Value | Tensor | undefined)[],
    attributes: Readonly<Record<string, AttributeInput | undefined>>,
    count: number,
    type?: Type,
  ): readonly Value[] {
    const { name } = this.before.outputs.find((output) => !output.isOmitted) ?? { name: '' };
    const wish = `${name}_${opType.toLowerCase()}`;
    const stated = Object.entries(attributes).filter(([, value]) => value !== undefined);
    return createNode(
      { before: this.before },
      {
        opType,
        inputs: inputs.map((input) => (input instanceof Tensor ? this.constant(input) : input)),
        attributes: Object.fromEntries(stated) as Record<string, AttributeInput>,
        outputs: Array.from({ length: count }, () => ({ name: wish, ...(type && { type }) })),
      },
    ).outputs;
  }

  /** A constant of the graph. */
  constant(tensor: Tensor, name?: string): Value {
    return addConstant(this.model, this.before.graph, tensor, name);
  }

  /** A vector of int64; equal ones are one. */
  ints(numbers: readonly number[]): Value {
    const key = numbers.join();
    const known = this.#integers.get(key) ?? this.constant(Tensor.ints(numbers));
    this.#integers.set(key, known);
    return known;
  }

  scalar(number: number, dtype: DType): Value {
    return this.constant(Tensor.scalar(number, dtype));
  }
}
