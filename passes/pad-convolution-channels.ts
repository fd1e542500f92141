import {
  constantOf,
  dtypeFacts,
  type Node,
  no,
  node,
  readsFunctionAttributes,
  rewrite,
  Tensor,
  type Value,
  value,
} from '../src/index.js';

/**
 * Input channels that the general kernel of ONNX Runtime 1.30's WebGPU provider takes three at a time, and then adds up
 * wrongly: any multiple of 3 but 3 itself, where four at a time would not fit, and where its outputs come by fours.
 * Found by sweeping sizes on SwiftShader, natively and in a browser. Products in disguise (1 × 1, unit stride, no
 * padding) and groups have other kernels, which are right.
 */
function isMiscounted(node: Node, channels: number, filters: number): boolean {
  const unit = (name: string) => node.ints(name, []).every((each) => each === 1);
  const kernel = node.inputs[1]?.shape?.slice(2) ?? [];
  const product =
    kernel.every((each) => each === 1) &&
    unit('strides') &&
    node.ints('pads', []).every((each) => each === 0) &&
    node.string('auto_pad', 'NOTSET') !== 'SAME_UPPER' &&
    node.string('auto_pad', 'NOTSET') !== 'SAME_LOWER';
  return channels % 3 === 0 && channels % 4 !== 0 && channels > 3 && filters % 4 === 0 && !product;
}

const sizesOf = (w: Value): readonly number[] | undefined =>
  w.shape?.every((dim) => typeof dim === 'number') ? (w.shape as readonly number[]) : undefined;

/**
 * Further channels of zeros, met by zeros of the weight, add nothing to any sum: up to the next multiple of 4, which
 * the kernel takes four at a time.
 */
export const padConvolutionChannels = rewrite({
  name: 'pad-convolution-channels',
  doc: 'Conv over C channels, C = 6, 9, 15 … → Conv over the next multiple of 4, the further ones zero in x and W',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, w: value, b: value.optional, conv: node },
  pattern: (op, $) => $.conv(op.Conv($.x, $.w, $.b)),
  check: ({ x, w, conv }) => {
    if (readsFunctionAttributes(conv)) return no('the caller decides its attributes', conv);
    const sizes = sizesOf(w);
    if (sizes === undefined) return no(`the sizes of ${w.name} are unknown`, w);
    if (x.dtype !== 'float' && x.dtype !== 'float16')
      return no(`${x.name} is ${x.dtype ?? 'of an unknown type'}`, x);
    const [filters, channels] = sizes;
    if (conv.int('group', 1) !== 1) return no('it has groups, whose kernel counts rightly', conv);
    return isMiscounted(conv, channels!, filters!) || no('its channels are counted rightly', conv);
  },
  replace: ({ x, w, b, conv }, op) => {
    const sizes = sizesOf(w)!;
    const [filters, channels, ...kernel] = sizes as [number, number, ...number[]];
    const more = 4 - (channels % 4);
    const zero = op.scalar(0, x.dtype!);
    const pads = (rank: number) => {
      const list = Array.from({ length: 2 * rank }, () => 0);
      list[rank + 1] = more;
      return Tensor.ints(list);
    };
    const weight = constantOf(w);
    const padded =
      weight === undefined
        ? op.Pad(w, pads(sizes.length), zero)
        : op.derived(weight.dtype, [filters, channels + more, ...kernel], [weight], ([source]) =>
            widened(source!, filters, more),
          );
    return op.like(conv).Conv(op.Pad(x, pads(sizes.length), zero), padded, b);
  },
});

/** Rows of a weight, one a filter, each with zeros behind it for the further channels. */
function widened(weight: Tensor, filters: number, more: number): Uint8Array {
  const bytes = weight.bytes();
  const row = bytes.byteLength / filters;
  const channel = weight.shape
    .slice(2)
    .reduce((product, dim) => product * dim, dtypeFacts(weight.dtype).bits / 8);
  const next = row + more * channel;
  const result = new Uint8Array(filters * next);
  for (let filter = 0; filter < filters; filter++)
    result.set(bytes.subarray(filter * row, (filter + 1) * row), filter * next);
  return result;
}
