/**
 * Answers and keys as text: JSON, and what numbers need besides. JSON has neither infinities nor NaN nor -0 and writes
 * `null` or 0 for them without a word; here they come back as they went, and so do typed arrays of numbers.
 */
import { fault } from '../errors/error.js';

const ARRAYS = { Float64Array, Float32Array, Int32Array, Uint32Array, Uint8Array, Int8Array } as const;
type ArrayName = keyof typeof ARRAYS;

/** The mark of what JSON cannot say: `{"$": "NaN"}`, `{"$": "Float32Array", "base64": "…"}`. */
const MARK = '$';

/** How members of objects are put in order: as they came, for answers, or by their names, for keys. */
type Order = 'given' | 'sorted';

/**
 * Text that data can be had back from, members of objects in their order; those that are `undefined` are left out.
 * @param order `sorted` gives equal texts for equal data, in whatever order members were added
 * @throws QuantcError F_CACHE_DATA for what cannot be brought back: functions, bigints, maps, class instances
 */
export function textOf(data: unknown, order: Order = 'given'): string {
  switch (typeof data) {
    case 'string':
    case 'boolean':
      return JSON.stringify(data);
    case 'number':
      return Number.isFinite(data) && !Object.is(data, -0)
        ? JSON.stringify(data)
        : `{"${MARK}":"${Object.is(data, -0) ? '-0' : data}"}`;
    case 'object':
      return data === null ? 'null' : objectText(data, order);
    default:
      return fault('F_CACHE_DATA', `a ${typeof data} cannot be kept`);
  }
}

function objectText(data: object, order: Order): string {
  if (Array.isArray(data)) return `[${data.map((each) => textOf(each, order)).join()}]`;
  if (ArrayBuffer.isView(data) && data.constructor.name in ARRAYS) {
    const base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    return `{"${MARK}":"${data.constructor.name}","base64":"${base64}"}`;
  }
  const prototype: unknown = Object.getPrototypeOf(data);
  if ((prototype !== Object.prototype && prototype !== null) || MARK in data)
    fault('F_CACHE_DATA', `a ${data.constructor?.name ?? 'thing'} cannot be kept`);
  const members = Object.entries(data).filter(([, value]) => value !== undefined);
  if (order === 'sorted') members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${textOf(value, order)}`).join()}}`;
}

/** What a text of {@link textOf} stands for. @throws SyntaxError for what is none */
export function dataOf(text: string): unknown {
  return JSON.parse(text, (_name, value: unknown) => {
    if (typeof value !== 'object' || value === null || !(MARK in value)) return value;
    const mark = value[MARK as keyof typeof value] as string;
    if (!(mark in ARRAYS)) return Number(mark);
    const bytes = Uint8Array.from(Buffer.from((value as unknown as { base64: string }).base64, 'base64'));
    return new ARRAYS[mark as ArrayName](bytes.buffer);
  });
}
