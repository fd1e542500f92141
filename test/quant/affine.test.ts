import { expect } from 'chai';
import fc from 'fast-check';
import {
  chooseAffine,
  FLOAT32_TINY,
  middleOf,
  QUANTIZED_TYPES,
  roundHalfEven,
  typeBounds,
  usableBounds,
} from '../../src/quant/affine.js';
import { quantizeOne } from '../../src/quant/quantize.js';

const dtypes = fc.constantFrom(...QUANTIZED_TYPES);
const finite = fc.float({ noNaN: true, noDefaultInfinity: true });
const ranges = fc.tuple(finite, finite).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }));

describe('quant/affine', () => {
  it('knows the bounds of each dtype', () => {
    expect(typeBounds('int8')).to.deep.equal({ min: -128, max: 127 });
    expect(typeBounds('uint16')).to.deep.equal({ min: 0, max: 65535 });
    expect(typeBounds('int4')).to.deep.equal({ min: -8, max: 7 });
    expect(typeBounds('uint2')).to.deep.equal({ min: 0, max: 3 });
    expect(usableBounds('int8', { symmetric: true })).to.deep.equal({ min: -127, max: 127 });
    expect(usableBounds('int8', { symmetric: true, clamp: 64 })).to.deep.equal({ min: -64, max: 64 });
    expect(usableBounds('uint8', { symmetric: true })).to.deep.equal({ min: 1, max: 255 });
    expect(usableBounds('uint8', { clamp: 127 })).to.deep.equal({ min: 0, max: 127 });
    expect(usableBounds('int2', { symmetric: true })).to.deep.equal({ min: -1, max: 1 });
  });

  it('rounds half to even', () => {
    const cases = [0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 2147483648.5];
    expect(cases.map(roundHalfEven)).to.deep.equal([0, 2, 2, 0, -2, 0, 2147483648]);
  });

  it('gives textbook values', () => {
    expect(chooseAffine({ min: -1, max: 1 }, 'int8', { symmetric: true })).to.deep.equal({
      scale: Math.fround(1 / 127),
      zeroPoint: 0,
      outcome: 'exact',
    });
    expect(chooseAffine({ min: 0, max: 6 }, 'uint8')).to.deep.equal({
      scale: Math.fround(6 / 255),
      zeroPoint: 0,
      outcome: 'exact',
    });
    expect(chooseAffine({ min: -1, max: 3 }, 'uint8').zeroPoint).to.equal(64);
    expect(chooseAffine({ min: -1, max: 3 }, 'int8').zeroPoint).to.equal(-64);
    expect(chooseAffine({ min: 2, max: 3 }, 'uint8').scale).to.equal(Math.fround(3 / 255));
  });

  it('says what became of a range without extent', () => {
    expect(chooseAffine({ min: 0, max: 0 }, 'uint8')).to.deep.equal({
      scale: 1,
      zeroPoint: 0,
      outcome: 'zero',
    });
    expect(chooseAffine({ min: -1e-44, max: 1e-44 }, 'int8').outcome).to.equal('tiny');
    expect(chooseAffine({ min: Number.NaN, max: 1 }, 'int8').outcome).to.equal('nonfinite');
    expect(chooseAffine({ min: 0, max: Number.POSITIVE_INFINITY }, 'int8').outcome).to.equal('nonfinite');
    expect(chooseAffine({ min: 0, max: 0 }, 'int8', { symmetric: true, scaleFloor: 0.25 })).to.deep.equal({
      scale: 0.25,
      zeroPoint: 0,
      outcome: 'zero',
    });
    expect(chooseAffine({ min: 0, max: 1 }, 'int8', { symmetric: true, scaleFloor: 0.25 }).outcome).to.equal(
      'floor',
    );
  });

  it('refuses a clamp that is no positive whole number', () => {
    expect(() => usableBounds('int8', { clamp: 0 }))
      .to.throw()
      .with.property('code', 'E_QUANT_CLAMP');
    expect(() => usableBounds('int8', { clamp: 1.5 }))
      .to.throw()
      .with.property('code', 'E_QUANT_CLAMP');
  });

  it('gives a normal scale, a usable zero point, and an exact zero for every range', () => {
    fc.assert(
      fc.property(ranges, dtypes, fc.boolean(), (range, dtype, symmetric) => {
        const { scale, zeroPoint } = chooseAffine(range, dtype, { symmetric });
        const { min, max } = usableBounds(dtype, { symmetric });
        expect(scale).to.equal(Math.fround(scale));
        expect(scale).to.be.at.least(FLOAT32_TINY);
        expect(Number.isFinite(scale)).to.equal(true);
        expect(zeroPoint).to.be.within(min, max);
        if (symmetric) expect(zeroPoint).to.equal(middleOf(dtype));
        expect(quantizeOne(0, scale, min - zeroPoint, max - zeroPoint)).to.equal(0);
      }),
    );
  });

  it('reaches both ends of the range within one step', () => {
    fc.assert(
      fc.property(ranges, dtypes, fc.boolean(), (range, dtype, symmetric) => {
        const { scale, zeroPoint, outcome } = chooseAffine(range, dtype, { symmetric });
        const { min, max } = usableBounds(dtype, { symmetric });
        if (outcome !== 'exact') return;
        // The zero point is rounded (half a step), the scale and the quotient to float32 (a little more).
        const slack = scale * (0.5 + (max - min) * 2 ** -22);
        expect((min - zeroPoint) * scale).to.be.at.most(Math.min(range.min, 0) + slack);
        expect((max - zeroPoint) * scale).to.be.at.least(Math.max(range.max, 0) - slack);
      }),
    );
  });
});
