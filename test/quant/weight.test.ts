import { expect } from 'chai';
import fc from 'fast-check';
import { Tensor } from '../../src/ir/tensor.js';
import { biasScaleFloor, quantizeBias, quantizedBias } from '../../src/quant/bias.js';
import { errorOf } from '../../src/quant/error.js';
import { dequantize } from '../../src/quant/quantize.js';
import { quantizedWeight, weightJob } from '../../src/quant/weight.js';

const random = (count: number, seed: number): Float32Array => {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 2;
  });
};

describe('quant/weight', () => {
  it('quantizes a column at a time without reading before it is asked', () => {
    let reads = 0;
    const weight = Tensor.derive('float', [3, 2], [], () => {
      reads++;
      return Float32Array.of(1, 10, -2, 20, 4, -40);
    });
    const { q, scale, zeroPoint } = quantizedWeight(weight, { dtype: 'int8', granularity: 'axis', axis: 1 });
    expect(reads).to.equal(0);
    expect(scale.shape).to.deep.equal([2]);
    expect([...(q.data() as Int8Array)]).to.deep.equal([32, 32, -64, 64, 127, -127]);
    expect([...scale.toFloat32()]).to.deep.equal([Math.fround(4 / 127), Math.fround(40 / 127)]);
    expect([...(zeroPoint.data() as Int8Array)]).to.deep.equal([0, 0]);
    expect(reads).to.equal(1);
    expect(weightJob(q.source.kind === 'derived' ? q.source.job : undefined)?.output).to.equal('q');
  });

  it('packs blocked 4-bit weights', () => {
    const weight = Tensor.floats([7, -7, 3.5, 0, 14, 2, 0, -14], [2, 4]);
    const { q, scale } = quantizedWeight(weight, { dtype: 'int4', granularity: { blockSize: 2 }, axis: 1 });
    expect(scale.shape).to.deep.equal([2, 2]);
    expect([...scale.toFloat32()]).to.deep.equal([1, 0.5, 2, 2]);
    expect([...q.bytes()]).to.deep.equal([0x97, 0x07, 0x17, 0x90]);
  });

  it('never loses more with the searched scale than with the full range', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom('int8', 'int4', 'uint4', 'int2'), (seed, dtype) => {
        const values = random(64, seed).map((x) => x ** 5);
        const weight = Tensor.floats(values, [8, 8]);
        const noise = (search: 'absmax' | 'mse'): number => {
          const made = quantizedWeight(weight, { dtype, granularity: 'axis', axis: 0, search });
          const spec = {
            dtype,
            shape: [8, 8],
            axis: 0,
            granularity: 'axis',
            scale: made.scale.toFloat32(),
            zeroPoint:
              dtype === 'uint4' ? [...made.zeroPoint.bytes()].flatMap((b) => [b & 15, b >> 4]) : undefined,
          } as const;
          const q = dtype === 'int8' ? (made.q.data() as Int8Array) : made.q.bytes();
          return errorOf(values, dequantize(q, spec)).meanSquaredError;
        };
        expect(noise('mse')).to.be.at.most(noise('absmax') * (1 + 1e-6));
      }),
      { numRuns: 30 },
    );
  });

  it('keeps NaN and infinities out of the scale', () => {
    const weight = Tensor.floats([1, Number.NaN, Number.POSITIVE_INFINITY, -2]);
    const { q, scale } = quantizedWeight(weight, { dtype: 'int8' });
    expect(scale.toFloat32()[0]).to.equal(Math.fround(2 / 127));
    expect([...(q.data() as Int8Array)]).to.deep.equal([64, -127, 127, -127]);
  });

  it('refuses an integer weight', () => {
    expect(() => quantizedWeight(Tensor.ints([1]), { dtype: 'int8' }))
      .to.throw()
      .with.property('code', 'E_QUANT_DTYPE');
  });
});

describe('quant/bias', () => {
  it('rounds b / (s_x · s_w) half to even', () => {
    const { values, scale, saturated } = quantizeBias([1, -0.375, 0.625], 0.5, [0.5]);
    expect([...values]).to.deep.equal([4, -2, 2]);
    expect([...scale]).to.deep.equal([0.25]);
    expect(saturated).to.deep.equal([]);
  });

  it('says which channels did not fit', () => {
    const { values, saturated } = quantizeBias([1, 1e9, -1e9, Number.NaN], 1e-3, [1e-3, 1e-3, 1e-3, 1]);
    expect([...values]).to.deep.equal([1_000_000, 2147483647, -2147483648, 0]);
    expect(saturated).to.deep.equal([1, 2]);
  });

  it('fits every bias once the weight scale is kept above the floor', () => {
    const positive = fc.float({ min: Math.fround(1e-6), max: 1e3, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e8, max: 1e8 }), { minLength: 1 }),
        positive,
        fc.float({ min: 0, max: Math.fround(1e-3), noNaN: true }),
        (biases, inputScale, spread) => {
          const bias = Float32Array.from(biases);
          const weight = Tensor.of(
            'float',
            [bias.length, 2],
            random(bias.length * 2, 7).map((x) => x * spread),
          );
          const { scale } = quantizedWeight(weight, {
            dtype: 'int8',
            granularity: 'axis',
            scaleFloor: biasScaleFloor(bias, inputScale),
          });
          const made = quantizeBias(bias, inputScale, scale.toFloat32());
          expect(made.saturated).to.deep.equal([]);
          const back = bias.map((_, i) => made.values[i]! * made.scale[i]!);
          for (let i = 0; i < bias.length; i++) {
            const step = Math.max(made.scale[i]!, Math.abs(bias[i]!) * 2 ** -22);
            expect(Math.abs(back[i]! - bias[i]!)).to.be.at.most(step);
          }
        },
      ),
    );
  });

  it('keeps the bias of a channel whose weights are all zero', () => {
    const bias = Tensor.floats([0.7]);
    const weight = Tensor.floats([0, 0], [1, 2]);
    const floor = biasScaleFloor(bias.toFloat32(), 0.02);
    const { scale } = quantizedWeight(weight, { dtype: 'int8', granularity: 'axis', scaleFloor: floor });
    const made = quantizedBias(bias, 0.02, scale);
    expect(made.q.toNumbers()[0]! * made.scale.toFloat32()[0]!).to.be.closeTo(0.7, 1e-6);
  });
});

describe('quant/error', () => {
  it('measures signal against noise', () => {
    const facts = errorOf([3, 4], [3, 4.5]);
    expect(facts.sqnr).to.be.closeTo(20, 1e-9);
    expect(facts.maxError).to.equal(0.5);
    expect(errorOf([1, 2], [1, 2])).to.include({ sqnr: Number.POSITIVE_INFINITY, mismatched: 0 });
    expect(errorOf([1, 2], [2, 4]).cosine).to.be.closeTo(1, 1e-12);
  });

  it('counts what is not finite instead of drowning in it', () => {
    const facts = errorOf([1, Number.NaN, Number.POSITIVE_INFINITY, 2], [1, Number.NaN, 3, Number.NaN]);
    expect(facts).to.include({ count: 1, nonfinite: 2, mismatched: 2 });
    expect(facts.sqnr).to.equal(Number.POSITIVE_INFINITY);
  });
});
