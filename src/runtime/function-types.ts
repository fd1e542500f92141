import type { Attribute } from '../ir/attribute.js';
import { setType } from '../ir/edit.js';
import type { Graph, LocalFunction, Model, Node, Value } from '../ir/graph.js';
import type { Type } from '../ir/type.js';

/** A function whose inputs are typed by its calls, and what those bind its attributes to. */
interface TypedFunction {
  readonly body: Graph;
  readonly opsets: ReadonlyMap<string, number>;
  readonly bindings: ReadonlyMap<string, Attribute>;
}

/**
 * The functions whose calls agree with each other, callers before what they call: a body's own calls are typed only
 * with it, so each must be inferred before the next is asked for.
 */
export function* typedFunctions(model: Model): IterableIterator<TypedFunction> {
  const done = new Set<LocalFunction>();
  for (let progress = true; progress; ) {
    progress = false;
    for (const each of model.functions) {
      const bindings = done.has(each) ? undefined : agreed(model, each);
      if (bindings === undefined) continue;
      done.add(each);
      progress = true;
      yield { body: each.body, opsets: each.opsets, bindings };
    }
  }
}

/**
 * Types a function's inputs by what all calls have in common and answers with the attributes that they bind; undefined
 * when there is no call, when one is not typed yet, or when dtypes, ranks or attributes differ among them.
 */
function agreed(model: Model, callee: LocalFunction): Map<string, Attribute> | undefined {
  const calls: Node[] = [];
  for (const graph of model.graphs()) {
    for (const node of graph.nodes())
      if (node.is(callee.name, callee.domain) && node.overload === callee.overload) calls.push(node);
  }
  const [first] = calls;
  if (first === undefined) return undefined;
  const bindings = bindingsOf(first, callee);
  for (const call of calls) if (!sameBindings(bindings, bindingsOf(call, callee))) return undefined;
  const types = callee.body.inputs.map((_, index) => commonType(calls.map((call) => call.inputs[index])));
  if (types.includes('differ')) return undefined;
  callee.body.inputs.forEach((input, index) => {
    const type = types[index] as Type | undefined;
    if (input.type === undefined && type !== undefined) setType(input, type);
  });
  return bindings;
}

function bindingsOf(call: Node, callee: LocalFunction): Map<string, Attribute> {
  const bindings = new Map(callee.attributeDefaults);
  for (const [name, attribute] of call.attributes) bindings.set(name, attribute);
  return bindings;
}

function sameBindings(a: ReadonlyMap<string, Attribute>, b: ReadonlyMap<string, Attribute>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, attribute] of a) {
    const other = b.get(name);
    if (other === attribute) continue;
    // Tensors and graphs are the same only when they are one object; the rest is plain data.
    if (/^(ref|tensors?|graphs?|sparses?)$/.test(attribute.kind)) return false;
    if (JSON.stringify(attribute, bigintText) !== JSON.stringify(other, bigintText)) return false;
  }
  return true;
}

const bigintText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);

/** One type for what calls pass: dimensions in which they differ unknown. Undefined where none passes anything. */
function commonType(passed: readonly (Value | undefined)[]): Type | undefined | 'differ' {
  if (passed.every((value) => value === undefined)) return undefined;
  const types = passed.map((value) => value?.type);
  const [first] = types;
  if (first === undefined || types.some((type) => type === undefined)) return 'differ';
  if (first.kind !== 'tensor') {
    return types.every((type) => JSON.stringify(type) === JSON.stringify(first)) ? first : 'differ';
  }
  let shape = first.shape;
  for (const type of types) {
    if (type?.kind !== 'tensor' || type.dtype !== first.dtype) return 'differ';
    const other = type.shape;
    shape =
      shape === undefined || other?.length !== shape.length
        ? undefined
        : shape.map((dim, axis) => (dim === other[axis] ? dim : null));
  }
  return { kind: 'tensor', dtype: first.dtype, shape };
}
