import { type DType, definePass, dtypeFacts, removeNode, replaceAllUses, setInput } from '../src/index.js';

/** Digits of the significand, the hidden one included, and the largest exponent, of floats that Cast handles plainly. */
const SIGNIFICAND: Partial<Record<DType, number>> = { bfloat16: 8, float16: 11, float: 24, double: 53 };
const EXPONENT: Partial<Record<DType, number>> = { float16: 5, bfloat16: 8, float: 8, double: 11 };

interface Range {
  /** Bits of the magnitude. */
  readonly bits: number;
  readonly signed: boolean;
}

/** What an integer or boolean dtype of at least a byte holds. */
function rangeOf(dtype: DType): Range | undefined {
  const { kind, bits } = dtypeFacts(dtype);
  if (kind === 'bool') return { bits: 1, signed: false };
  if (bits < 8) return undefined;
  if (kind === 'int') return { bits: bits - 1, signed: true };
  return kind === 'uint' ? { bits, signed: false } : undefined;
}

/** True when every value of `from` is a value of `to`, so that casting there and reading it back loses nothing. */
export function holds(to: DType, from: DType): boolean {
  if (to === from) return true;
  const narrow = rangeOf(from);
  const wide = rangeOf(to);
  if (narrow !== undefined && to !== 'bool') {
    if (wide !== undefined) return wide.bits >= narrow.bits && (wide.signed || !narrow.signed);
    // The magnitude of the lowest integer is a power of two; of the floats only float16 could be too short for it.
    const digits = SIGNIFICAND[to];
    return digits !== undefined && digits >= narrow.bits && !(to === 'float16' && narrow.bits > 15);
  }
  const [short, long] = [SIGNIFICAND[from], SIGNIFICAND[to]];
  return short !== undefined && long !== undefined && long >= short && EXPONENT[to]! >= EXPONENT[from]!;
}

/**
 * True when `from → through → to` is `from → to` whatever the value. `through` must hold all values of `from`; then the
 * second cast sees the same number as a direct one would. An integer that reaches a smaller integer by way of a float
 * is left alone: integers wrap around, floats do not.
 */
export function castsDirectly(from: DType, through: DType, to: DType): boolean {
  if (SIGNIFICAND[to] === undefined && rangeOf(to) === undefined) return false;
  if (!holds(through, from)) return false;
  const wraps = rangeOf(from) !== undefined && rangeOf(to) !== undefined && rangeOf(through) === undefined;
  return !wraps || to === 'bool' || holds(to, from);
}

/**
 * `Cast<C>(Cast<B>(x))` → `Cast<C>(x)`, and → `x` where C is x's own dtype, if B holds every value of x's dtype.
 *
 * A widening cast keeps the number as it is, so what is cast next is the same number. Covers booleans, integers of 8 to
 * 64 bits, float16, bfloat16, float and double.
 */
export const mergeCasts = definePass({
  name: 'merge-casts',
  doc: 'Cast<C>(Cast<B>(x)) → Cast<C>(x), where B holds every value of x; C the dtype of x → x',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        const inner = node.inputs[0]?.producer;
        if (!node.is('Cast') || !inner?.is('Cast')) continue;
        const source = inner.inputs[0];
        const [from, through, to] = [source?.dtype, inner.outputs[0]!.dtype, node.outputs[0]!.dtype];
        if (source === undefined || from === undefined || through === undefined || to === undefined) continue;
        if (!castsDirectly(from, through, to)) {
          decline(`${from} → ${through} → ${to} may lose what ${from} → ${to} keeps`, node);
          continue;
        }
        changed(`${from} → ${through} → ${to} casts directly`, node);
        if (from === to) {
          replaceAllUses(node.outputs[0]!, source);
          removeNode(node);
        } else setInput(node, 0, source);
      }
    }
  },
});
