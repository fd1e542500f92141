import {
  integersOf,
  no,
  node,
  readsFunctionAttributes,
  rewrite,
  scalar,
  type Value,
  value,
} from '../src/index.js';

/** Grids of 8 bits and fewer: their integers, and differences of them, are exact in float32. */
const GRIDS: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int4: [-8, 7],
  uint4: [0, 15],
};

/** The zero point's type decides the grid; without one `output_dtype` does, else uint8. */
function gridOf(zero: Value | undefined, outputDtype: number): readonly [number, number] | undefined {
  if (zero !== undefined) return GRIDS[zero.dtype ?? ''];
  return outputDtype === 0 || outputDtype === 2
    ? GRIDS['uint8']
    : outputDtype === 3
      ? GRIDS['int8']
      : undefined;
}

/** A zero point: 0 where none is said; undefined where it is computed, or one of many. */
function zeroOf(zero: Value | undefined): number | undefined {
  if (zero === undefined) return 0;
  const zeros = integersOf(zero);
  return zeros?.length === 1 ? zeros[0] : undefined;
}

/**
 * A value that is quantized and at once widened again, on one grid for all of it, was only rounded to the grid:
 * q = clip(round(x/s) + z), and (q − z)·s. Moving the bounds by z takes it out of the rounding; all integers here are
 * exact in float32, so that nothing changes. ONNX rounds half to even, as Round does.
 */
export const lowerFakeQuantization = rewrite({
  name: 'lower-fake-quantization',
  doc: 'DequantizeLinear(QuantizeLinear(x, s, z), s, z) → clip(round(x/s), least − z, most − z)·s',
  needs: ['typed'],
  opset: 12,
  bind: {
    x: value,
    s: scalar,
    z: value.optional,
    t: scalar,
    w: value.optional,
    quantize: node,
  },
  pattern: (op, $) => op.DequantizeLinear($.quantize(op.QuantizeLinear($.x, $.s, $.z).shared()), $.t, $.w),
  check: ({ x, s, z, t, w, quantize }) => {
    if (readsFunctionAttributes(quantize)) return no('the caller decides its attributes', quantize);
    if (x.dtype !== 'float') return no(`${x.name} is ${x.dtype ?? 'of an unknown type'}, not float`, x);
    if (gridOf(z, quantize.int('output_dtype', 0)) === undefined)
      return no('its grid has more than 8 bits', quantize);
    if (s !== t || !(s > 0)) return no('it is widened by another scale', quantize);
    const zeros = [z, w].map(zeroOf);
    if (zeros[0] === undefined || zeros[1] === undefined)
      return no('a zero point is not one constant', quantize);
    return zeros[0] === zeros[1] || no('it is widened from another zero point', quantize);
  },
  replace: ({ x, s, z, quantize }, op) => {
    const [least, most] = gridOf(z, quantize.int('output_dtype', 0))!;
    const zero = zeroOf(z)!;
    const float = (number: number) => op.scalar(number, 'float');
    const rounded = op.Round(op.Div(x, float(s)));
    return op.Mul(op.Clip(rounded, float(least - zero), float(most - zero)), float(s));
  },
});
