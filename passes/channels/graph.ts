/**
 * Which channels of which values may be scaled together, each by a positive number of its own, so that no output of the
 * model changes.
 *
 * Every channel of every value is a variable. Operators that are positively homogeneous (Relu, pools, sums of equals)
 * tie variables of their inputs and outputs: scaling one scales the other. Operators with weights end a tie, since
 * their weights take the scale in; all others hold their variables at 1. What remains free may be chosen at will. Ties
 * make residual sums come out right by themselves: all that enters one is scaled alike, or nothing is.
 */
import { type Graph, isFloat, type Node, type Value } from '../../src/index.js';
import { endsOf } from './ends.js';
import { tiesOf } from './ties.js';

/** Where the channels of a value lie: along these axes, ascending, the last one running fastest. */
export interface Channels {
  readonly axes: readonly number[];
  readonly count: number;
}

/** Values whose channels are tied to each other, and the nodes at which the ties end. */
export interface Space {
  readonly values: readonly Value[];
  /** Nodes that give some of the values, and nodes that read some, whose constants take scales in. */
  readonly givers: readonly Node[];
  readonly readers: readonly Node[];
  /** The free variables of the space. */
  readonly variables: readonly number[];
}

/** The variable that stands for all channels that cannot be scaled. */
export const HELD = 0;

export class ChannelGraph {
  readonly #parent: number[] = [HELD];
  readonly #channels = new Map<Value, Channels & { readonly first: number }>();
  readonly #waiting: Value[] = [];
  /** Values that a node has tied together already; asked from another side, it may see finer channels. */
  readonly #tied = new Map<Node, ReadonlySet<Value>>();
  /** Products of two computed values: which of both takes the scale is decided when all else is known. */
  readonly #products = new Set<Node>();

  constructor(graph: Graph) {
    for (const node of graph.nodes()) {
      for (const { value, axes } of endsOf(node)) this.#place(value, axes);
      this.#spread();
    }
    for (const node of this.#products) this.#decide(node);
    this.#spread();
  }

  /** Where the channels of a value lie, where that is known. */
  channelsOf(value: Value): Channels | undefined {
    return this.#channels.get(value);
  }

  /** The variable of each channel of a value; `HELD` for those that cannot be scaled, and for values never reached. */
  variable(value: Value, channel: number): number {
    const channels = this.#channels.get(value);
    return channels === undefined ? HELD : this.#find(channels.first + channel);
  }

  /** Free channels, joined to spaces, in the order of the graph. */
  spaces(): Space[] {
    const byVariable = new Map<number, Value[]>();
    for (const [value, { count }] of this.#channels) {
      for (let channel = 0; channel < count; channel++) {
        const variable = this.variable(value, channel);
        if (variable === HELD) continue;
        const values = byVariable.get(variable) ?? [];
        if (values.at(-1) !== value) values.push(value);
        byVariable.set(variable, values);
      }
    }
    const spaces: Space[] = [];
    const seen = new Set<Value>();
    for (const [start] of byVariable.values()) {
      if (seen.has(start!)) continue;
      const values: Value[] = [];
      const variables = new Set<number>();
      const waiting = [start!];
      seen.add(start!);
      for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
        values.push(value);
        for (let channel = 0; channel < this.#channels.get(value)!.count; channel++) {
          const variable = this.variable(value, channel);
          if (variable === HELD || variables.has(variable)) continue;
          variables.add(variable);
          for (const next of byVariable.get(variable)!) {
            if (seen.has(next)) continue;
            seen.add(next);
            waiting.push(next);
          }
        }
      }
      spaces.push(this.#space(values, [...variables]));
    }
    return spaces;
  }

  #space(values: readonly Value[], variables: readonly number[]): Space {
    const givers = new Set<Node>();
    const readers = new Set<Node>();
    for (const value of values) {
      const takes = (node: Node, side: 'input' | 'output') =>
        endsOf(node).some((end) => end.side === side && end.value === value);
      if (value.producer && takes(value.producer, 'output')) givers.add(value.producer);
      for (const { node } of value.uses) if (takes(node, 'input')) readers.add(node);
    }
    return { values, givers: [...givers], readers: [...readers], variables };
  }

  #find(variable: number): number {
    let root = variable;
    while (this.#parent[root] !== root) root = this.#parent[root]!;
    for (let at = variable; at !== root; ) {
      const next = this.#parent[at]!;
      this.#parent[at] = root;
      at = next;
    }
    return root;
  }

  /** The lower one stands for both, so that HELD stands for all that is tied to it. */
  #union(a: number, b: number): void {
    const [first, second] = [this.#find(a), this.#find(b)];
    this.#parent[Math.max(first, second)] = Math.min(first, second);
  }

  /** Says where the channels of a value lie. Two answers, or none that a shape bears out, hold it. */
  #place(value: Value, axes: readonly number[]): void {
    const known = this.#channels.get(value);
    if (known !== undefined) {
      if (known.axes.length !== axes.length || known.axes.some((axis, at) => axis !== axes[at]))
        this.#hold(value);
      return;
    }
    const dims = axes.map((axis) => value.shape?.[axis]);
    const count = dims.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 0), 1);
    const first = this.#parent.length;
    for (let i = 0; i < count; i++) this.#parent.push(first + i);
    this.#channels.set(value, { axes, count, first });
    this.#waiting.push(value);
    if (
      count === 0 ||
      value.isInput ||
      value.isOutput ||
      value.isConstant ||
      !isFloat(value.dtype ?? 'bool') ||
      value.uses.some(({ node }) => node.graph !== value.graph)
    )
      this.#hold(value);
  }

  #hold(value: Value): void {
    const { first, count } = this.#channels.get(value)!;
    for (let i = 0; i < count; i++) this.#union(HELD, first + i);
  }

  #spread(): void {
    for (let value = this.#waiting.pop(); value !== undefined; value = this.#waiting.pop()) {
      const { axes } = this.#channels.get(value)!;
      const around = new Set<Node>(value.uses.map(({ node }) => node));
      if (value.producer) around.add(value.producer);
      for (const node of around) if (node.graph === value.graph) this.#cross(node, value, axes);
    }
  }

  /** Carries what is known of one value over to the others around a node. */
  #cross(node: Node, value: Value, axes: readonly number[]): void {
    const ends = endsOf(node).filter((end) => end.value === value);
    const inputs = node.inputs.filter((input) => input === value).length;
    const output = node.outputs.includes(value);
    // Every place at which the node touches the value must end there, or be tied.
    if (ends.length === inputs + (output ? 1 : 0)) return;
    if (isProduct(node)) {
      this.#products.add(node);
      return;
    }
    if (this.#tied.get(node)?.has(value)) return;
    const ties = ends.length === 0 ? tiesOf(node, value, axes) : undefined;
    if (ties === undefined) {
      this.#hold(value);
      return;
    }
    this.#tied.set(node, new Set(ties.map((tie) => tie.value)));
    const common: number[] = [];
    for (const { value: tied, axes: at, index } of ties) {
      this.#place(tied, at);
      const found = this.#channels.get(tied)!;
      if (found.axes.some((axis, i) => axis !== at[i])) continue;
      for (let channel = 0; channel < found.count; channel++) {
        const shared = index(channel);
        if (common[shared] === undefined) common[shared] = found.first + channel;
        else this.#union(common[shared], found.first + channel);
      }
    }
  }

  /** a·b: one factor hands its scale on to the product, the other keeps to 1: whichever cannot be scaled anyway. */
  #decide(node: Node): void {
    const [a, b] = node.inputs as readonly [Value, Value];
    const product = node.outputs[0]!;
    const held = (value: Value) => {
      const channels = this.#channels.get(value);
      return channels === undefined || this.variable(value, 0) === HELD;
    };
    const carrier = held(a) && !held(b) ? b : a;
    const other = carrier === a ? b : a;
    const axes = (this.#channels.get(carrier) ?? this.#channels.get(product))?.axes;
    const like = axes !== undefined && a !== b && carrier.shape?.length === product.shape?.length;
    for (const value of [product, carrier, other]) if (axes) this.#place(value, axes);
    this.#spread();
    if (this.#channels.has(other)) this.#hold(other);
    const [from, to] = [this.#channels.get(carrier), this.#channels.get(product)];
    if (like && from && to && from.count === to.count && from.axes.every((axis, i) => axis === to.axes[i])) {
      for (let i = 0; i < from.count; i++) this.#union(from.first + i, to.first + i);
    } else for (const value of [carrier, product]) if (this.#channels.has(value)) this.#hold(value);
  }
}

const isProduct = (node: Node): boolean =>
  node.is('Mul') && node.inputs.every((input) => input !== undefined && !input.isConstant);
