/** Weights in blocks as the graph stores them: what several nodes read stands there once. */
import {
  addConstant,
  blockQuantizedWeight,
  createNode,
  type Graph,
  type Model,
  startOf,
  Tensor,
  tensorType,
  type Value,
  type WeightBits,
  type WeightChoice,
} from '../../src/index.js';

import type { PlannedProduct } from './plan.js';
import type { Rounded } from './rounded.js';

/** The inputs of a node that reads a weight in blocks. */
export interface StoredParts {
  readonly q: Value;
  readonly scale: Value;
  readonly zeroPoint: Value | undefined;
  /** Bytes of all of them. */
  readonly bytes: number;
}

export class StoredWeights {
  readonly #model: Model;
  readonly #choice: WeightChoice;
  /** Results that are known ahead. */
  readonly #rounded: Rounded;
  /** By constant and by what reads it. */
  readonly #products = new Map<Tensor, Partial<Record<0 | 1, StoredParts>>>();
  readonly #tables = new Map<Tensor, StoredParts>();
  /** The table that holds the weight of a product, by that weight. */
  readonly #ties = new Map<Tensor, Tensor>();

  constructor(model: Model, choice: WeightChoice, rounded: Rounded) {
    this.#model = model;
    this.#choice = choice;
    this.#rounded = rounded;
  }

  /** Notes that a product's weight and a table are one: they will be stored in the table's form. */
  tie(table: Tensor, weight: Tensor): void {
    this.#ties.set(weight, table);
  }

  /** As MatMulNBits reads it: [columns, blocks, bytes of a block], and scales and zero points one after the other. */
  forProduct(product: PlannedProduct): StoredParts {
    const { tensor, axis } = product;
    const known = this.#products.get(tensor) ?? {};
    this.#products.set(tensor, known);
    known[axis] ??= this.#product(product);
    return known[axis];
  }

  #product({ weight, tensor, axis, plan }: PlannedProduct): StoredParts {
    const { blockSize, choice } = plan;
    const table = this.#ties.get(tensor);
    if (table !== undefined) return this.#tied(weight, table, blockSize, choice.bits);
    const parts = this.#quantized(tensor, axis, blockSize, choice.bits);
    const { graph } = weight;
    const flat = (part: Tensor) => part.with({ shape: [part.count] });
    return {
      q: this.#add(graph, parts.q, `${weight.name}_q${choice.bits}`),
      scale: this.#add(graph, flat(parts.scale), `${weight.name}_scale`),
      zeroPoint: parts.zeroPoint && this.#add(graph, flat(parts.zeroPoint), `${weight.name}_zero_point`),
      bytes: bytesOfAll(parts),
    };
  }

  /** As GatherBlockQuantized reads it: [rows, bytes of a row]. */
  forTable(value: Value, table: Tensor, blockSize: number, bits: WeightBits): StoredParts {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const parts = this.#quantized(table, 1, blockSize, bits);
    const { graph } = value;
    const rows = table.shape[0]!;
    const made: StoredParts = {
      q: this.#add(graph, parts.q.with({ shape: [rows, parts.q.count / rows] }), `${value.name}_q${bits}`),
      scale: this.#add(graph, parts.scale, `${value.name}_scale`),
      zeroPoint: parts.zeroPoint && this.#add(graph, parts.zeroPoint, `${value.name}_zero_point`),
      bytes: bytesOfAll(parts),
    };
    this.#tables.set(table, made);
    return made;
  }

  /** The table as a product reads it; the executor reshapes the constant once, while it loads the model. */
  #tied(weight: Value, table: Tensor, blockSize: number, bits: WeightBits): StoredParts {
    const parts = this.forTable(weight, table, blockSize, bits);
    const { graph } = parts.q;
    const [rows, width] = table.shape as [number, number];
    const shape = [rows, width / blockSize, (blockSize * bits) / 8];
    const reshape = createNode(startOf(graph), {
      opType: 'Reshape',
      name: `${weight.name}_blocks`,
      inputs: [parts.q, this.#add(graph, Tensor.ints(shape), `${weight.name}_blocks_shape`)],
      outputs: [{ name: `${weight.name}_blocks`, type: tensorType('uint8', shape) }],
    });
    return { ...parts, q: reshape.outputs[0]! };
  }

  #quantized(tensor: Tensor, axis: 0 | 1, blockSize: number, bits: WeightBits) {
    const { method = 'mse', symmetric = false } = this.#choice;
    const parts = blockQuantizedWeight(tensor, { bits, blockSize, axis, symmetric, method });
    const known = this.#rounded.get(tensor);
    if (known?.axis !== axis || known.bits !== bits || known.blockSize !== blockSize) return parts;
    const from = (part: Tensor, bytes: Uint8Array) =>
      Tensor.of(part.dtype, part.shape, bytes, { name: part.name });
    return {
      q: from(parts.q, known.bytes.q),
      scale: from(parts.scale, known.bytes.scale),
      zeroPoint: parts.zeroPoint && from(parts.zeroPoint, known.bytes.zeroPoint),
    };
  }

  #add(graph: Graph, tensor: Tensor, name: string): Value {
    return addConstant(this.#model, graph, tensor, name);
  }
}

const bytesOfAll = (parts: { q: Tensor; scale: Tensor; zeroPoint: Tensor | undefined }): number =>
  parts.q.byteLength + parts.scale.byteLength + (parts.zeroPoint?.byteLength ?? 0);
