import {
  addInitializer,
  cloneModel,
  dequantize,
  type Model,
  quantizedWeight,
  roleOf,
  setInput,
  Tensor,
} from '../../src/index.js';
import type { Unit } from '../mix-precision/units.js';

/** The model with these weights rounded to 4 bits, a scale each output channel, and nothing else. */
export function withFourBits(model: Model, units: readonly Unit[]): Model {
  const copy = cloneModel(model);
  const twins = new Map([...model.graph.nodes()].map((node, at) => [node, at]));
  const nodes = [...copy.model.graph.nodes()];
  for (const { weight, holders } of units) {
    const rounded = addInitializer(copy.model.graph, inFourBits(weight!.value.constant!, weight!.axis));
    for (const { node, row } of holders)
      node.inputs.forEach((input, index) => {
        if (input === weight!.value && roleOf(row, index) === 'weight')
          setInput(nodes[twins.get(node)!]!, index, rounded);
      });
  }
  return copy.model;
}

function inFourBits(weight: Tensor, axis: number | undefined): Tensor {
  const dtype = 'int4';
  const granularity = axis === undefined ? ('tensor' as const) : ('axis' as const);
  const { shape } = weight;
  const form = { dtype, granularity, ...(axis === undefined ? {} : { axis }) } as const;
  const { q, scale } = quantizedWeight(weight, { ...form, symmetric: true });
  return Tensor.derive('float', shape, [q, scale], ([integers, scales]) =>
    dequantize(integers!.bytes(), { ...form, shape, scale: scales!.toFloat32() }),
  );
}
