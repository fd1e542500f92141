/** Copies of a model in which a part of what a plan quantizes is quantized, to see what that part alone costs. */
import {
  addInitializer,
  chooseAffine,
  cloneModel,
  createNode,
  dequantize,
  Ledger,
  type Model,
  type ModelCopy,
  type Node,
  type NodePlan,
  type PassContext,
  type Plan,
  planFact,
  type QuantizedType,
  quantizedWeight,
  type Range,
  rangesFact,
  replaceAllUses,
  roleOf,
  setInput,
  startOf,
  type Target,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';
import { insertQdq } from '../insert-qdq.js';
import type { Mix } from './mix.js';
import type { Unit } from './units.js';

/** What trials are made from. */
export interface Bench {
  readonly model: Model;
  readonly plan: Plan;
  /** Of every value that the plan quantizes. */
  readonly ranges: ReadonlyMap<Value, Range>;
  readonly context: PassContext;
}

/** The model with these sources of error and no others: values go through a grid and back, weights are rounded to theirs. */
export function withUnits({ model, plan, ranges }: Bench, units: readonly Unit[]): Model {
  const copy = cloneModel(model);
  const nodes = twins(model, copy);
  const givers = new Set(
    [...plan.nodes.values()].flatMap(({ row, output }) => (row.output === 'float' ? [] : [output])),
  );
  for (const unit of units) {
    const { weight } = unit;
    if (weight) {
      const rounded = addInitializer(
        copy.model.graph,
        roundedWeight(weight.value.constant!, weight.axis, plan.target),
      );
      for (const { node, row } of unit.holders) {
        node.inputs.forEach((input, index) => {
          if (input === weight.value && roleOf(row, index) === 'weight')
            setInput(nodes.get(node)!, index, rounded);
        });
      }
      continue;
    }
    const [root] = unit.values;
    // What carries the bytes on needs no grid of its own here, unless its source is not quantized at all.
    const value = root!;
    const range = ranges.get(value);
    if (range === undefined) continue;
    const readers = givers.has(value) ? undefined : unit.holders.map(({ node }) => nodes.get(node)!);
    throughGrid(copy.values.get(value)!, range, plan.target, readers);
  }
  return copy.model;
}

/** @param readers those that read it off the grid; all where it is not said */
function throughGrid(value: Value, range: Range, target: Target, readers: readonly Node[] | undefined): void {
  const dtype = target.activation.dtype as QuantizedType;
  const { scale, zeroPoint } = chooseAffine(range, dtype, { symmetric: target.activation.symmetric });
  const zero = dtype === 'int8' ? Int8Array.of(zeroPoint) : Uint8Array.of(zeroPoint);
  const { graph } = value;
  const parameters = [
    addInitializer(graph, Tensor.floats([scale], []), 'grid_scale'),
    addInitializer(graph, Tensor.of(dtype, [], zero), 'grid_zero_point'),
  ];
  const quantize = createNode(value.producer ? { after: value.producer } : startOf(graph), {
    opType: 'QuantizeLinear',
    inputs: [value, ...parameters],
    outputs: [{ name: `${value.name}_quantized`, type: tensorType(dtype, value.shape) }],
  });
  const back = createNode(
    { after: quantize },
    {
      opType: 'DequantizeLinear',
      inputs: [quantize.outputs[0], ...parameters],
      outputs: [{ type: value.type }],
    },
  );
  const stands = back.outputs[0]!;
  if (readers === undefined) {
    replaceAllUses(value, stands);
    setInput(quantize, 0, value);
  } else {
    for (const { node, index } of [...value.uses]) if (readers.includes(node)) setInput(node, index, stands);
  }
}

function roundedWeight(weight: Tensor, axis: number | undefined, target: Target): Tensor {
  const dtype = target.weight.dtype as QuantizedType;
  const granularity = axis === undefined ? ('tensor' as const) : ('axis' as const);
  const { q, scale } = quantizedWeight(weight, {
    dtype,
    symmetric: true,
    clamp: target.weight.limit,
    granularity,
    ...(axis === undefined ? {} : { axis }),
  });
  return Tensor.derive('float', weight.shape, [q, scale], ([integers, scales]) =>
    dequantize(integers!.data() as Int8Array, {
      dtype,
      shape: weight.shape,
      granularity,
      axis,
      scale: scales!.toFloat32(),
    }),
  );
}

/**
 * The model with a part of the bench's plan in integers, as it would be emitted: products that stay float have their
 * weights stored as integers all the same, where the mix does not say otherwise.
 */
export async function quantizedBy(
  { model, plan, ranges, context }: Bench,
  { plan: part, precise }: Pick<Mix, 'plan' | 'precise'>,
): Promise<Model> {
  const copy = cloneModel(model);
  const nodes = twins(model, copy);
  for (const { node, row } of plan.nodes.values()) {
    if (part.nodes.has(node) || precise.has(node)) continue;
    node.inputs.forEach((input, index) => {
      if (!input?.isConstant || roleOf(row, index) !== 'weight') return;
      const rounded = roundedWeight(input.constant!, row.weightAxis?.(node), plan.target);
      setInput(nodes.get(node)!, index, addInitializer(copy.model.graph, rounded));
    });
  }
  const facts = new Map(context.facts);
  const trial: PassContext = {
    ...context,
    facts,
    ledger: new Ledger(),
    changed: () => {},
    decline: () => {},
  };
  const planned = new Map<Node, NodePlan>();
  for (const [node, { tail, output, outputs, ...rest }] of part.nodes) {
    const twin = nodes.get(node)!;
    planned.set(twin, {
      ...rest,
      node: twin,
      output: copy.values.get(output)!,
      outputs: outputs.map((each) => copy.values.get(each)!),
      ...(tail && { tail: nodes.get(tail)! }),
    });
  }
  planFact.set(trial, { ...part, nodes: planned });
  rangesFact.set(trial, new Map([...ranges].map(([value, range]) => [copy.values.get(value)!, range])));
  await insertQdq.run(copy.model, trial);
  return copy.model;
}

/** Each node of the main graph and its twin in the copy. */
function twins(model: Model, copy: ModelCopy): Map<Node, Node> {
  const others = [...copy.model.graph.nodes()];
  return new Map([...model.graph.nodes()].map((node, index) => [node, others[index]!]));
}
