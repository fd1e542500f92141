/**
 * A TensorFlow Lite graph while it comes to be. Each ONNX value has a home: a tensor in the order of dimensions that it
 * was computed in; where it is read in the other order, a transposition is put in, once.
 */
import { constantOf } from '../ir/constant.js';
import type { Node, Value } from '../ir/graph.js';
import { realBytes, wholeBytes } from './constant-bytes.js';
import { type Grid, gridOf, gridOver, isDequantize, realConstant, sameGrid } from './grid.js';
import { type Layout, laid, movesNothing, orderOf, permutation, permuted } from './layout.js';
import {
  dataOf,
  type TfData,
  type TfOperator,
  type TfOptions,
  type TfQuantization,
  type TfTensor,
} from './model.js';
import { refuse, shapeOf } from './refusal.js';
import { ELEMENT_BYTES, type OperatorName, type TensorTypeName } from './schema.js';
import type { Unit } from './unit.js';

/** A tensor of the graph, as operators are told of it. */
export interface Operand {
  readonly index: number;
  readonly shape: readonly number[];
  readonly type: TensorTypeName;
  readonly grid?: Grid;
}

const TYPES: Readonly<Record<string, TensorTypeName>> = {
  float: 'float32',
  int32: 'int32',
  int64: 'int64',
  bool: 'bool',
};

export class Emitter {
  readonly tensors: TfTensor[] = [];
  readonly operators: TfOperator[] = [];
  readonly #homes = new Map<Value, Partial<Record<Layout, Operand>>>();
  readonly #constants = new Map<string, Operand>();
  readonly #names = new Set<string>();

  /** A new tensor; its name gets a number where another has it. */
  tensor(
    name: string,
    shape: readonly number[],
    type: TensorTypeName,
    more: { grid?: Grid; data?: TfData } = {},
  ) {
    const { grid, data } = more;
    return this.#add(
      {
        name,
        shape,
        type,
        ...(grid && { quantization: { scale: [grid.scale], zeroPoint: [grid.zeroPoint], axis: 0 } }),
        ...(data && { data }),
      },
      grid,
    );
  }

  #add(tensor: TfTensor, grid?: Grid): Operand {
    let { name } = tensor;
    for (let count = 1; this.#names.has(name); count++) name = `${tensor.name}_${count}`;
    this.#names.add(name);
    const index = this.tensors.push({ ...tensor, name }) - 1;
    return { index, shape: tensor.shape, type: tensor.type, ...(grid && { grid }) };
  }

  /** An operator that gives these tensors. */
  operator(
    op: OperatorName,
    inputs: readonly (Operand | undefined)[],
    options: TfOptions,
    outputs: readonly Operand[],
  ) {
    this.operators.push({
      op,
      inputs: inputs.map((input) => input?.index ?? -1),
      outputs: outputs.map(({ index }) => index),
      options,
    });
  }

  /** An operator with one output in a new tensor, of the first input's type and grid unless told otherwise. */
  apply(
    op: OperatorName,
    inputs: readonly (Operand | undefined)[],
    options: TfOptions,
    shape: readonly number[],
    more: { grid?: Grid; name?: string; like?: Operand } = {},
  ): Operand {
    const { type, grid } = more.like ?? inputs[0]!;
    const output = this.tensor(more.name ?? 'inner', shape, type, { grid: more.grid ?? grid });
    this.operator(op, inputs, options, [output]);
    return output;
  }

  /** int32 numbers, such as shapes and axes; equal ones are stored once. */
  ints(values: readonly number[], shape: readonly number[] = [values.length]): Operand {
    return this.#once(`ints/${values}/${shape}`, () =>
      this.tensor('numbers', shape, 'int32', { data: dataOf(Int32Array.from(values)) }),
    );
  }

  /** One real number of no dimensions, on a grid where integers are wanted. */
  scalar(value: number, grid?: Grid): Operand {
    const data = grid
      ? Int8Array.of(Math.max(-128, Math.min(127, Math.round(value / grid.scale) + grid.zeroPoint)))
      : Float32Array.of(value);
    const key = `scalar/${Object.is(value, -0) ? '-0' : value}/${grid?.scale}/${grid?.zeroPoint}`;
    return this.#once(key, () =>
      this.tensor('number', [], grid ? 'int8' : 'float32', { ...(grid && { grid }), data: dataOf(data) }),
    );
  }

  /** A constant with a grid of its own along an axis, or none. */
  constant(
    name: string,
    shape: readonly number[],
    type: TensorTypeName,
    data: TfData,
    quantization?: TfQuantization,
  ) {
    return this.#add({ name, shape, type, data, ...(quantization && { quantization }) });
  }

  #once(key: string, make: () => Operand): Operand {
    const known = this.#constants.get(key) ?? make();
    this.#constants.set(key, known);
    return known;
  }

  /** The tensor is where the value is found from now on, in this layout. */
  settle(value: Value, layout: Layout, operand: Operand): void {
    this.#homes.set(value, { ...this.#homes.get(value), [layout]: operand });
  }

  isSettled = (value: Value): boolean => this.#homes.has(value);

  /** What the unit reads as input `index`: the quantized value in its stead, or the value itself. */
  sourceOf({ node, int8 }: Unit, index: number): Value {
    const value = node.inputs[index];
    if (value === undefined) refuse(node, `its input ${index} is absent`);
    return int8 && isDequantize(value.producer) ? value.producer.inputs[0]! : value;
  }

  /** Whether a unit's input lies in a layout already, so that reading it there costs nothing. */
  lies(unit: Unit, index: number, layout: Layout): boolean {
    const source = this.sourceOf(unit, index);
    const home = this.#homes.get(source) ?? this.#homes.get(quantizedOf(source) ?? source);
    return home?.[layout] !== undefined;
  }

  /** A unit's input in a layout. */
  read(unit: Unit, index: number, layout: Layout): Operand {
    const source = this.sourceOf(unit, index);
    const home = this.#find(source, layout);
    if (home !== undefined) return home;
    const grid = unit.int8 ? this.#constantGrid(unit.node.inputs[index]!) : undefined;
    return this.stored(unit.node.inputs[index]!, layout, { ...(grid && { grid }), node: unit.node });
  }

  /** Integers of a constant lie on the grid that it came with, or one over its range. */
  #constantGrid(value: Value): Grid {
    if (isDequantize(value.producer) && realConstant(value.producer.inputs[1])?.length === 1)
      return gridOf(value.producer);
    const values = realConstant(value) ?? [];
    let [min, max] = [0, 0];
    for (const each of values) [min, max] = [Math.min(min, each), Math.max(max, each)];
    return gridOver(min, max);
  }

  /**
   * A constant as a tensor: integers on a grid, else as it is (int64 as int32, where its values fit).
   * @param rank dimensions of 1 are put in front up to so many
   */
  stored(
    value: Value,
    layout: Layout,
    { grid, rank, node }: { readonly grid?: Grid; readonly rank?: number; readonly node: Node },
  ): Operand {
    const whole = shapeOf(value);
    const shape = [...Array.from({ length: Math.max(0, (rank ?? 0) - whole.length) }, () => 1), ...whole];
    const key = `value/${value.name}/${layout}/${grid?.scale}/${grid?.zeroPoint}/${shape.length}`;
    return this.#once(key, () => {
      const real = value.dtype === 'float' ? realConstant(value) : undefined;
      const tensor = constantOf(value);
      if (real === undefined && tensor === undefined)
        refuse(node, `${value.name} is neither computed nor constant`);
      const [type, bytes] = real ? realBytes(value, real, grid) : wholeBytes(tensor!, node);
      const perm = orderOf(layout, shape.length);
      const data = permuted(bytes, ELEMENT_BYTES[type], shape, perm);
      const name = value.name || 'constant';
      return this.tensor(name, laid(shape, layout), type, { ...(grid && { grid }), data: dataOf(data) });
    });
  }

  #find(value: Value, layout: Layout): Operand | undefined {
    const home = this.#homes.get(value) ?? this.#widened(value, layout);
    if (home === undefined) return undefined;
    const there = home[layout];
    if (there !== undefined) return there;
    const other: Layout = layout === 'last' ? 'plain' : 'last';
    const rank = shapeOf(value).length;
    const perm = permutation(orderOf(other, rank), orderOf(layout, rank));
    const moved = this.transpose(home[other]!, perm, `${value.name}_${layout}`);
    this.settle(value, layout, moved);
    return moved;
  }

  /** Quantized values that somebody reads in float. */
  #widened(value: Value, layout: Layout): Partial<Record<Layout, Operand>> | undefined {
    const quantized = quantizedOf(value);
    if (quantized === undefined || !this.#homes.has(quantized)) return undefined;
    const from = this.#find(quantized, layout)!;
    const output = this.tensor(value.name, from.shape, 'float32');
    this.operator('DEQUANTIZE', [from], {}, [output]);
    this.settle(value, layout, output);
    return this.#homes.get(value);
  }

  /** The tensor of a value in a layout; undefined where nothing has computed it. */
  at = (value: Value, layout: Layout): Operand | undefined => this.#find(value, layout);

  /** The tensor of a value in any layout, for those who need it where it is. */
  home(value: Value, preferred: Layout): { readonly operand: Operand; readonly layout: Layout } | undefined {
    const home = this.#homes.get(value) ?? this.#homes.get(quantizedOf(value) ?? value);
    if (home === undefined) return undefined;
    const layout: Layout = home[preferred] ? preferred : home.last ? 'last' : 'plain';
    return { operand: this.#find(value, layout)!, layout };
  }

  /** Permuted dimensions; where no element moves, a mere change of shape, and nothing where none changes. */
  transpose(operand: Operand, perm: readonly number[], name = 'transposed'): Operand {
    if (perm.every((axis, index) => axis === index)) return operand;
    const shape = perm.map((axis) => operand.shape[axis]!);
    if (movesNothing(operand.shape, perm)) return this.reshape(operand, shape, name);
    return this.apply('TRANSPOSE', [operand, this.ints(perm)], {}, shape, { name });
  }

  reshape(operand: Operand, shape: readonly number[], name = 'reshaped'): Operand {
    if (shape.length === operand.shape.length && shape.every((dim, axis) => dim === operand.shape[axis]))
      return operand;
    return this.apply('RESHAPE', [operand, this.ints(shape)], { newShape: shape }, shape, { name });
  }

  /** The same reals on another grid. */
  requantized(operand: Operand, grid: Grid | undefined, name = 'requantized'): Operand {
    if (grid === undefined || operand.grid === undefined || sameGrid(operand.grid, grid)) return operand;
    return this.apply('QUANTIZE', [operand], {}, operand.shape, { grid, name });
  }

  /**
   * Result `index` of a unit as an operand to compute into.
   * @param grid where the operator wants another than the result's: what is computed is then put on the result's
   */
  into(
    unit: Unit,
    layout: Layout,
    emit: (output: Operand) => void,
    { index = 0, grid }: { readonly index?: number; readonly grid?: Grid | undefined } = {},
  ): void {
    const result = unit.results[index]!;
    const shape = laid(shapeOf(result.value), layout);
    const type = unit.int8 ? 'int8' : typeOf(result.value, unit.node);
    const own = unit.int8 ? (grid ?? result.grid) : undefined;
    const exact = own === undefined || sameGrid(own, result.grid!);
    const { name } = result.value;
    const output = this.tensor(exact ? name : `${name}_raw`, shape, type, own && { grid: own });
    emit(output);
    this.settle(result.value, layout, this.requantized(output, result.grid, name));
  }

  /** A result that is a tensor which is there already, perhaps on another grid. */
  alias(unit: Unit, layout: Layout, operand: Operand, index = 0): void {
    const { value, grid } = unit.results[index]!;
    this.settle(value, layout, this.requantized(operand, grid, value.name));
  }
}

/** What a DequantizeLinear gives the value from. */
const quantizedOf = (value: Value): Value | undefined =>
  isDequantize(value.producer) ? value.producer.inputs[0] : undefined;

function typeOf(value: Value, node: Node): TensorTypeName {
  return TYPES[value.dtype ?? 'float'] ?? refuse(node, `it gives ${value.dtype}`);
}
