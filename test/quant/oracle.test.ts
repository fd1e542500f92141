import { expect } from 'chai';
import fc from 'fast-check';
import { Tensor } from '../../src/ir/tensor.js';
import { bitsOf, chooseAffine, type QuantizedType, typeBounds } from '../../src/quant/affine.js';
import { quantizeBias } from '../../src/quant/bias.js';
import { type Granularity, layoutOf } from '../../src/quant/layout.js';
import { pack, unpack } from '../../src/quant/pack.js';
import { dequantize, quantize } from '../../src/quant/quantize.js';
import { quantizedWeight } from '../../src/quant/weight.js';
import { openSession, type Session } from '../../src/runtime/session.js';
import { parseModel } from '../../src/text/parse.js';

const SHAPE = [6, 10];
const COUNT = 60;

interface Case {
  readonly dtype: QuantizedType;
  readonly granularity: Granularity;
  readonly axis: number;
}

/** Feeds a value through QuantizeLinear and DequantizeLinear; 4-bit and 2-bit results cannot leave on their own. */
function modelOf({ dtype, granularity, axis }: Case, zeroPoint: readonly number[]) {
  const attributes = [
    ...(granularity === 'tensor' ? [] : [`axis = ${axis}`]),
    ...(typeof granularity === 'object' ? [`block_size = ${granularity.blockSize}`] : []),
  ].join(', ');
  const tag = attributes === '' ? '' : ` <${attributes}>`;
  const { parameterShape } = layoutOf(SHAPE, axis, granularity);
  const dims = parameterShape.length > 0 ? `[${parameterShape}]` : '';
  const zero = `${dtype}${dims} z = {${zeroPoint.join(', ')}}`;
  const opset = bitsOf(dtype) === 2 ? 25 : 21;
  return parseModel(`
    <ir_version: ${opset > 21 ? 13 : 10}, opset_import: ["": ${opset}]>
    g (float[${SHAPE}] x, float${dims} s) => (float[${SHAPE}] y) <${zero}> {
      q = QuantizeLinear${tag} (x, s, z)
      y = DequantizeLinear${tag} (q, s, z)
    }`);
}

function bitsEqual(actual: Float32Array, expected: Float32Array): void {
  expect([...new Uint32Array(actual.buffer, actual.byteOffset, actual.length)]).to.deep.equal([
    ...new Uint32Array(expected.buffer, expected.byteOffset, expected.length),
  ]);
}

const anyFloat = fc.oneof(
  { weight: 3, arbitrary: fc.float({ min: -300, max: 300, noNaN: true }) },
  { weight: 1, arbitrary: fc.integer({ min: -600, max: 600 }).map((n) => n / 2) },
  { weight: 1, arbitrary: fc.float() },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 1e-45, -1e-40, 3.4e38) },
);
const scales = fc.float({ min: 2 ** -10, max: 4, noNaN: true });

const CASES: Case[] = [];
for (const dtype of ['int8', 'uint8', 'int16', 'uint16', 'int4', 'uint4', 'int2', 'uint2'] as const) {
  CASES.push({ dtype, granularity: 'tensor', axis: 1 });
  CASES.push({ dtype, granularity: 'axis', axis: 0 });
  // ONNX Runtime 1.30 writes only the last of the four elements of a byte when 2-bit types are quantized along the last
  // axis; what it reads there is right, see below.
  if (bitsOf(dtype) > 2) CASES.push({ dtype, granularity: 'axis', axis: 1 });
  for (const axis of [0, 1]) CASES.push({ dtype, granularity: { blockSize: 4 }, axis });
}

describe('quant against ONNX Runtime', () => {
  for (const each of CASES) {
    const { dtype, granularity, axis } = each;
    const kind = typeof granularity === 'object' ? 'blocks' : granularity;
    it(`${dtype} by ${kind} on axis ${axis}: QuantizeLinear and DequantizeLinear, bit for bit`, async () => {
      const { min, max } = typeBounds(dtype);
      const parameters = layoutOf(SHAPE, axis, granularity).parameterShape.reduce((a, b) => a * b, 1);
      const zeroPoint = Int32Array.from({ length: parameters }, (_, i) => min + ((i * 7) % (max - min + 1)));
      // These kernels take a quotient beyond int32 for the lowest integer; ONNX says that it saturates, as here.
      const alone = bitsOf(dtype) === 4 && kind === 'axis' && axis === 1;
      const overflows = bitsOf(dtype) === 2 || kind === 'blocks' || alone;
      const session: Session = await openSession(modelOf(each, [...zeroPoint]), { optimization: 'off' });
      try {
        await fc.assert(
          fc.asyncProperty(
            fc.array(anyFloat, { minLength: COUNT, maxLength: COUNT }),
            fc.array(scales, { minLength: parameters, maxLength: parameters }),
            async (list, scaleList) => {
              const values = Float32Array.from(list, (x) => (overflows && !(Math.abs(x) < 1e6) ? 1 : x));
              const scale = Float32Array.from(scaleList);
              const spec = { dtype, shape: SHAPE, axis, granularity, scale, zeroPoint };
              const ours = dequantize(quantize(values, spec), spec);
              const shape = layoutOf(SHAPE, axis, granularity).parameterShape;
              const { y } = await session.run({
                x: Tensor.of('float', SHAPE, values),
                s: Tensor.of('float', shape, scale),
              });
              bitsEqual(ours, y!.toFloat32());
            },
          ),
          { numRuns: 25 },
        );
      } finally {
        await session.release();
      }
    });
  }

  it('reads our packed initializers as we do', async () => {
    for (const dtype of ['int4', 'uint4', 'int2', 'uint2'] as const) {
      const bits = bitsOf(dtype) as 4 | 2;
      const opset = bits === 2 ? 25 : 21;
      const weight = Tensor.floats(
        Float32Array.from({ length: 15 }, (_, i) => Math.sin(i * 1.7)),
        [5, 3],
      );
      const made = quantizedWeight(weight, { dtype, granularity: 'axis', axis: 1 });
      const model = parseModel(`
        <ir_version: ${opset > 21 ? 13 : 10}, opset_import: ["": ${opset}]>
        g (float[3] s) => (float[5, 3] y)
        <${dtype}[5, 3] q = {${unpack(made.q.bytes(), 15, bits, !dtype.startsWith('u')).join(', ')}},
         ${dtype}[3] z = {${unpack(made.zeroPoint.bytes(), 3, bits, !dtype.startsWith('u')).join(', ')}}>
        { y = DequantizeLinear <axis = 1> (q, s, z) }`);
      // The text codec packs by itself; both packings must be one.
      const stored = [...model.graph.initializers].find((value) => value.name === 'q')!.constant!;
      expect(Buffer.compare(stored.bytes(), made.q.bytes())).to.equal(0);
      const session = await openSession(model, { optimization: 'off' });
      const { y } = await session.run({ s: made.scale });
      await session.release();
      const zeroPoint = unpack(made.zeroPoint.bytes(), 3, bits, !dtype.startsWith('u'));
      const spec = { dtype, shape: [5, 3], axis: 1, granularity: 'axis' } as const;
      const scale = made.scale.toFloat32();
      bitsEqual(dequantize(made.q.bytes(), { ...spec, scale, zeroPoint }), y!.toFloat32());
      expect(pack(unpack(made.q.bytes(), 15, bits, true), bits).length).to.equal(made.q.byteLength);
    }
  });

  it('chooses the scale and zero point that DynamicQuantizeLinear chooses', async () => {
    const model = parseModel(`
      <ir_version: 10, opset_import: ["": 21]>
      g (float[n] x) => (uint8[n] y, float s, uint8 z) { y, s, z = DynamicQuantizeLinear (x) }`);
    const session = await openSession(model, { optimization: 'off' });
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 20 }),
          async (list) => {
            const values = Float32Array.from(list);
            const range = { min: Math.min(...values), max: Math.max(...values) };
            const chosen = chooseAffine(range, 'uint8');
            if (chosen.outcome !== 'exact') return;
            const { s, z } = await session.run({ x: Tensor.floats(values) });
            // It works in float32 throughout, so that a last bit may differ.
            expect(Math.abs(s!.toNumbers()[0]! / chosen.scale - 1)).to.be.below(2 ** -22);
            expect(Math.abs(z!.toNumbers()[0]! - chosen.zeroPoint)).to.be.at.most(1);
          },
        ),
        { numRuns: 60 },
      );
    } finally {
      await session.release();
    }
  });

  it('dequantizes int32 biases as it does', async () => {
    const model = parseModel(`
      <ir_version: 10, opset_import: ["": 21]>
      g (int32[4] q, float[4] s) => (float[4] y) { y = DequantizeLinear <axis = 0> (q, s) }`);
    const session = await openSession(model, { optimization: 'off' });
    const bias = quantizeBias([0.3, -1e9, 1e9, 123.456], 0.011, [0.02, 1e-3, 1e-3, 3e-5]);
    const { y } = await session.run({
      q: Tensor.of('int32', [4], bias.values),
      s: Tensor.of('float', [4], bias.scale),
    });
    await session.release();
    const spec = { dtype: 'int32', shape: [4], axis: 0, granularity: 'axis', scale: bias.scale } as const;
    bitsEqual(dequantize(bias.values, spec), y!.toFloat32());
  });
});
