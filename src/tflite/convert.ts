/**
 * An ONNX graph, in float or with quantized values, → a TensorFlow Lite model. Channels lie last from the first
 * convolution on; where an operator needs ONNX's own order, a transposition stands before it.
 */
import { QuantcError } from '../errors/error.js';
import type { Graph, Model, Node, Value } from '../ir/graph.js';
import { Emitter, type Operand } from './emitter.js';
import { gridOf, isDequantize, isQuantize, isRealConstant } from './grid.js';
import { type Layout, laid } from './layout.js';
import type { TfModel, TfPort } from './model.js';
import { LOWERINGS } from './operators/index.js';
import { refuse, shapeOf } from './refusal.js';
import type { TensorTypeName } from './schema.js';
import { type Unit, unitOf } from './unit.js';

export interface ConvertOptions {
  /**
   * Order of dimensions of pictures that enter and leave: `last`, as mobile code has them, turns inputs and outputs of
   * four dimensions that lie so inside; `plain` keeps ONNX's order, with a transposition behind or before. Default `last`.
   */
  readonly ports?: Layout;
  /** Who made the file. */
  readonly description?: string;
}

/** An input or output, as its callers meet it. */
export interface ConvertedPort {
  readonly name: string;
  readonly layout: Layout;
  readonly shape: readonly number[];
}

export interface Converted {
  readonly model: TfModel;
  readonly inputs: readonly ConvertedPort[];
  readonly outputs: readonly ConvertedPort[];
}

const INPUTS: Readonly<Record<string, TensorTypeName>> = {
  float: 'float32',
  int32: 'int32',
  int64: 'int64',
  bool: 'bool',
};

/**
 * Converts the main graph. All shapes must be known: types inferred, no open dimension.
 * @throws QuantcError E_TFLITE_OP for a node without a form in the format, E_TFLITE_SHAPE for an open dimension,
 * E_TFLITE_TYPE for types that the format does not compute in
 */
export function convertToTflite(model: Model, options: ConvertOptions = {}): Converted {
  return new Conversion(model, options).run();
}

class Conversion {
  readonly #graph: Graph;
  readonly #options: ConvertOptions;
  readonly #e = new Emitter();
  readonly #done = new Set<Node>();

  constructor(model: Model, options: ConvertOptions) {
    this.#graph = model.graph;
    this.#options = options;
  }

  run(): Converted {
    const inputs = this.#graph.inputs.map((value) => this.#input(value));
    for (const node of this.#graph.nodes()) this.#node(node);
    const taken = new Set(inputs.map(({ port }) => port.tensor));
    const outputs = this.#graph.outputs.map((value) => this.#output(value, taken));
    const metadata = {
      quantc_layout: JSON.stringify({
        inputs: Object.fromEntries(
          inputs.map(({ name, layout }) => [name, layout === 'last' ? 'NHWC' : 'as in ONNX']),
        ),
        outputs: Object.fromEntries(
          outputs.map(({ name, layout }) => [name, layout === 'last' ? 'NHWC' : 'as in ONNX']),
        ),
      }),
    };
    return {
      model: {
        name: this.#graph.name || 'main',
        description: this.#options.description ?? 'quantc',
        tensors: this.#e.tensors,
        operators: this.#e.operators,
        inputs: inputs.map(({ port }) => port),
        outputs: outputs.map(({ port }) => port),
        metadata,
      },
      inputs,
      outputs,
    };
  }

  #input(value: Value): ConvertedPort & { port: TfPort } {
    const type = INPUTS[value.dtype ?? ''];
    if (type === undefined) {
      throw new QuantcError(
        'E_TFLITE_TYPE',
        `the input ${value.name} is ${value.dtype ?? 'of unknown type'}`,
        {
          kind: 'input',
          place: { value: value.name },
          hint: 'LiteRT models of this target take float32, integers of 32 or 64 bits, and bool.',
        },
      );
    }
    const whole = shapeOf(value);
    const last = whole.length === 4 && (this.#options.ports ?? 'last') === 'last' && wantsLast(value);
    const layout: Layout = last ? 'last' : 'plain';
    const shape = laid(whole, layout);
    const operand = this.#e.tensor(value.name, shape, type);
    this.#e.settle(value, layout, operand);
    return { name: value.name, layout, shape, port: { name: value.name, tensor: operand.index } };
  }

  /** Each output has a tensor of its own, which is no input. */
  #output(value: Value, taken: Set<number>): ConvertedPort & { port: TfPort } {
    const whole = shapeOf(value);
    const last = whole.length === 4 && (this.#options.ports ?? 'last') === 'last';
    const found = this.#e.home(value, 'plain') ?? this.#constant(value);
    const layout: Layout = last ? found.layout : 'plain';
    let operand = layout === found.layout ? found.operand : this.#e.at(value, layout)!;
    if (taken.has(operand.index)) operand = this.#copy(operand, value.name);
    taken.add(operand.index);
    return {
      name: value.name,
      layout,
      shape: operand.shape,
      port: { name: value.name, tensor: operand.index },
    };
  }

  #constant(value: Value): { operand: Operand; layout: Layout } {
    const node = value.producer;
    if (node === undefined || !isRealConstant(value)) {
      throw new QuantcError('E_TFLITE_OP', `the output ${value.name} is nothing that the graph computes`, {
        kind: 'input',
        place: { value: value.name },
      });
    }
    return { operand: this.#e.stored(value, 'plain', { node }), layout: 'plain' };
  }

  #copy(operand: Operand, name: string): Operand {
    const { shape } = operand;
    return this.#e.apply('RESHAPE', [operand, this.#e.ints(shape)], { newShape: shape }, shape, { name });
  }

  #node(node: Node): void {
    if (this.#done.has(node) || isDequantize(node) || node.outputs.every((output) => this.#isKnown(output)))
      return;
    if (isQuantize(node)) this.#quantize(node);
    else this.#lower(node);
  }

  #lower(node: Node): void {
    const lowering = node.domain === '' ? LOWERINGS.get(node.opType) : undefined;
    if (lowering === undefined) refuse(node, 'the format has no operator that computes the same');
    const unit: Unit = unitOf(node, lowering);
    for (const each of unit.absorbed) this.#done.add(each);
    lowering.lower(unit, this.#e);
  }

  /** Constants, scales of biases among them, are computed where they are read. */
  #isKnown = (value: Value): boolean =>
    value.isOmitted || this.#e.isSettled(value) || (!value.isOutput && isRealConstant(value));

  /** Where float values become integers, or integers lie on another grid from here on. */
  #quantize(node: Node): void {
    const [value, result] = [node.inputs[0]!, node.outputs[0]!];
    const source =
      isDequantize(value.producer) && this.#e.isSettled(value.producer.inputs[0]!)
        ? value.producer.inputs[0]!
        : value;
    const { operand, layout } = this.#e.home(source, 'last') ?? this.#constant(value);
    const y = this.#e.tensor(result.name, operand.shape, 'int8', { grid: gridOf(node) });
    this.#e.operator('QUANTIZE', [operand], {}, [y]);
    this.#e.settle(result, layout, y);
  }
}

/** The first operator with a wish that the value comes to, through those without, wants channels last. */
function wantsLast(value: Value): boolean {
  const seen = new Set<Value>();
  const waiting = [value];
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    if (seen.has(at)) continue;
    seen.add(at);
    for (const { node } of at.uses) {
      const layout = isQuantize(node) || isDequantize(node) ? 'any' : LOWERINGS.get(node.opType)?.layout;
      if (layout === 'last') return true;
      if (layout === 'any') waiting.push(...node.outputs);
    }
  }
  return false;
}
