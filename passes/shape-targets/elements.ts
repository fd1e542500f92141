/** What is known, ahead of any run, of the small integer vectors that graphs compute shapes with. */
import {
  axisFromFront,
  constantNumbers,
  constantOf,
  type Node,
  readsFunctionAttributes,
  type Value,
} from '../../src/index.js';
import { type Known, SIZE_RULES, type Sizes } from './sizes.js';

/** A number; the symbol of a size that is the same wherever the symbol is met; or nothing known. */
export type Element = number | string | undefined;

/** A vector, or a scalar, element by element. */
export interface Elements {
  readonly list: readonly Element[];
  readonly scalar: boolean;
}

type Read = (index: number) => Elements | undefined;
type Rule = (
  node: Node,
  read: Read,
  sizes: (value: Value) => readonly Element[] | undefined,
) => Elements | undefined;

/** Longer vectors are no shapes. */
const LONGEST = 64;

/** How symbols of named sizes begin. */
export const NAMED = 'named ';

const vector = (list: readonly Element[]): Elements => ({ list, scalar: false });

/** A bound as Shape and Slice read it: counted from the end where negative, inside of the vector in any case. */
const clamp = (bound: number, length: number): number =>
  Math.min(length, Math.max(0, bound < 0 ? bound + length : bound));

/** Combines elements pair by pair, one against all where one is alone. */
function paired(combine: (a: Element, b: Element) => Element): Rule {
  return (_, read) => {
    const [a, b] = [read(0), read(1)];
    if (a === undefined || b === undefined) return undefined;
    const length = Math.max(a.list.length, b.list.length);
    if ([a, b].some(({ list }) => list.length !== 1 && list.length !== length)) return undefined;
    const at = ({ list }: Elements, index: number): Element => list[list.length === 1 ? 0 : index];
    return {
      list: Array.from({ length }, (_each, index) => combine(at(a, index), at(b, index))),
      scalar: a.scalar && b.scalar,
    };
  };
}

const RULES: Readonly<Record<string, Rule>> = {
  Shape: (node, _, sizes) => {
    const list = sizes(node.inputs[0]!);
    if (list === undefined) return undefined;
    const { length } = list;
    return vector(list.slice(clamp(node.int('start', 0), length), clamp(node.int('end', length), length)));
  },
  Gather: (node, read) => {
    const data = read(0);
    const indices = constantNumbers(node.inputs[1]);
    const rank = constantOf(node.inputs[1])?.shape.length;
    if (data === undefined || data.scalar || indices === undefined || rank === undefined || rank > 1)
      return undefined;
    const at = indices.map((index) => axisFromFront(index, data.list.length));
    if (at.includes(undefined)) return undefined;
    return { list: at.map((index) => data.list[index!]), scalar: rank === 0 };
  },
  Slice: (node, read) => {
    const data = read(0);
    if (data === undefined || data.scalar) return undefined;
    const bound = (index: number, name: string): number | undefined => {
      const list = node.inputs[index] ? constantNumbers(node.inputs[index]) : node.ints(name);
      return list?.length === 1 ? list[0] : undefined;
    };
    const [start, end] = [bound(1, 'starts'), bound(2, 'ends')];
    if (start === undefined || end === undefined || (node.inputs[4] && bound(4, '') !== 1)) return undefined;
    return vector(data.list.slice(clamp(start, data.list.length), clamp(end, data.list.length)));
  },
  Concat: (node, read) => {
    const parts = node.inputs.map((_, index) => read(index));
    if (parts.some((part) => part === undefined || part.scalar)) return undefined;
    return vector(parts.flatMap((part) => part!.list));
  },
  Squeeze: (_, read) => {
    const data = read(0);
    return data?.list.length === 1 ? { list: data.list, scalar: true } : undefined;
  },
  Unsqueeze: (node, read) => (read(0)?.scalar && isVector(node) ? vector(read(0)!.list) : undefined),
  Reshape: (node, read) => {
    const data = read(0);
    const rank = node.outputs[0]!.shape?.length;
    return data === undefined || rank === undefined || rank > 1
      ? undefined
      : { list: data.list, scalar: rank === 0 };
  },
  Cast: (node, read) => (node.int('to') === 6 || node.int('to') === 7 ? read(0) : undefined),
  ConstantOfShape: (node) => {
    const length = node.outputs[0]!.shape?.[0];
    const value = node.tensor('value');
    if (!isVector(node) || typeof length !== 'number' || value?.dtype !== 'int64') return undefined;
    return vector(Array<Element>(length).fill(value.toNumbers()[0]));
  },
  // Sizes are never negative, so that a symbol never equals −1.
  Equal: paired((a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return Number(a === b);
    const [number, symbol] = typeof a === 'number' ? [a, b] : [b, a];
    if (typeof symbol === 'string' && typeof number === 'number' && number < 0) return 0;
    return typeof a === 'string' && a === b ? 1 : undefined;
  }),
  Where: (_, read) => {
    const [condition, yes, no] = [read(0), read(1), read(2)];
    if (condition === undefined || yes === undefined || no === undefined) return undefined;
    const { length } = condition.list;
    if (condition.scalar || yes.list.length !== length || no.list.length !== length) return undefined;
    return vector(
      condition.list.map((chosen, index) =>
        chosen === undefined ? undefined : chosen !== 0 ? yes.list[index] : no.list[index],
      ),
    );
  },
  Mul: paired((a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return a * b;
    return a === 1 ? b : b === 1 ? a : undefined;
  }),
  Add: paired((a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return a + b;
    return a === 0 ? b : b === 0 ? a : undefined;
  }),
};

const isVector = (node: Node): boolean => node.outputs[0]!.shape?.length === 1;

/**
 * Answers what is known of the values of a graph. Nodes are shown to it in order ({@link visit}), so that what it is
 * asked for was worked out from what it knew already.
 */
export class ElementReader implements Known {
  readonly #elements = new Map<Value, Elements | undefined>();
  readonly #sizes = new Map<Value, Sizes | undefined>();
  #symbols = 0;

  /** The sizes of a value, those that are open under a symbol of their own; undefined where the rank is not known. */
  sizes(value: Value | undefined): Sizes | undefined {
    if (value === undefined) return undefined;
    if (!this.#sizes.has(value)) this.#sizes.set(value, this.#named(value, undefined));
    return this.#sizes.get(value);
  }

  /** The elements of an integer or boolean vector or scalar of known length; undefined for anything else. */
  elements(value: Value | undefined): Elements | undefined {
    if (value === undefined) return undefined;
    if (!this.#elements.has(value)) this.#elements.set(value, this.#elementsOf(value));
    return this.#elements.get(value);
  }

  /** Says more of a value's elements than can be seen of it. */
  know(value: Value, elements: Elements): void {
    this.#elements.set(value, elements);
  }

  /** Works out what a node gives. */
  visit(node: Node): void {
    const rule = node.domain === '' && !readsFunctionAttributes(node) ? SIZE_RULES[node.opType] : undefined;
    for (const output of node.outputs) {
      if (output.isOmitted) continue;
      const carried = rule && (output.index === 0 || node.opType === 'Split') ? rule(node, this) : undefined;
      this.#sizes.set(output, this.#named(output, carried));
      this.elements(output);
    }
  }

  /** The type's sizes, completed by those carried forward, and by new symbols. */
  #named({ shape }: Value, carried: Sizes | undefined): Sizes | undefined {
    if (shape === undefined || (carried !== undefined && carried.length !== shape.length)) {
      return shape === undefined
        ? carried?.map((size) => size ?? this.#symbol())
        : this.#named({ shape } as Value, undefined);
    }
    return shape.map((dim, axis) => {
      if (typeof dim === 'number' && dim >= 0) return dim;
      const size = carried?.[axis];
      if (typeof size === 'number') return size;
      return typeof dim === 'string' ? NAMED + dim : (size ?? this.#symbol());
    });
  }

  #symbol(): string {
    this.#symbols += 1;
    return `open ${this.#symbols}`;
  }

  #elementsOf(value: Value): Elements | undefined {
    if (value.dtype !== 'int64' && value.dtype !== 'int32' && value.dtype !== 'bool') return undefined;
    const shape = this.sizes(value);
    if (shape === undefined || shape.length > 1) return undefined;
    const constant = constantNumbers(value);
    if (constant !== undefined) {
      return constant.length > LONGEST || !constant.every(Number.isSafeInteger)
        ? undefined
        : { list: constant, scalar: shape.length === 0 };
    }
    const node = value.producer;
    const rule = node?.domain === '' && !readsFunctionAttributes(node) ? RULES[node.opType] : undefined;
    const found =
      rule &&
      node &&
      rule(
        node,
        (index) => this.elements(node.inputs[index]),
        (input) => this.sizes(input),
      );
    if (found !== undefined && found.list.length <= LONGEST) return found;
    const length = shape.length === 0 ? 1 : shape[0]!;
    return typeof length === 'number' && length <= LONGEST
      ? { list: Array<Element>(length).fill(undefined), scalar: shape.length === 0 }
      : undefined;
  }
}
