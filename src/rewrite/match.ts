/**
 * Finds a pattern in a graph, from one node upwards. Commutative operators and alternatives are tried in turn with
 * full backtracking; what failed deepest is kept, so that a person can be told how near a node came.
 */
import type { Attribute } from '../ir/attribute.js';
import { constantOf, scalarOf } from '../ir/constant.js';
import { type Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { AttributeCondition, NodePattern, OutputPattern, Pattern, SlotName } from './pattern.js';

/** Operators whose two inputs may be swapped. */
const COMMUTATIVE = new Set([
  'Add',
  'Mul',
  'And',
  'Or',
  'Xor',
  'Max',
  'Min',
  'Sum',
  'Mean',
  'Equal',
  'BitwiseAnd',
  'BitwiseOr',
  'BitwiseXor',
]);

/** Attempts that one root may cost before it is given up; patterns in use need well under a hundred. */
const STEP_LIMIT = 20_000;

/** What a pattern matched. */
export interface Match {
  /** The values that the pattern's roots stand for. */
  readonly roots: readonly Value[];
  readonly nodes: ReadonlyMap<NodePattern, Node>;
  /** Bindings by name: values, tensors, numbers, nodes. */
  readonly bound: ReadonlyMap<string, unknown>;
  /** What the match reads: values bound at its edge, not made inside it. */
  readonly leaves: readonly Value[];
  /** The values that bound constants came from, so that a replacement can read them again. */
  readonly constants: ReadonlyMap<Tensor, Value>;
}

/** How far a failed attempt came: what was matched, and what did not fit. */
export interface NearMiss {
  readonly matched: readonly Node[];
  readonly reason: string;
}

type Then = () => boolean;

/**
 * Matches `roots` so that the first is an output of `node`. Further roots are looked for among the readers of what
 * is already matched.
 */
export function matchAt(roots: readonly Pattern[], node: Node): Match | NearMiss {
  const attempt = new Attempt(node);
  const found: Value[] = [];
  const first = roots[0]!;
  for (const output of node.outputs) {
    if (output.isOmitted) continue;
    found.length = 0;
    if (attempt.match(first, output, () => attempt.matchRoots(roots, 1, found)))
      return {
        roots: [output, ...found],
        nodes: new Map(attempt.nodes),
        bound: attempt.slots,
        leaves: attempt.leaves(),
        constants: attempt.constants,
      };
  }
  return attempt.nearest;
}

class Attempt {
  readonly nodes = new Map<NodePattern, Node>();
  readonly slots = new Map<string, unknown>();
  readonly constants = new Map<Tensor, Value>();
  nearest: NearMiss = { matched: [], reason: '' };
  readonly #graph: Node['graph'];
  /** Slots that name what a part of the pattern matched. */
  readonly #named = new Set<string>();
  #steps = 0;

  constructor(root: Node) {
    this.#graph = root.graph;
  }

  #fail(reason: () => string): false {
    if (this.nodes.size > this.nearest.matched.length)
      this.nearest = { matched: [...this.nodes.values()], reason: reason() };
    return false;
  }

  match(pattern: Pattern, value: Value | undefined, then: Then): boolean {
    if (++this.#steps > STEP_LIMIT) return this.#fail(() => 'too many ways to try');
    switch (pattern.kind) {
      case 'absent':
        return value === undefined ? then() : this.#fail(() => `${value.name} is there, but must be omitted`);
      case 'any':
        return pattern.alternatives.some((each) => this.match(each, value, then));
      case 'slot':
        return this.#slot(pattern.slot, pattern.inner, value, then);
      case 'number':
        return this.#number(pattern.expected, pattern.tolerance, value) && then();
      case 'output':
        return this.#output(pattern, value, then);
    }
  }

  #slot(slot: SlotName, inner: Pattern | undefined, value: Value | undefined, then: Then): boolean {
    if (inner !== undefined) {
      this.#named.add(slot.name);
      if (slot.binding.kind !== 'node') return this.match(inner, value, () => this.#bind(slot, value, then));
      return this.match(inner, value, () => this.#bind(slot, value?.producer, then));
    }
    if (value === undefined) {
      return slot.binding.isOptional ? then() : this.#fail(() => `${slot.name} is omitted`);
    }
    if (slot.binding.kind === 'value') return this.#bind(slot, value, then);
    if (slot.binding.kind === 'node') return this.#bind(slot, value.producer, then);
    const tensor = constantOf(value);
    if (tensor === undefined) return this.#fail(() => notConstant(slot.name, value));
    if (slot.binding.kind === 'constant') {
      this.constants.set(tensor, value);
      return this.#bind(slot, tensor, then);
    }
    const number = scalarOf(tensor);
    if (number === undefined) return this.#fail(() => `${slot.name} (${value.name}) is no real number`);
    return this.#bind(slot, number, then);
  }

  #bind(slot: SlotName, thing: unknown, then: Then): boolean {
    if (this.slots.has(slot.name)) {
      if (this.slots.get(slot.name) === thing) return then();
      return this.#fail(() => `${slot.name} stands for two different things`);
    }
    if (thing === undefined) return this.#fail(() => `${slot.name} is made by no node`);
    this.slots.set(slot.name, thing);
    if (then()) return true;
    this.slots.delete(slot.name);
    return false;
  }

  #number(expected: number, tolerance: number | undefined, value: Value | undefined): boolean {
    if (value === undefined) return this.#fail(() => `the constant ${expected} is omitted`);
    const tensor = constantOf(value);
    if (tensor === undefined) return this.#fail(() => notConstant(String(expected), value));
    const number = scalarOf(tensor);
    const near = tolerance ?? (tensor.dtype === 'float16' ? 1e-3 : tensor.dtype === 'bfloat16' ? 8e-3 : 1e-5);
    if (number !== undefined && Math.abs(number - expected) <= near * Math.max(Math.abs(expected), 1e-3))
      return true;
    return this.#fail(
      () => `${value.name} is ${number ?? `a ${tensor.dtype}[${tensor.shape}]`}, not ${expected}`,
    );
  }

  #output(pattern: OutputPattern, value: Value | undefined, then: Then): boolean {
    const wanted = pattern.node.opTypes.join(' or ');
    if (value === undefined) return this.#fail(() => `an input from ${wanted} is omitted`);
    const node = value.producer;
    if (node === undefined) {
      const what = value.constant === undefined ? 'an input' : 'a constant';
      return this.#fail(() => `${value.name} comes from no ${wanted}: it is ${what}`);
    }
    if (node.graph !== this.#graph) return this.#fail(() => `${value.name} is made outside of this graph`);
    if (value.index !== pattern.index)
      return this.#fail(
        () => `${value.name} is output ${value.index} of ${node.opType}, not output ${pattern.index}`,
      );
    const before = this.nodes.get(pattern.node);
    if (before !== undefined)
      return before === node ? then() : this.#fail(() => `${value.name} comes from another ${wanted}`);
    if (!pattern.node.opTypes.includes(node.opType) || node.domain !== pattern.node.domain)
      return this.#fail(() => `${value.name} comes from ${node.opType}, not from ${wanted}`);
    return this.#node(pattern.node, node, then);
  }

  #node(pattern: NodePattern, node: Node, then: Then): boolean {
    if (node.inputs.slice(pattern.inputs.length).some((input) => input !== undefined))
      return this.#fail(() => `${node.label} has more inputs than ${pattern.inputs.length}`);
    this.nodes.set(pattern, node);
    for (const [name, condition] of Object.entries(pattern.attributes)) {
      const attribute = node.attributes.get(name);
      if (holds(condition, attribute, node)) continue;
      this.#fail(() => `attribute ${name} of ${node.label} is ${plain(attribute) ?? 'absent'}`);
      this.nodes.delete(pattern);
      return false;
    }
    const inputs = pattern.inputs.map((_, index) => node.inputs[index]);
    const done = (): boolean => {
      const widening = pattern.inputs.findIndex(
        (each, index) => isNumber(each) && widens(node, index, inputs),
      );
      if (widening >= 0) return this.#fail(() => `a constant of ${node.label} adds dimensions`);
      return then();
    };
    if (this.#inputs(pattern.inputs, inputs, 0, done)) return true;
    if (inputs.length === 2 && COMMUTATIVE.has(node.opType) && node.domain === '') {
      inputs.reverse();
      if (this.#inputs(pattern.inputs, inputs, 0, done)) return true;
    }
    this.nodes.delete(pattern);
    return false;
  }

  #inputs(
    patterns: readonly Pattern[],
    values: readonly (Value | undefined)[],
    at: number,
    then: Then,
  ): boolean {
    if (at === patterns.length) return then();
    return this.match(patterns[at]!, values[at], () => this.#inputs(patterns, values, at + 1, then));
  }

  leaves(): Value[] {
    const bound = [...this.slots].filter(([name]) => !this.#named.has(name));
    return bound.map(([, thing]) => thing).filter((thing) => thing instanceof Value);
  }

  /** Matches roots from the `at`-th on, each at any reader of what is matched already. */
  matchRoots(roots: readonly Pattern[], at: number, found: Value[]): boolean {
    if (at === roots.length) return true;
    for (const candidate of this.#candidates(roots[at]!)) {
      if (this.match(roots[at]!, candidate, () => this.matchRoots(roots, at + 1, found))) {
        found.unshift(candidate);
        return true;
      }
    }
    return this.#fail(() => `output ${at} of the pattern is not there`);
  }

  /** Values that a pattern could stand for, seen from what is bound below it. */
  #candidates(pattern: Pattern): Value[] {
    if (pattern.kind === 'any') return pattern.alternatives.flatMap((each) => this.#candidates(each));
    if (pattern.kind === 'slot') {
      if (pattern.inner) return this.#candidates(pattern.inner);
      const thing = this.slots.get(pattern.slot.name);
      return pattern.slot.binding.kind === 'value' && thing !== undefined ? [thing as Value] : [];
    }
    if (pattern.kind !== 'output') return [];
    const { opTypes, domain, inputs } = pattern.node;
    const known = this.nodes.get(pattern.node);
    const nodes = new Set(known ? [known] : []);
    if (known === undefined) {
      for (const value of inputs.flatMap((input) => this.#candidates(input)))
        for (const { node } of value.uses)
          if (opTypes.includes(node.opType) && node.domain === domain) nodes.add(node);
    }
    return [...nodes]
      .flatMap((node) => node.outputs[pattern.index] ?? [])
      .filter((value) => !value.isOmitted);
  }
}

const isNumber = (pattern: Pattern): boolean =>
  pattern.kind === 'number' || (pattern.kind === 'slot' && pattern.slot.binding.kind === 'scalar');

/** True where a one-element constant of some rank may give the node's output more dimensions than its other inputs. */
function widens(node: Node, index: number, inputs: readonly (Value | undefined)[]): boolean {
  const input = inputs[index];
  const rank = (input && constantOf(input))?.shape.length ?? 0;
  if (rank === 0 || node.inputs.length < 2) return false;
  return !inputs.some(
    (other, at) => at !== index && other?.shape !== undefined && other.shape.length >= rank,
  );
}

function notConstant(name: string, value: Value): string {
  if (value.constant !== undefined)
    return `${name} (${value.name}) is a graph input, which a caller may override`;
  return `${name} (${value.name}) is not a constant`;
}

function plain(attribute: Attribute | undefined): unknown {
  if (attribute === undefined || attribute.kind === 'ref') return undefined;
  if (attribute.kind === 'int') return Number(attribute.value);
  if (attribute.kind === 'ints') return attribute.value.map(Number);
  if (attribute.kind === 'string' && typeof attribute.value !== 'string')
    return new TextDecoder().decode(attribute.value);
  return attribute.value;
}

function holds(condition: AttributeCondition, attribute: Attribute | undefined, node: Node): boolean {
  // A reference to an attribute of the enclosing function has no value here that could be judged.
  if (attribute?.kind === 'ref') return false;
  const actual = plain(attribute);
  if (typeof condition === 'function') return condition(actual, node);
  if (typeof condition === 'number')
    return (
      typeof actual === 'number' && Math.abs(actual - condition) <= 1e-6 * Math.max(1, Math.abs(condition))
    );
  if (typeof condition === 'string') return actual === condition;
  return (
    Array.isArray(actual) &&
    actual.length === condition.length &&
    condition.every((each, i) => actual[i] === each)
  );
}
