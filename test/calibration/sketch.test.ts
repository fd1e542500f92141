/** Sketches of histograms: no count is lost or split, and they depend on the elements alone. */
import { expect } from 'chai';
import fc from 'fast-check';
import { HistogramObserver } from '../../src/calibration/histogram.js';
import { sketchOf } from '../../src/calibration/sketch.js';

function sketched(...parts: readonly (readonly number[])[]) {
  const observer = new HistogramObserver('x');
  for (const part of parts) observer.observe(Float32Array.from(part));
  return sketchOf(observer.histogram());
}

describe('sketch of a histogram', () => {
  it('counts every element in the bin that it lies in', () => {
    const elements = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(elements, (all) => {
        const { start, width, counts, zeros, total, min, max } = sketched(all);
        const floats = [...Float32Array.from(all)];
        expect(total).to.equal(all.length);
        expect(zeros).to.equal(floats.filter((each) => each === 0).length);
        expect([min, max]).to.deep.equal([Math.min(...floats) + 0, Math.max(...floats) + 0]);
        expect(counts.length).to.be.at.most(64);
        const expected = counts.map(
          (_, at) =>
            floats.filter(
              (each) => each !== 0 && each >= start + at * width && each < start + (at + 1) * width,
            ).length,
        );
        expect(counts).to.deep.equal(expected);
        expect(counts.reduce((a, b) => a + b, 0) + zeros).to.equal(total);
      }),
      { numRuns: 200 },
    );
  });

  it('does not depend on the order, or on batches', () => {
    const all = Array.from({ length: 500 }, (_, at) => Math.sin(at * at) * 3 ** (at % 7));
    const turned = all.toReversed();
    expect(sketched(turned.slice(0, 77), turned.slice(77))).to.deep.equal(sketched(all));
  });

  it('has no bins for zeros alone', () => {
    expect(sketched([0, 0, -0])).to.deep.equal({
      ...{ min: 0, max: 0, total: 3, zeros: 3, start: 0, width: 0 },
      counts: [],
    });
  });
});
