/** Inputs that shall always have one value (a sample rate, a flag): what depends on them is decided while compiling. */
import type { DataSet, Feeds } from '../calibration/dataset.js';
import { QuantcError } from '../errors/error.js';
import { type DType, dtypeFacts } from '../ir/dtype.js';
import { addInitializer, replaceAllUses } from '../ir/edit.js';
import type { Model } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { elementCount, isStatic } from '../ir/type.js';

/** Numbers by the name of an input: one for all of its elements, or as many as it has. */
export type FixedInputs = Readonly<Record<string, number | readonly number[]>>;

/** Dtypes whose elements are told by a plain number. */
const SETTABLE = new Set<DType>([
  'float',
  'double',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
]);

const fixed = new WeakMap<Model, Feeds>();

/** What the inputs that were fixed must be fed, for those who draw feeds. */
export const fixedFeeds = (model: Model): Feeds => fixed.get(model) ?? {};

const usage = (code: string, message: string, value?: string, hint?: string): QuantcError =>
  new QuantcError(code, message, { kind: 'usage', place: value === undefined ? {} : { value }, hint });

/**
 * `sr=16000` or `order=0,2,1` → the name and its numbers.
 * @throws QuantcError E_FIX_FORM
 */
export function parseFixed(text: string): [name: string, numbers: number | readonly number[]] {
  const at = text.lastIndexOf('=');
  const name = text.slice(0, at).trim();
  const words = text
    .slice(at + 1)
    .split(',')
    .map((word) => word.trim());
  const numbers = words.map((word) => (word === '' ? Number.NaN : Number(word)));
  if (at < 1 || name === '' || numbers.some(Number.isNaN))
    throw usage('E_FIX_FORM', `"${text}" is not <input>=<number>`, undefined, 'For example --fix sr=16000.');
  return [name, numbers.length === 1 ? numbers[0]! : numbers];
}

/**
 * Puts constants where these inputs of a freshly read model are read. The inputs stay in the signature, read by nobody,
 * so that callers need not change.
 * @throws QuantcError E_FIX_UNKNOWN, E_FIX_TYPE for an input of no numbers, E_FIX_SHAPE, E_FIX_VALUE
 */
export function fixInputs(model: Model, values: FixedInputs): void {
  const feeds: Record<string, Tensor> = {};
  for (const [name, given] of Object.entries(values)) {
    const input = model.graph.inputs.find((each) => each.name === name && each.constant === undefined);
    if (input === undefined) {
      const names = model.graph.inputs.filter(({ constant }) => constant === undefined);
      throw usage(
        'E_FIX_UNKNOWN',
        `there is no input "${name}"`,
        undefined,
        `Inputs: ${names.map((each) => each.name).join(', ')}.`,
      );
    }
    const { type } = input;
    if (type?.kind !== 'tensor' || !SETTABLE.has(type.dtype))
      throw usage('E_FIX_TYPE', `input "${name}" holds no plain numbers`, name);
    if (!isStatic(type.shape))
      throw usage(
        'E_FIX_SHAPE',
        `the shape of input "${name}" is open: [${(type.shape ?? ['?']).map((dim) => dim ?? '?')}]`,
        name,
        'Give its dimensions sizes with --dim as well.',
      );
    const count = elementCount(type.shape);
    const numbers = typeof given === 'number' ? Array<number>(count).fill(given) : given;
    if (numbers.length !== count)
      throw usage('E_FIX_SHAPE', `input "${name}" has ${count} elements, not ${numbers.length}`, name);
    feeds[name] = tensorOf(name, type.dtype, type.shape, numbers);
    replaceAllUses(input, addInitializer(model.graph, feeds[name], `${name}_fixed`));
  }
  fixed.set(model, feeds);
}

function tensorOf(name: string, dtype: DType, shape: readonly number[], numbers: readonly number[]): Tensor {
  const { array, bits } = dtypeFacts(dtype);
  const wide = bits === 64 && dtype !== 'double';
  const data = new array(new ArrayBuffer((bits / 8) * numbers.length));
  numbers.forEach((number, at) => {
    if (wide && !Number.isSafeInteger(number)) throw usage('E_FIX_VALUE', `${number} is no ${dtype}`, name);
    data[at] = wide ? BigInt(number) : number;
    if (dtype !== 'float' && Number(data[at]) !== number)
      throw usage('E_FIX_VALUE', `${number} is no ${dtype}`, name);
  });
  return Tensor.of(dtype, shape, data);
}

/**
 * Data must feed what an input was fixed to, or the float model would be asked something else; the first feed tells.
 * @throws QuantcError E_FIX_DATA
 */
export async function checkFixed(model: Model, data: DataSet): Promise<void> {
  const wanted = Object.entries(fixedFeeds(model));
  if (wanted.length === 0) return;
  for await (const feeds of data.first(1)) {
    for (const [name, tensor] of wanted) {
      const fed = feeds[name];
      if (fed === undefined || Buffer.compare(fed.bytes(), tensor.bytes()) === 0) continue;
      throw new QuantcError('E_FIX_DATA', `input "${name}" was fixed to a value that the data do not feed`, {
        place: { file: data.source, value: name },
        hint: `The data begin with ${fed.toNumbers().slice(0, 4).join(', ')}.`,
      });
    }
  }
}
