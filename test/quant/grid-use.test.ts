import { expect } from 'chai';
import { GridUse, type IntegerGrid } from '../../src/quant/grid-use.js';

/** What a grid makes of values. */
function rounded(values: readonly number[], { scale, zeroPoint, min, max }: IntegerGrid): number[] {
  return values.map(
    (x) => (Math.min(max, Math.max(min, Math.round(x / scale) + zeroPoint)) - zeroPoint) * scale,
  );
}
const factsOf = (values: readonly number[], grid: IntegerGrid) => {
  const use = new GridUse(grid);
  use.add(values, rounded(values, grid));
  return use.facts;
};
const byte = (scale: number, zeroPoint: number): IntegerGrid => ({ scale, zeroPoint, min: 0, max: 255 });

describe('what a grid makes of values', () => {
  it('counts what is cut off, not what merely lies at an end', () => {
    const facts = factsOf([0, 0, 0, 255, 300, -10, 255.4, 100], byte(1, 0));
    expect(facts.saturation).to.equal(2 / 8);
    expect(facts.cutShare).to.be.closeTo((45 ** 2 + 10 ** 2) / (45 ** 2 + 10 ** 2 + 0.4 ** 2), 1e-9);
    expect(facts.rangeUse, 'steps 0, 100 and 255, of as many as there are elements').to.equal(3 / 8);
  });

  it('measures the noise of the rounding alone', () => {
    const { rounding } = factsOf([10.25, 20.25, -30.25], byte(1, 128));
    const signal = 10.25 ** 2 + 20.25 ** 2 + 30.25 ** 2;
    expect(rounding).to.be.closeTo(10 * Math.log10(signal / (3 * 0.25 ** 2)), 1e-9);
    expect(factsOf([1, 2, 3], byte(1, 0))).to.include({ rounding: Number.POSITIVE_INFINITY, cutShare: 0 });
    expect(factsOf([Number.NaN, Number.POSITIVE_INFINITY], byte(1, 0))).to.include({
      saturation: 0,
      rangeUse: 0,
    });
  });

  it('tells what a narrower range would gain', () => {
    const small = Array.from({ length: 20_000 }, (_, i) => Math.sin(i));
    // The grid reaches to 16 where the values reach to 1: sixteen times fewer steps are 24 dB.
    const wide = factsOf(small, byte(32 / 255, 128));
    expect(wide.narrowing).to.be.closeTo(20 * Math.log10(16), 2);
    expect(wide.rangeUse).to.be.below(0.08);
    const fitting = factsOf(small, byte(2 / 255, 128));
    expect(fitting.narrowing).to.be.below(1);
    expect(fitting.rangeUse).to.be.above(0.95);
    // One end alone: values from 0 up, and a grid as far below as above.
    const positive = factsOf(small.map(Math.abs), byte(2 / 255, 128));
    expect(positive.narrowing).to.be.closeTo(6, 1);
  });

  it('adds up piece by piece', () => {
    const values = Array.from({ length: 100 }, (_, i) => Math.cos(i) * 200);
    const grid = byte(1, 128);
    const use = new GridUse(grid);
    for (let at = 0; at < 100; at += 7)
      use.add(values.slice(at, at + 7), rounded(values.slice(at, at + 7), grid));
    expect(use.facts).to.deep.equal(factsOf(values, grid));
  });
});
