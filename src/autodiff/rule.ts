/** What a gradient rule is: one row of the table of `rules/index.ts`. */
import { QuantcError } from '../errors/error.js';
import { addOutput } from '../ir/edit.js';
import type { Node, Value } from '../ir/graph.js';
import type { Dim } from '../ir/type.js';
import type { Emitter } from './emit.js';

/** A node on the way back, and what its rule needs to know of it. */
export interface Backward {
  readonly node: Node;
  /** Appends the rule's nodes. */
  readonly emit: Emitter;
  /** Input `index`, which the rule knows to be there. */
  input(index: number): Value;
  /** The cotangent of output `index`: ∂L/∂output, in its shape. Zeros where nobody that counts read it. */
  gradient(index?: number): Value;
  /** True when somebody that counts read output `index`. */
  has(index: number): boolean;
  /** True when the gradient of input `index` is wanted; others need not be computed. */
  wants(index: number): boolean;
}

/** The gradients of the inputs in order; `undefined` where none is wanted. */
export type Gradients = readonly (Value | undefined)[];

export interface GradientRule {
  /** Operators of ai.onnx that the rule is for. */
  readonly ops: readonly string[];
  /** The vector-Jacobian product in formulas; `g` stands for the cotangent of `y`. */
  readonly doc: string;
  readonly apply: (at: Backward) => Gradients;
}

/** A rule's row; the function only helps the type checker. */
export const rule = (ops: string, doc: string, apply: GradientRule['apply']): GradientRule => ({
  ops: ops.split(' '),
  doc,
  apply,
});

/** A form of an operator that has a rule, which the rule does not cover. */
export const unsupported = (node: Node, what: string, hint?: string): QuantcError =>
  new QuantcError('E_GRADIENT_VARIANT', `${node.opType} with ${what} has no gradient here`, {
    place: { node: node.label },
    hint,
  });

/** The rank of a value. @throws QuantcError E_GRADIENT_SHAPE where it is not known. */
export function rankOf(value: Value, node: Node): number {
  return knownShape(value, node).length;
}

/** The dims of a value, names included. @throws QuantcError E_GRADIENT_SHAPE where even the rank is not known. */
export function knownShape(value: Value, node: Node): readonly Dim[] {
  if (value.shape !== undefined) return value.shape;
  throw new QuantcError('E_GRADIENT_SHAPE', `the rank of ${value.name} must be known for its gradient`, {
    place: { node: node.label, value: value.name },
    hint: 'Infer the types of the model first, or fix its sizes with --dim.',
  });
}

/** Sizes of a value from an axis on, as numbers. @throws QuantcError E_GRADIENT_SHAPE where one is open. */
export function fixedSizes(value: Value, node: Node, from = 0): number[] {
  return knownShape(value, node)
    .slice(from)
    .map((dim) => {
      if (typeof dim === 'number') return dim;
      throw new QuantcError('E_GRADIENT_SHAPE', `${value.name} must have fixed sizes for its gradient`, {
        place: { node: node.label, value: value.name },
        hint: 'Fix the sizes of the model before training it.',
      });
    });
}

/** Output `index` of a node, which is asked to compute it where it did not before. */
export function outputOf(node: Node, index: number, name: string, type: Value['type']): Value {
  const present = node.outputs[index];
  if (present !== undefined && !present.isOmitted) return present;
  if (node.outputs.length !== index) {
    throw new QuantcError('E_GRADIENT_VARIANT', `${node.opType} omits an output that its gradient reads`, {
      place: { node: node.label },
    });
  }
  return addOutput(node, name, type);
}
