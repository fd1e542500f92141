/**
 * Scales alone (E2E-QP of EfficientQAT, Chen et al. 2024): the integers of weights stay, ŵ = q·s, and only s learns.
 * Optimizers then keep state for a few numbers a channel or block, so that models fit that cannot be trained whole.
 */
import { Emitter } from '../autodiff/emit.js';
import { QuantcError } from '../errors/error.js';
import { cloneModel } from '../ir/clone.js';
import { addInitializer, removeInitializer, replaceAllUses, sortTopologically } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import type { Grid } from './fake-quant.js';
import { putOnGrid, scaleIndices } from './fit-grid.js';

/** A weight as it is, and its grid. */
export interface Settled {
  readonly name: string;
  readonly weight: Tensor;
  readonly grid: Grid;
}

export interface ScalesAlone {
  readonly model: Model;
  /** Initializer of the scale by name of the weight: the scales of the grid in a shape that broadcasts. */
  readonly scales: ReadonlyMap<string, string>;
}

/** q of ŵ = q·s, in the weight's shape. */
function multiplesOf({ weight, grid }: Settled): Float32Array<ArrayBuffer> {
  const zeros = grid.zeroPoint?.toNumbers();
  const { integers } = putOnGrid(weight, grid);
  if (zeros === undefined) return Float32Array.from(integers);
  const { index } = scaleIndices(weight.shape, grid);
  return Float32Array.from(integers, (integer, at) => integer - zeros[index[at]!]!);
}

/** A copy of a model in which weights are products of integers that stay with scales. */
export function scalesAlone(whole: Model, weights: readonly Settled[]): ScalesAlone {
  const { model } = cloneModel(whole);
  const { graph } = model;
  const emit = new Emitter(graph);
  const named = new Map([...graph.initializers].map((value) => [value.name, value]));
  const scales = new Map<string, string>();
  for (const each of weights) {
    const value = named.get(each.name);
    if (value === undefined) {
      throw new QuantcError('E_TRAINING_WEIGHT', `the student has no initializer ${each.name}`, {
        place: { value: each.name },
      });
    }
    emit.prefix = `scales/${each.name}/`;
    const { product, scale } = multiplied(emit, each);
    replaceAllUses(value, product);
    removeInitializer(value);
    scales.set(each.name, scale.name);
  }
  sortTopologically(graph);
  return { model, scales };
}

function multiplied(emit: Emitter, settled: Settled): { product: Value; scale: Value } {
  const { name, weight, grid } = settled;
  const { axis, blockSize } = grid;
  const { graph } = emit;
  const { shape } = weight;
  const q = multiplesOf(settled);
  const type = tensorType('float', shape);
  const at = axis === undefined || axis >= 0 ? axis : axis + shape.length;
  const scaleAs = (form: readonly number[]): Value =>
    addInitializer(graph, grid.scale.with({ shape: form }), `scale/${name}`);
  if (at === undefined || blockSize === undefined) {
    const scale = scaleAs(at === undefined ? [] : shape.map((size, each) => (each === at ? size : 1)));
    const integers = addInitializer(graph, Tensor.of('float', shape, q), `integers/${name}`);
    return { product: emit.op('Mul', [integers, scale], {}, type), scale };
  }
  // Blocks get an axis of their own; a short one at the end is filled up with zeros.
  const [before, after] = [shape.slice(0, at), shape.slice(at + 1)];
  const size = shape[at]!;
  const count = Math.ceil(size / blockSize);
  const inner = after.reduce((product, each) => product * each, 1);
  const outer = before.reduce((product, each) => product * each, 1);
  const filled = new Float32Array(outer * count * blockSize * inner);
  for (let row = 0; row < outer; row++)
    filled.set(q.subarray(row * size * inner, (row + 1) * size * inner), row * count * blockSize * inner);
  const blocks = Tensor.of('float', [...before, count, blockSize, ...after], filled);
  const scale = scaleAs([...before, count, 1, ...after]);
  const product = emit.op('Mul', [addInitializer(graph, blocks, `integers/${name}`), scale]);
  const whole = emit.reshape(product, [...before, count * blockSize, ...after]);
  if (size === count * blockSize) return { product: whole, scale };
  const range = [[0], [size], [at]].map((numbers) => emit.ints(numbers));
  return { product: emit.op('Slice', [whole, ...range], {}, type), scale };
}

/** A weight with its integers as they were and scales as they were trained. */
export function rescaled(settled: Settled, trained: Tensor): Settled {
  const { name, weight, grid } = settled;
  const scale = trained.with({ shape: grid.scale.shape });
  const scales = scale.toFloat32();
  const { index } = scaleIndices(weight.shape, grid);
  const values = multiplesOf(settled).map((q, at) => q * scales[index[at]!]! + 0);
  return {
    name,
    weight: Tensor.of('float', weight.shape, values, { name }),
    grid: { ...grid, scale: Tensor.floats(scales, grid.scale.shape) },
  };
}
