/**
 * Rewrites: pattern → check → replace, compiled to a pass. The driver alone changes the graph; `check` and `replace`
 * only say what should happen.
 */
import { QuantcError } from '../errors/error.js';
import type { Graph, Model, Node, Value } from '../ir/graph.js';
import type { Fact, Pass, PassContext } from '../pipeline/pass.js';
import { apply, place, usedOutside } from './apply.js';
import type { Bindings, Bound } from './binding.js';
import { type Match, matchAt, type NearMiss } from './match.js';
import {
  leastNodes,
  type Pattern,
  type PatternBuilder,
  type PatternInput,
  patternBuilder,
  rootNodes,
  type Slots,
  slotsIn,
  slotsOf,
  toPattern,
} from './pattern.js';
import { type ReplacementBuilder, type ReplacementInput, replacementBuilder } from './replacement.js';

/** Why a match is left alone: a reason, perhaps with the place that it is about. */
export interface Refusal {
  readonly reason: string;
  readonly at?: Node | Value;
}
export type Verdict = true | string | Refusal;

/** Declines a match for a reason that lies at `at`. */
export const no = (reason: string, at?: Node | Value): Refusal => ({ reason, at });

/** Where a match was found. */
export interface Site {
  readonly root: Node;
  readonly graph: Graph;
  readonly model: Model;
  /** Version of ai.onnx that the graph is written in. */
  readonly opset: number;
}

export interface RewriteOptions<B extends Bindings> {
  readonly name: string;
  /** One line: before → after, and the algebra that makes it right. */
  readonly doc: string;
  readonly needs?: readonly Fact[];
  /** Lowest version of ai.onnx that the replacement can be written in. */
  readonly opset?: number;
  /** What each name of the pattern stands for; `check` and `replace` get them with their types. */
  readonly bind: B;
  /** What to look for: its last node, or several where more than one value leaves. */
  readonly pattern: (op: PatternBuilder, $: Slots<B>) => PatternInput | readonly PatternInput[];
  /** Says whether the match may be replaced, or why not. Must change nothing. */
  readonly check?: (match: Bound<B>, site: Site) => Verdict;
  /** What takes the place of the pattern's outputs, one each. Plans nodes with `op`; must change nothing itself. */
  readonly replace: (
    match: Bound<B>,
    op: ReplacementBuilder,
    site: Site,
  ) => ReplacementInput | readonly ReplacementInput[];
}

/** A rewrite, ready to match; its bindings' types are forgotten. */
export interface Rule {
  readonly name: string;
  readonly opset: number;
  readonly roots: readonly Pattern[];
  /** So many nodes must have fitted for a miss to be worth telling; else every Mul of a graph would be told of. */
  readonly nearness: number;
  /** Operators that the first root may end in. */
  readonly anchors: ReadonlySet<string>;
  readonly check: (match: Bound<Bindings>, site: Site) => Verdict;
  readonly replace: (
    match: Bound<Bindings>,
    op: ReplacementBuilder,
    site: Site,
  ) => ReplacementInput | readonly ReplacementInput[];
}
/** A pass made of rewrites. */
export interface RewritePass extends Pass {
  readonly rules: readonly Rule[];
}

/**
 * Declares a rewrite as a pass. By default the values between the pattern's inputs and outputs must not be used
 * elsewhere; `.shared()` on a pattern lifts that for one node.
 * @throws QuantcError E_REWRITE_PATTERN, E_REWRITE_BINDING when the pattern cannot mean anything.
 */
export function rewrite<const B extends Bindings>(options: RewriteOptions<B>): RewritePass {
  const written = options.pattern(patternBuilder(), slotsOf(options.bind));
  const roots = (Array.isArray(written) ? (written as PatternInput[]) : [written as PatternInput]).map(
    toPattern,
  );
  const mentioned = roots.reduce((found, root) => slotsIn(root, found), new Set<string>());
  const idle = Object.keys(options.bind).find((name) => !mentioned.has(name));
  if (idle !== undefined) {
    throw new QuantcError('E_REWRITE_BINDING', `the pattern of ${options.name} never mentions "${idle}"`, {
      kind: 'usage',
    });
  }
  const rule: Rule = {
    name: options.name,
    opset: options.opset ?? 1,
    roots,
    nearness: Math.max(2, Math.ceil((2 / 3) * leastNodes(roots))),
    anchors: new Set(
      rootNodes(roots[0]!).flatMap(({ domain, opTypes }) => opTypes.map((each) => `${domain}:${each}`)),
    ),
    check: (options.check as Rule['check'] | undefined) ?? (() => true),
    replace: options.replace as Rule['replace'],
  };
  return passOf(options.name, options.doc, [rule], options.needs);
}

/** Several rewrites as one pass: at each node the first that matches and is not declined is applied. */
rewrite.group = (name: string, doc: string, rewrites: readonly RewritePass[]): RewritePass =>
  passOf(
    name,
    doc,
    rewrites.flatMap((each) => each.rules),
    [...new Set(rewrites.flatMap((each) => each.needs ?? []))],
  );

/** Walks of one graph before the driver stops; each must have changed something, so two or three are the rule. */
const MOST_SWEEPS = 32;

function passOf(name: string, doc: string, rules: readonly Rule[], needs?: readonly Fact[]): RewritePass {
  const byAnchor = new Map<string, Rule[]>();
  for (const rule of rules)
    for (const anchor of rule.anchors) byAnchor.set(anchor, [...(byAnchor.get(anchor) ?? []), rule]);
  return {
    name,
    doc,
    needs,
    rules,
    run(model, context) {
      const walk = (graph: Graph, opsets: Map<string, number>, isFunction: boolean): void => {
        for (const inner of graph.withSubgraphs())
          new Driver(name, byAnchor, model, context, inner, opsets, isFunction).run();
      };
      walk(model.graph, model.opsets, false);
      for (const each of model.functions) walk(each.body, each.opsets, true);
    },
  };
}

/** A rewrite was made; the walk goes on at `next`. */
interface Rewritten {
  readonly next: Node | undefined;
}

class Driver {
  #declines = new Map<Node, { reason: string; at: Node | Value }>();
  #rewritten = 0;
  constructor(
    readonly pass: string,
    readonly rules: ReadonlyMap<string, readonly Rule[]>,
    readonly model: Model,
    readonly context: PassContext,
    readonly graph: Graph,
    readonly opsets: Map<string, number>,
    readonly isFunction: boolean,
  ) {}

  run(): void {
    const limit = 8 * this.graph.nodeCount + 64;
    for (let sweep = 0; ; sweep++) {
      this.#declines.clear();
      const before = this.#rewritten;
      for (let node = this.graph.first; node !== undefined; ) {
        const resume = this.#visit(node);
        // What was put in the node's place may be the end of a next match: go on from there.
        node = resume === undefined ? node.next : resume.next;
        if (this.#rewritten > limit) this.#endless();
      }
      if (this.#rewritten === before) break;
      if (sweep === MOST_SWEEPS) this.#endless();
    }
    for (const { reason, at } of this.#declines.values()) this.context.decline(reason, at);
  }

  #endless(): never {
    throw new QuantcError('E_REWRITE_ENDLESS', `${this.pass} keeps rewriting what it has made`, {
      kind: 'fault',
      place: { pass: this.pass, graph: this.graph.name },
      hint: 'The replacement must not match the pattern again; let check decline it.',
    });
  }

  #visit(node: Node): Rewritten | undefined {
    for (const rule of this.rules.get(`${node.domain}:${node.opType}`) ?? []) {
      const done = this.#try(rule, node);
      if (done !== undefined) return done;
    }
    return undefined;
  }

  #try(rule: Rule, root: Node): Rewritten | undefined {
    const decline = (reason: string, at: Node | Value = root): undefined => {
      const named = rule.name === this.pass ? reason : `${rule.name}: ${reason}`;
      if (!this.#declines.has(root)) this.#declines.set(root, { reason: named, at });
      return undefined;
    };
    const match = matchAt(rule.roots, root);
    if (!('roots' in match))
      return match.matched.length >= rule.nearness ? decline(missText(match)) : undefined;
    const opset = this.opsets.get('') ?? 1;
    if (opset < rule.opset) return decline(`needs opset ${rule.opset}, the graph is written in ${opset}`);
    const outside = usedOutside(match);
    if (outside !== undefined) return decline(outside);
    const placement = place(match);
    if (typeof placement === 'string') return decline(placement);
    const version = this.graph.version;
    const site: Site = { root, graph: this.graph, model: this.model, opset };
    const bound = Object.fromEntries(match.bound) as Bound<Bindings>;
    const verdict = this.#asked(rule, 'check', root, () => rule.check(bound, site));
    if (verdict !== true) {
      return typeof verdict === 'string' ? decline(verdict) : decline(verdict.reason, verdict.at);
    }
    const planned = this.#asked(rule, 'replace', root, () => rule.replace(bound, replacementBuilder(), site));
    if (this.graph.version !== version) {
      throw new QuantcError('E_REWRITE_EDIT', `${rule.name} edits the graph in check or replace`, {
        kind: 'fault',
        place: { pass: this.pass, node: root.label },
        hint: 'Answer with new nodes made by op; the driver puts them into the graph.',
      });
    }
    const replacements = Array.isArray(planned) ? planned : [planned as ReplacementInput];
    this.#expectAll(rule, match, replacements);
    this.context.changed(rule.name, root);
    const { domains, next } = apply(match, placement, replacements, this.isFunction);
    for (const domain of domains) if (!this.opsets.has(domain)) this.opsets.set(domain, 1);
    this.#rewritten += 1;
    return { next };
  }

  /** What the author's code answers; what it throws tells the node. */
  #asked<T>(rule: Rule, what: string, root: Node, ask: () => T): T {
    try {
      return ask();
    } catch (cause) {
      if (cause instanceof QuantcError && cause.place.node !== undefined) throw cause;
      const known = cause instanceof QuantcError ? cause : undefined;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new QuantcError(known?.code ?? 'F_REWRITE', `${what} of ${rule.name}: ${message}`, {
        kind: known?.kind ?? 'fault',
        place: { ...known?.place, pass: this.pass, node: root.label },
        hint: known?.hint,
        cause,
      });
    }
  }

  #expectAll(rule: Rule, match: Match, replacements: readonly ReplacementInput[]): void {
    const missing = match.roots.findIndex(
      (root, index) => replacements[index] === undefined && (root.uses.length > 0 || root.isOutput),
    );
    if (missing < 0) return;
    throw new QuantcError(
      'E_REWRITE_OUTPUT',
      `${rule.name} gives nothing for output ${missing}, which is used`,
      {
        kind: 'fault',
        place: { pass: this.pass, value: match.roots[missing]!.name },
      },
    );
  }
}

const missText = (miss: NearMiss): string =>
  `${miss.matched.map((each) => each.opType).join(' ← ')} fits, but ${miss.reason}`;
