/** What a decoder with a cache is fed where nothing is past: as the float model, which knows no past, is fed. */
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';
import type { Port } from './session.js';

const PAST = /^past_key_values\.(\d+)\.(key|value)$/;

/** The inputs that hold keys and values of earlier tokens. */
export const cacheInputs = (inputs: readonly Port[]): Port[] => inputs.filter(({ name }) => PAST.test(name));

/** Name of the output that becomes this input of the next run. */
export const presentOf = (past: string): string => past.replace(PAST, 'present.$1.$2');

/**
 * Keys and values of no token, as a first run takes them: [batch, heads, 0, size] each.
 * @throws QuantcError E_DECODE where the model does not say heads and size
 */
export function emptyCache(inputs: readonly Port[], batch = 1): Record<string, Tensor> {
  const empty: Record<string, Tensor> = {};
  for (const { name, type } of cacheInputs(inputs)) {
    const [, heads, , size] = (type?.kind === 'tensor' && type.shape) || [];
    if (type?.kind !== 'tensor' || typeof heads !== 'number' || typeof size !== 'number') {
      throw new QuantcError('E_DECODE', `"${name}" does not say its heads and their size`, {
        kind: 'usage',
        place: { value: name },
      });
    }
    empty[name] = Tensor.of(type.dtype, [batch, heads, 0, size], new Uint8Array(0));
  }
  return empty;
}

/**
 * Feeds completed for a first run: where a model has a cache and the feeds do not give it, nothing is past, every
 * token counts (`attention_mask`), and positions start at 0 (`position_ids`). Other models' feeds are left alone.
 */
export function withoutPast(
  inputs: readonly Port[],
  feeds: Readonly<Record<string, Tensor>>,
): Readonly<Record<string, Tensor>> {
  const cache = cacheInputs(inputs);
  if (cache.length === 0 || cache.some(({ name }) => feeds[name] !== undefined)) return feeds;
  const names = new Set(inputs.map(({ name }) => name));
  const tokens = Object.entries(feeds).find(([name, { shape }]) => names.has(name) && shape.length >= 2)?.[1];
  const [batch, length] = tokens?.shape ?? [];
  if (batch === undefined || length === undefined) return feeds;
  const each = (make: (token: number) => number): Tensor =>
    Tensor.ints(
      Array.from({ length: batch * length }, (_, at) => make(at % length)),
      [batch, length],
    );
  return {
    ...emptyCache(cache, batch),
    ...(names.has('attention_mask') && { attention_mask: each(() => 1) }),
    ...(names.has('position_ids') && { position_ids: each((token) => token) }),
    ...feeds,
  };
}
