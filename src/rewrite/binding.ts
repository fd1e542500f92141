import type { Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

/** What a name of a rewrite may stand for; `T` is what `check` and `replace` then receive. */
export interface Binding<T> {
  readonly kind: 'value' | 'constant' | 'scalar' | 'node';
  /** An optional binding also matches an omitted input, and may lie in an alternative that was not taken. */
  readonly isOptional: boolean;
  /** Only for the type checker: what the binding gives. */
  readonly gives?: T;
}

/** A binding that must be there, with its optional form beside it. */
export interface RequiredBinding<T> extends Binding<T> {
  readonly optional: Binding<T | undefined>;
}

function binding<T>(kind: Binding<T>['kind']): RequiredBinding<T> {
  return { kind, isOptional: false, optional: { kind, isOptional: true } };
}

/** Any value: a {@link Value}. */
export const value: RequiredBinding<Value> = binding('value');

/**
 * A weight: an initializer that no caller can override, or the output of a Constant node. Gives its {@link Tensor},
 * whose bytes stay unread until somebody asks.
 */
export const constant: RequiredBinding<Tensor> = binding('constant');

/** A real constant of one element, which gives no dimension to what it is combined with. Gives a number. */
export const scalar: RequiredBinding<number> = binding('scalar');

/** A node of the match, bound by wrapping its pattern: `$.conv(op.Conv($.x, $.w))`. */
export const node: RequiredBinding<Node> = binding('node');

export type Bindings = Readonly<Record<string, Binding<unknown>>>;

/** What was bound, by name, as `check` and `replace` see it. */
export type Bound<B extends Bindings> = {
  readonly [K in keyof B]: B[K] extends Binding<infer T> ? T : never;
};
