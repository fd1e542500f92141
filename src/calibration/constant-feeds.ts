import { QuantcError } from '../errors/error.js';
import { dtypeFacts } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import type { Feeds } from './dataset.js';
import type { ConstantFeed } from './manifest.js';

/**
 * The inputs that a `data.json` fixes, as tensors.
 * @throws QuantcError E_DATA_MANIFEST where a value does not fit its dtype and shape
 */
export function constantFeeds(constants: Readonly<Record<string, ConstantFeed>>, file: string): Feeds {
  const feeds: Record<string, Tensor> = {};
  for (const [name, { dtype, value, shape }] of Object.entries(constants)) {
    const values = (Array.isArray(value) ? value : [value]).map(Number);
    const dims = shape ?? (Array.isArray(value) ? [values.length] : []);
    const { array, bits, kind } = dtypeFacts(dtype);
    const plain = bits >= 8 && !(kind === 'float' && bits < 32) && kind !== 'complex' && kind !== 'string';
    const whole = kind === 'float' || values.every(Number.isSafeInteger);
    if (!plain || !whole || elementCount(dims) !== values.length) {
      throw new QuantcError('E_DATA_MANIFEST', `constant "${name}" cannot be ${dtype}[${dims}]`, {
        place: { file, value: name },
      });
    }
    const data = new array(new ArrayBuffer((bits / 8) * values.length));
    values.forEach((each, i) => {
      data[i] = bits === 64 && kind !== 'float' ? BigInt(each) : each;
    });
    feeds[name] = Tensor.of(dtype, dims, data);
  }
  return feeds;
}
