/** Weights by law: nearly normal, the same on every machine, drawn fast enough for billions of them. */
import { Float16Array } from '@petamoriken/float16';
import { Tensor } from '../../src/ir/tensor.js';

export type DrawnType = 'float' | 'float16';

/** Steps of a table from which weights are drawn: 2^16 numbers whose spread is 1. */
const STEPS = 1 << 16;
let table: Float32Array | undefined;

/** Sums of four uniform numbers, which are nearly normal and need no function that machines round differently. */
function normalTable(): Float32Array {
  if (table !== undefined) return table;
  table = new Float32Array(STEPS);
  const next = generator(1);
  for (let i = 0; i < STEPS; i++) {
    let sum = -2;
    for (let k = 0; k < 4; k++) sum += (next() >>> 8) * 2 ** -24;
    table[i] = sum * Math.sqrt(3);
  }
  return table;
}

/** 32 bits a call, from a xorshift generator. */
function generator(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}

/** A weight that is drawn when somebody asks for its bytes. */
export function drawn(
  name: string,
  shape: readonly number[],
  seed: number,
  spread: number,
  middle: number,
  dtype: DrawnType,
): Tensor {
  const count = shape.reduce((product, dim) => product * dim, 1);
  return Tensor.derive(
    dtype,
    shape,
    [],
    () => {
      const scaled = normalTable().map((value) => middle + value * spread);
      const [from, values] =
        dtype === 'float'
          ? [scaled, new Float32Array(count)]
          : [new Uint16Array(Float16Array.from(scaled).buffer), new Uint16Array(count)];
      const next = generator(seed);
      for (let i = 0; i < count; i++) values[i] = from[next() >>> 16]!;
      return values;
    },
    { name },
  );
}

/** `cos_table` and `sin_table` [positions, size]: the angles of rotary embedding, base 10000. */
export function rotaryTables(positions: number, size: number, dtype: DrawnType): Tensor[] {
  const angles = Array.from({ length: size / 2 }, (_, i) => 10000 ** ((-2 * i) / size));
  return (['cos', 'sin'] as const).map((name) => {
    const values = new Float32Array(positions * size);
    for (let p = 0; p < positions; p++) {
      for (let i = 0; i < size; i++) values[p * size + i] = Math[name](p * angles[i % (size / 2)]!);
    }
    const data = dtype === 'float' ? values : Float16Array.from(values);
    return Tensor.of(dtype, [positions, size], data, { name: `${name}_table` });
  });
}
