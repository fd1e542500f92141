/**
 * Reverse-mode differentiation as a graph rewrite: appends to a graph the nodes that compute gradients of its values.
 * Only standard operators are emitted, so that whatever runs the model runs its gradient.
 */
import { QuantcError } from '../errors/error.js';
import { setType, sortTopologically } from '../ir/edit.js';
import type { Model, Node, Value } from '../ir/graph.js';
import { dependents } from './activity.js';
import { Emitter } from './emit.js';
import type { Backward } from './rule.js';
import { ruleOf } from './rules/index.js';

export interface DifferentiateOptions {
  /** The values whose gradients are wanted: inputs, initializers, or values in between. All of the main graph. */
  readonly wrt: readonly Value[];
  /**
   * Where the way back starts: for each value its cotangent ∂L/∂value, of the same shape and dtype. For a loss of one
   * element that is a constant 1; for logits it may be the closed form of a loss's gradient.
   */
  readonly seeds: ReadonlyMap<Value, Value>;
}

/** The oldest ai.onnx that the rules read and write (axes of reductions as inputs). */
const OLDEST = 18;

/**
 * Appends the backward graph to the main graph of a model and answers with the gradient of each value of `wrt`; values
 * that the seeds do not depend on are absent. What is not wanted is not computed: a value that leads to nothing in `wrt`
 * gets no gradient.
 *
 * Values must be typed (dtype everywhere; ranks, and for convolutions and pools sizes, where rules need them). Gradients
 * have the type of their values. `Round` is straight-through (∂y/∂x = 1), `Clip` passes gradients on its bounds.
 * @throws QuantcError E_GRADIENT_OP for an operator on the way that has no rule, E_GRADIENT_VARIANT for a form of one
 * that its rule does not cover, E_GRADIENT_SHAPE and E_GRADIENT_TYPE where types are too open, E_GRADIENT_OPSET for
 * ai.onnx older than 18, E_GRADIENT_SCOPE for values outside of the main graph.
 */
export function differentiate(model: Model, { wrt, seeds }: DifferentiateOptions): ReadonlyMap<Value, Value> {
  const { graph } = model;
  if (model.opset < OLDEST) {
    throw new QuantcError(
      'E_GRADIENT_OPSET',
      `gradients need ai.onnx ${OLDEST}, the model has ${model.opset}`,
      {
        hint: 'Raise it first: the pass upgrade-opset does.',
      },
    );
  }
  for (const value of [...wrt, ...seeds.keys(), ...seeds.values()]) {
    if (value.graph !== graph || value.isOmitted) {
      throw new QuantcError(
        'E_GRADIENT_SCOPE',
        `${value.name || 'an omitted value'} is none of the main graph's`,
        {
          kind: 'usage',
          place: { value: value.name },
        },
      );
    }
  }
  sortTopologically(graph);
  const forward = [...graph.nodes()];
  const active = dependents(graph, wrt);
  const emit = new Emitter(graph);
  const parts = new Map<Value, Value[]>();
  for (const [value, seed] of seeds) if (active.has(value)) parts.set(value, [seed]);
  const sums = new Map<Value, Value>();
  const sumOf = (value: Value): Value | undefined => {
    const known = sums.get(value);
    if (known !== undefined) return known;
    const handed = parts.get(value);
    if (handed === undefined) return undefined;
    const sum = emit.total(handed);
    if (sum.producer && value.type && sum.type !== value.type) setType(sum, value.type);
    sums.set(value, sum);
    return sum;
  };
  for (const node of forward.reverse()) {
    if (!node.outputs.some((output) => parts.has(output))) continue;
    if (!node.inputs.some((input) => input && active.has(input)) && node.subgraphs.length === 0) continue;
    emit.prefix = `d/${node.name || node.outputs[0]!.name}/`;
    const gradients = ruleOf(node).apply(backward(node, emit, active, sumOf));
    node.inputs.forEach((input, index) => {
      const gradient = gradients[index];
      if (input === undefined || gradient === undefined || !active.has(input)) return;
      const handed = parts.get(input);
      if (handed) handed.push(gradient);
      else parts.set(input, [gradient]);
    });
  }
  const found = new Map<Value, Value>();
  for (const value of wrt) {
    emit.prefix = `d/${value.name}/`;
    const gradient = sumOf(value);
    if (gradient !== undefined) found.set(value, gradient);
  }
  return found;
}

function backward(
  node: Node,
  emit: Emitter,
  active: ReadonlySet<Value>,
  sumOf: (value: Value) => Value | undefined,
): Backward {
  return {
    node,
    emit,
    input: (index) => {
      const input = node.inputs[index];
      if (input !== undefined) return input;
      throw new QuantcError('E_GRADIENT_VARIANT', `${node.opType} lacks its input ${index}`, {
        place: { node: node.label },
      });
    },
    gradient: (index = 0) => {
      const output = node.outputs[index]!;
      return sumOf(output) ?? emit.full(output);
    },
    has: (index) => node.outputs[index] !== undefined && sumOf(node.outputs[index]) !== undefined,
    wants: (index) => {
      const input = node.inputs[index];
      return input !== undefined && active.has(input);
    },
  };
}
