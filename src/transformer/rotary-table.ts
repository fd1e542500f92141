/** The angles of a rotation as a table by position, read by running the nodes that compute them. */
import { constantOf } from '../ir/constant.js';
import type { Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { allowedSizes, inputsRead, isWholeNumber, type Prober, type Sizes } from './cone.js';
import { tensorOf } from './mask.js';
import type { Rotary } from './rotary.js';

/** cos and sin of every position, one number a pair: [positions, size / 2] each. */
export interface RotaryTable {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly positions: number;
  readonly pairs: number;
  /** The input that says where each token stands; undefined where tokens stand at 0, 1, 2 … */
  readonly positionIds: Value | undefined;
  /** Axis of the tokens in the rotation's input of four dimensions. */
  readonly tokenAxis: 1 | 2;
  /** True where the table was computed to a length of our choosing, and not stored in the model. */
  readonly isChosen: boolean;
}

/** Reads tables, each once: every layer turns by the same angles. */
export class RotaryTables {
  readonly #prober: Prober;
  readonly #longest: number;
  readonly #known = new Map<Value, Map<Value, Promise<RotaryTable | string>>>();
  /** @param longest positions to compute where the model does not store a table */
  constructor(prober: Prober, longest: number) {
    this.#prober = prober;
    this.#longest = longest;
  }

  /** The table of a rotation, or why there is none. */
  of(rotary: Rotary): Promise<RotaryTable | string> {
    const bySin = this.#known.get(rotary.cos) ?? new Map<Value, Promise<RotaryTable | string>>();
    this.#known.set(rotary.cos, bySin);
    const known = bySin.get(rotary.sin) ?? this.#read(rotary);
    bySin.set(rotary.sin, known);
    return known;
  }

  async #read(rotary: Rotary): Promise<RotaryTable | string> {
    const { cos, sin, size } = rotary;
    const reads = [...new Set([...inputsRead(cos), ...inputsRead(sin)])];
    if (reads.length > 1) return `angles are made from ${reads.map(({ name }) => name).join(' and ')}`;
    const [positionIds] = reads;
    if (positionIds !== undefined && !(isWholeNumber(positionIds.dtype) && positionIds.shape?.length === 2))
      return `angles are made from ${positionIds.name}, which holds no positions`;
    const { graph } = this.#prober.model;
    const stored = storedPositions([cos, sin], size);
    const [whole] = allowedSizes(graph, [{ batch: 1, length: stored ?? this.#longest }]);
    const arange = (_: number, token: number): number => token;
    const table = await this.#rows(rotary, whole!, positionIds, arange);
    if (typeof table === 'string') return table;
    const [few] = allowedSizes(graph, [{ batch: 2, length: 3 }]);
    // Positions out of order tell whether rows go by position, and not by place.
    const place = positionIds === undefined ? arange : (b: number, t: number): number => (t * 2 + b) % 3;
    const again = await this.#rows(rotary, few!, positionIds, place);
    if (typeof again === 'string') return again;
    for (const [from, to] of [
      [table.cos, again.cos],
      [table.sin, again.sin],
    ] as const)
      for (let row = 0; row * table.pairs < to.length; row++) {
        const position = place(Math.floor(row / few!.length), row % few!.length);
        for (let i = 0; i < table.pairs; i++)
          if (Math.abs(from[position * table.pairs + i]! - to[row * table.pairs + i]!) > 1e-6)
            return 'angles depend on more than the position';
      }
    const first = (rows: Float32Array): Float32Array => rows.slice(0, whole!.length * table.pairs);
    return {
      ...table,
      cos: first(table.cos),
      sin: first(table.sin),
      positions: whole!.length,
      positionIds,
      isChosen: stored === undefined,
    };
  }

  async #rows(
    rotary: Rotary,
    sizes: Sizes,
    positionIds: Value | undefined,
    place: (batch: number, token: number) => number,
  ) {
    const { batch, length } = sizes;
    const given = new Map<Value, Tensor>();
    if (positionIds !== undefined) {
      const numbers = Array.from({ length: batch * length }, (_, at) =>
        place(Math.floor(at / length), at % length),
      );
      given.set(positionIds, tensorOf(positionIds.dtype!, [batch, length], numbers)!);
    }
    const found = await this.#prober.run([rotary.cos, rotary.sin], sizes, given);
    if (typeof found === 'string') return found;
    const rows = found.map((tensor) => pairRows(tensor, rotary, length));
    const [cos, sin] = rows as [PairRows | string, PairRows | string];
    if (typeof cos === 'string') return cos;
    if (typeof sin === 'string') return sin;
    if (cos.tokenAxis !== sin.tokenAxis) return 'cos and sin are laid out differently';
    return { cos: cos.rows, sin: sin.rows, pairs: rotary.size / 2, tokenAxis: cos.tokenAxis };
  }
}

interface PairRows {
  readonly rows: Float32Array;
  readonly tokenAxis: 1 | 2;
}

/** One number a pair and row, from a tensor that says each twice or once. */
function pairRows(tensor: Tensor, { size, interleaved }: Rotary, length: number): PairRows | string {
  const { shape } = tensor;
  const last = shape.at(-1) ?? 0;
  const pairs = size / 2;
  if (last !== size && last !== pairs) return `rows of ${last} angles for ${size} numbers`;
  const padded = [...Array<number>(Math.max(0, 4 - shape.length)).fill(1), ...shape];
  if (padded.length !== 4) return 'angles have more than four dimensions';
  const tokenAxis = padded[2] === length ? 2 : padded[1] === length ? 1 : undefined;
  if (tokenAxis === undefined || padded[tokenAxis === 2 ? 1 : 2] !== 1) return 'angles differ by head';
  const all = tensor.toFloat32();
  if (last === pairs) return { rows: all, tokenAxis };
  const rows = new Float32Array(all.length / 2);
  for (let row = 0; row * size < all.length; row++)
    for (let i = 0; i < pairs; i++) {
      const [one, other] = interleaved ? [2 * i, 2 * i + 1] : [i, i + pairs];
      const angle = all[row * size + one]!;
      if (angle !== all[row * size + other]!) return 'the two numbers of a pair are turned differently';
      rows[row * pairs + i] = angle;
    }
  return { rows, tokenAxis };
}

/** Rows of the tables that the model stores and cuts from; undefined where angles are computed. */
function storedPositions(values: readonly Value[], size: number): number | undefined {
  const rows = values.map((value) => {
    const seen = new Set<Value>();
    const stack = [value];
    while (stack.length > 0 && seen.size < 100) {
      const at = stack.pop()!;
      if (seen.has(at)) continue;
      seen.add(at);
      const tensor = constantOf(at);
      const last = tensor?.shape.at(-1);
      if (tensor !== undefined && tensor.count > size && (last === size || last === size / 2))
        return tensor.count / last;
      for (const input of at.producer?.inputs ?? []) if (input !== undefined) stack.push(input);
    }
    return undefined;
  });
  const [first] = rows;
  return first !== undefined && rows.every((each) => each === first) ? first : undefined;
}
