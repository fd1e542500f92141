/**
 * What a rewrite looks for, as data: a small graph of operators whose leaves are bindings, numbers and omitted
 * inputs. It is written once, by calling `op.Conv($.x, $.w)`, and matched from its outputs upwards.
 */
import { QuantcError } from '../errors/error.js';
import type { Node } from '../ir/graph.js';
import type { Binding, Bindings } from './binding.js';
import type { ByOperator, MicrosoftOperator, OperatorName, StandardOperator } from './operators.js';

/** Condition on one attribute: a value that it must equal, or a function of its plain value (absent: undefined). */
export type AttributeCondition =
  | number
  | string
  | readonly number[]
  // biome-ignore lint/suspicious/noExplicitAny: the author's function states the kind that it expects.
  | ((value: any, node: Node) => boolean);
export type AttributeConditions = Readonly<Record<string, AttributeCondition>>;

/** An application of an operator, shared by the patterns of its outputs. */
export interface NodePattern {
  readonly opTypes: readonly string[];
  readonly domain: string;
  readonly inputs: readonly Pattern[];
  readonly attributes: AttributeConditions;
  /** Outputs may also be used outside of the match; the node then stays. */
  shared: boolean;
}

/** Output `index` of a matched node. */
export class OutputPattern {
  readonly kind = 'output';
  readonly node: NodePattern;
  readonly index: number;
  constructor(node: NodePattern, index: number) {
    this.node = node;
    this.index = index;
  }
  /** Another output of the same node. */
  out(index: number): OutputPattern {
    return new OutputPattern(this.node, index);
  }
  /** Allows what the node gives to be used outside of the match as well; the node then stays in the graph. */
  shared(): this {
    this.node.shared = true;
    return this;
  }
}

export type Pattern =
  | OutputPattern
  | { readonly kind: 'slot'; readonly slot: SlotName; readonly inner?: Pattern }
  | { readonly kind: 'number'; readonly expected: number; readonly tolerance?: number }
  | { readonly kind: 'any'; readonly alternatives: readonly Pattern[] }
  | { readonly kind: 'absent' };

export interface SlotName {
  readonly name: string;
  readonly binding: Binding<unknown>;
}

/** A binding inside a pattern: alone it is a leaf; called with a pattern it names what that pattern matched. */
export interface Slot {
  (inner: PatternInput): Pattern;
  readonly slot: SlotName;
}
export type Slots<B extends Bindings> = { readonly [K in keyof B]: Slot };

/** A number stands for a real constant of one element near it; `undefined` for an omitted input. */
export type PatternInput = Pattern | Slot | number | undefined;

/** Inputs in order, then perhaps conditions on attributes. Inputs beyond those given must be absent. */
export type PatternArguments = readonly (PatternInput | AttributeConditions)[];
export type PatternOperator = (...parts: PatternArguments) => OutputPattern;

interface PatternParts {
  /** One of several operators with the same inputs. */
  oneOf(...opTypes: string[]): PatternOperator;
  /** The first of these that matches. */
  anyOf(...alternatives: PatternInput[]): Pattern;
  /** A constant of one element within a relative tolerance of `expected`. */
  near(expected: number, tolerance: number): Pattern;
  /** Operators of another domain: `op.domain<'MyNorm'>('my.domain').MyNorm($.x)`, where the names may be left out. */
  domain(name: 'com.microsoft'): PatternBuilder<MicrosoftOperator>;
  domain<Own extends OperatorName = OperatorName>(name: string): PatternBuilder<Own>;
}

/** What `pattern` is given: a function for each operator. `Name`: those that its domain is known to have. */
export type PatternBuilder<Name extends OperatorName = StandardOperator> = PatternParts &
  ByOperator<Name, PatternOperator>;

const ABSENT: Pattern = { kind: 'absent' };

/** Normalizes what an author may write for an input. */
export function toPattern(input: PatternInput): Pattern {
  if (input === undefined) return ABSENT;
  if (typeof input === 'number') return { kind: 'number', expected: input };
  if (typeof input === 'function') return { kind: 'slot', slot: input.slot };
  return input;
}

const isConditions = (part: PatternInput | AttributeConditions): part is AttributeConditions =>
  typeof part === 'object' && !('kind' in part && typeof part.kind === 'string' && KINDS.has(part.kind));
const KINDS = new Set(['output', 'slot', 'number', 'any', 'absent']);

function operator(opTypes: readonly string[], domain: string): PatternOperator {
  return (...parts) => {
    const last = parts.at(-1);
    const conditions = last !== undefined && isConditions(last) ? last : undefined;
    const inputs = (conditions === undefined ? parts : parts.slice(0, -1)) as PatternInput[];
    return new OutputPattern(
      { opTypes, domain, inputs: inputs.map(toPattern), attributes: conditions ?? {}, shared: false },
      0,
    );
  };
}

export function patternBuilder(domain = ''): PatternBuilder {
  const own = {
    oneOf: (...opTypes: string[]) => operator(opTypes, domain),
    anyOf: (...alternatives: PatternInput[]): Pattern => ({
      kind: 'any',
      alternatives: alternatives.map(toPattern),
    }),
    near: (expected: number, tolerance: number): Pattern => ({ kind: 'number', expected, tolerance }),
    domain: (name: string) => patternBuilder(name),
  };
  return new Proxy(own, {
    get: (target, name) =>
      name in target
        ? target[name as keyof typeof target]
        : typeof name === 'string'
          ? operator([name], domain)
          : undefined,
  }) as unknown as PatternBuilder;
}

/** The `$` of a pattern: a slot for each binding. */
export function slotsOf<B extends Bindings>(bind: B): Slots<B> {
  const slots = Object.entries(bind).map(([name, binding]): [string, Slot] => {
    const slot: SlotName = { name, binding };
    return [
      name,
      Object.assign((inner: PatternInput): Pattern => ({ kind: 'slot', slot, inner: toPattern(inner) }), {
        slot,
      }),
    ];
  });
  return Object.fromEntries(slots) as Slots<B>;
}

/** The node patterns that a root may end in: its alternatives' last nodes. */
export function rootNodes(pattern: Pattern): NodePattern[] {
  switch (pattern.kind) {
    case 'output':
      return [pattern.node];
    case 'any':
      return pattern.alternatives.flatMap(rootNodes);
    case 'slot':
      if (pattern.inner !== undefined) return rootNodes(pattern.inner);
  }
  throw new QuantcError('E_REWRITE_PATTERN', 'a pattern must end in an operator', { kind: 'usage' });
}

/** Names of all bindings that the pattern mentions. */
export function slotsIn(
  pattern: Pattern,
  found = new Set<string>(),
  seen = new Set<NodePattern>(),
): Set<string> {
  if (pattern.kind === 'slot') {
    found.add(pattern.slot.name);
    if (pattern.inner) slotsIn(pattern.inner, found, seen);
  } else if (pattern.kind === 'any') {
    for (const each of pattern.alternatives) slotsIn(each, found, seen);
  } else if (pattern.kind === 'output' && !seen.has(pattern.node)) {
    seen.add(pattern.node);
    for (const input of pattern.node.inputs) slotsIn(input, found, seen);
  }
  return found;
}

/** The fewest nodes that a match can have: the shortest alternatives, and what two branches share counted once. */
export function leastNodes(patterns: readonly Pattern[]): number {
  const count = (pattern: Pattern, counted: ReadonlySet<NodePattern>): ReadonlySet<NodePattern> => {
    if (pattern.kind === 'any') {
      const all = pattern.alternatives.map((each) => count(each, counted));
      return all.reduce((least, each) => (each.size < least.size ? each : least));
    }
    if (pattern.kind === 'slot') return pattern.inner === undefined ? counted : count(pattern.inner, counted);
    if (pattern.kind !== 'output' || counted.has(pattern.node)) return counted;
    return pattern.node.inputs.reduce(
      (sum, input) => count(input, sum),
      new Set([...counted, pattern.node]) as ReadonlySet<NodePattern>,
    );
  };
  return patterns.reduce((sum, pattern) => count(pattern, sum), new Set() as ReadonlySet<NodePattern>).size;
}
