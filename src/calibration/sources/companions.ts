/** What a transformer wants beside its token ids and what follows from them. */
import { dtypeFacts, isFloat, isInteger } from '../../ir/dtype.js';
import { Tensor } from '../../ir/tensor.js';
import type { InputSignature } from '../dataset.js';
import type { RowSource } from '../rows.js';

/** An element by its place in the row and whether a token is there or padding. */
const COMPANIONS: Readonly<Record<string, (at: number, real: boolean) => number>> = {
  attention_mask: (_, real) => (real ? 1 : 0),
  position_ids: (at) => at,
  token_type_ids: () => 0,
};

/** The samples of such an input for windows of tokens, or undefined where it is none of them. */
export function companionOf(input: InputSignature, tokens: RowSource): RowSource | undefined {
  const rule = COMPANIONS[input.name];
  const type = input.type?.kind === 'tensor' ? input.type : undefined;
  const dtype = type?.dtype ?? 'int64';
  const fits = isInteger(dtype) || dtype === 'bool' || (isFloat(dtype) && input.name === 'attention_mask');
  if (rule === undefined || !fits || (type?.shape && type.shape.length !== 2)) return undefined;
  const [count, length] = tokens.shape as [number, number];
  const stored = dtype === 'bool' ? 'bool' : 'int32';
  const { array } = dtypeFacts(stored);
  return {
    file: tokens.file,
    dtype: stored,
    shape: [count, length],
    rows(start, some) {
      const data = new array(new ArrayBuffer(some * length * array.BYTES_PER_ELEMENT));
      for (let row = 0; row < some; row++) {
        const real = tokens.lengthOf?.(start + row) ?? length;
        for (let at = 0; at < length; at++) data[row * length + at] = rule(at, at < real);
      }
      return Tensor.of(stored, [some, length], data);
    },
    // All of it follows from the name and from the tokens, which are hashed themselves.
    hashRows: () => {},
  };
}
