/** Where weights and biases start under static integers: as `compile` would leave them, rounded together over samples. */
import { quantizedLayers } from '../../../passes/quantized/layer.js';
import { scalesOf } from '../../../passes/quantized/store.js';
import type { Model } from '../../ir/graph.js';
import { Tensor } from '../../ir/tensor.js';
import { usableBounds } from '../../quant/affine.js';
import { putOnGrid } from '../../training/fit-grid.js';
import type { Start } from './plan.js';

/** Names of weights and biases of a float model, by what they are after it was quantized. */
export interface FloatNames {
  readonly weights: ReadonlyMap<Tensor, string>;
  /** By name of the node that adds it. */
  readonly biases: ReadonlyMap<string, string>;
}

export interface RoundedStarts {
  readonly weights: ReadonlyMap<string, Start>;
  /** Biases that make up for what rounding does to means. */
  readonly biases: ReadonlyMap<string, Tensor>;
}

export function floatNames({ graph }: Model): FloatNames {
  const weights = new Map([...graph.initializers].map((value) => [value.constant!, value.name]));
  const biases = new Map<string, string>();
  for (const node of graph.nodes()) {
    const bias = node.is('Conv') || node.is('Gemm') ? node.inputs[2] : undefined;
    // One that several read would have to be several.
    if (bias?.isConstant && bias.uses.length === 1) biases.set(node.name, bias.name);
  }
  return { weights, biases };
}

/** @param quantized what the passes of static integers made of the model that the names are of */
export function roundedStartsOf(quantized: Model, names: FloatNames): RoundedStarts {
  const weights = new Map<string, Start>();
  const biases = new Map<string, Tensor>();
  for (const layer of quantizedLayers(quantized, () => {})) {
    const name = names.weights.get(layer.weight);
    const { spec, q, turned } = layer;
    if (name === undefined || spec.dtype !== 'int8') continue;
    const { min: low, max: high } = usableBounds(spec.dtype, spec);
    const perChannel = spec.granularity === 'axis';
    const scales = perChannel ? scalesOf(layer) : layer.scale.constant!.toFloat32();
    const axis = turned ? 1 : 0;
    const grid = {
      ...{ low, high, scale: Tensor.floats(scales, perChannel ? [scales.length] : []) },
      ...(perChannel && { axis }),
    };
    const integers = q.constant!.toNumbers();
    const { shape } = layer.weight;
    const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    const which = (at: number): number => (perChannel ? Math.floor(at / inner) % scales.length : 0);
    const values = Float32Array.from(integers, (integer, at) => integer * scales[which(at)]!);
    weights.set(name, { values: putOnGrid(Tensor.floats(values, shape), grid).values, grid });
    for (const { node, bias } of layer.readers) {
      const own = names.biases.get(node.name);
      if (own !== undefined && bias !== undefined) biases.set(own, bias.float);
    }
  }
  return { weights, biases };
}
