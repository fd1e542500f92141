import { expect } from 'chai';
import fc from 'fast-check';
import { HistogramObserver } from '../../src/calibration/histogram.js';
import { ExtremesObserver, MovingAverage } from '../../src/calibration/observer.js';
import { SeededRandom } from '../../src/calibration/random.js';
import { type Grid, leastErrorRange, percentileRange } from '../../src/calibration/range.js';
import { QuantcError } from '../../src/errors/error.js';

const floats = fc
  .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 60 })
  .map((values) => Float32Array.from(values));

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof QuantcError) return error.code;
    throw error;
  }
  return 'none';
};

const observed = (...pieces: readonly Float32Array[]) => {
  const observer = new HistogramObserver('x');
  for (const piece of pieces) observer.observe(piece);
  return observer.histogram();
};

/** What int8 makes of each element under a range, by the textbook. */
function errorOf(elements: Float32Array, range: { min: number; max: number }, { steps }: Grid): number {
  const step = (range.max - range.min) / steps;
  const zero = Math.round(-range.min / step);
  return elements.reduce((sum, x) => {
    const rounded = (Math.min(steps, Math.max(0, Math.round(x / step) + zero)) - zero) * step;
    return sum + (x - rounded) ** 2;
  }, 0);
}

describe('observers', () => {
  it('keep the extremes, whatever the batches', () => {
    fc.assert(
      fc.property(floats, fc.nat(60), (elements, cut) => {
        const observer = new ExtremesObserver('x');
        observer.observe(elements.subarray(0, cut));
        observer.observe(elements.subarray(cut));
        const expected = { min: Math.min(...elements) + 0, max: Math.max(...elements) + 0 };
        expect(observer.extremes()).to.deep.equal(expected);
        const { min, max } = observed(elements.subarray(cut), elements.subarray(0, cut));
        expect({ min, max }).to.deep.equal(expected);
      }),
    );
  });

  it('raise NaN and infinities wherever they stand, and the lack of anything', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 1, 2]) {
        const elements = Float32Array.of(1, 2, 3);
        elements[at] = bad;
        expect(codeOf(() => new ExtremesObserver('x').observe(elements))).to.equal('E_CALIBRATION_NAN');
        expect(codeOf(() => new HistogramObserver('x').observe(elements))).to.equal('E_CALIBRATION_NAN');
      }
    }
    expect(codeOf(() => new ExtremesObserver('x').extremes())).to.equal('E_CALIBRATION_EMPTY');
    expect(codeOf(() => new HistogramObserver('x').histogram())).to.equal('E_CALIBRATION_EMPTY');
  });
});

describe('streaming histogram', () => {
  it('loses no count, and puts every element into the bin that holds it', () => {
    fc.assert(
      fc.property(fc.array(floats, { minLength: 1, maxLength: 5 }), (pieces) => {
        const { counts, width, zeros, total } = observed(...pieces);
        const expected = new Float64Array(counts.length);
        let none = 0;
        for (const element of pieces.flatMap((piece) => [...piece])) {
          if (element === 0) none += 1;
          else expected[Math.floor(element / width) + counts.length / 2]! += 1;
        }
        expect(counts).to.deep.equal(expected);
        expect([zeros, total]).to.deep.equal([none, pieces.reduce((sum, { length }) => sum + length, 0)]);
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on order or batches', () => {
    fc.assert(
      fc.property(floats, fc.nat(60), (elements, cut) => {
        const whole = observed(elements);
        expect(observed(elements.subarray(0, cut), elements.subarray(cut))).to.deep.equal(whole);
        expect(observed(...Array.from(elements.toReversed(), (each) => Float32Array.of(each)))).to.deep.equal(
          whole,
        );
      }),
      { numRuns: 300 },
    );
  });

  it('resolves the larger side in 1024 to 2048 bins, however small or large the elements', () => {
    for (const magnitude of [1e-44, 1e-20, 0.99, 1, 1.01, 3e38]) {
      const { width } = observed(Float32Array.of(Math.fround(magnitude), 0));
      expect(Math.fround(magnitude) / width).to.be.within(1024, 2048);
    }
    expect(observed(new Float32Array(3))).to.include({ width: 0, zeros: 3, min: 0, max: 0 });
  });
});

describe('ranges from histograms', () => {
  const random = new SeededRandom(7);
  const normal = Float32Array.from({ length: 20_000 }, () => random.normal());
  const spiky = Float32Array.from(normal, (x, i) => (i % 5000 === 0 ? 60 * x : Math.max(0, x)));

  it('cut off percentiles at both ends', () => {
    const histogram = observed(normal);
    expect(percentileRange(histogram, 100)).to.deep.equal({ min: histogram.min, max: histogram.max });
    const sorted = normal.toSorted();
    for (const percentile of [50, 90, 99, 99.9]) {
      const outside = Math.round((normal.length * (1 - percentile / 100)) / 2);
      const range = percentileRange(histogram, percentile);
      const { width } = histogram;
      const last = normal.length - 1;
      expect(range.min).to.be.within(sorted[outside - 1]! - width, sorted[outside + 1]! + width);
      expect(range.max).to.be.within(
        sorted[last - outside - 1]! - width,
        sorted[last - outside + 1]! + width,
      );
    }
    // Half of the elements are exactly zero: the lower end must not leave it.
    expect(percentileRange(observed(normal.map((x) => Math.max(0, x))), 99).min).to.equal(0);
    for (const wrong of [0, -1, 100.1, Number.NaN]) {
      expect(codeOf(() => percentileRange(histogram, wrong))).to.equal('E_CALIBRATION_PERCENTILE');
    }
  });

  it('are never beyond the extremes, and contain zero where they must', () => {
    fc.assert(
      fc.property(
        floats,
        fc.boolean(),
        fc.double({ min: 1, max: 100, noNaN: true }),
        (elements, symmetric, share) => {
          const histogram = observed(elements);
          const percentile = percentileRange(histogram, share);
          expect(percentile.min).to.be.at.least(histogram.min);
          expect(percentile.max).to.be.at.most(histogram.max);
          expect(percentile.min).to.be.at.most(percentile.max);
          const range = leastErrorRange(histogram, { steps: symmetric ? 254 : 255, symmetric });
          const reach = Math.max(-histogram.min, histogram.max);
          expect(range.min).to.be.at.least(symmetric ? -reach : Math.min(0, histogram.min));
          expect(range.max).to.be.at.most(symmetric ? reach : Math.max(0, histogram.max));
          expect(range.min).to.be.at.most(0);
          expect(range.max).to.be.at.least(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('have about the least error that any shrunk range has, on the elements themselves', () => {
    for (const elements of [normal, spiky]) {
      for (const grid of [
        { steps: 255, symmetric: false },
        { steps: 254, symmetric: true },
        { steps: 15, symmetric: false },
      ]) {
        const histogram = observed(elements);
        const found = errorOf(elements, leastErrorRange(histogram, grid), grid);
        const low = grid.symmetric ? -Math.max(-histogram.min, histogram.max) : Math.min(0, histogram.min);
        const high = grid.symmetric ? -low : Math.max(0, histogram.max);
        for (let shrink = 1; shrink > 0.1; shrink -= 0.01) {
          expect(found).to.be.at.most(
            1.03 * errorOf(elements, { min: low * shrink, max: high * shrink }, grid),
          );
        }
      }
    }
  });
});

describe('shared work', () => {
  it('adds up to the same histogram however it was divided', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(floats, fc.nat(3)), { minLength: 1, maxLength: 8 }), (pieces) => {
        const lanes = Array.from({ length: 4 }, () => new HistogramObserver('x'));
        for (const [piece, lane] of pieces) lanes[lane]!.observe(piece);
        const merged = new HistogramObserver('x');
        for (const lane of lanes.reverse()) if (!lane.isEmpty) merged.merge(lane.histogram());
        expect(merged.histogram()).to.deep.equal(observed(...pieces.map(([piece]) => piece)));
      }),
    );
  });

  it('gives what observers saw in each piece, for averages', () => {
    const observer = new HistogramObserver('x');
    expect(observer.observe(new Float32Array(0))).to.equal(undefined);
    expect(observer.observe(Float32Array.of(3, -1))).to.deep.equal({ min: -1, max: 3 });
    expect(observer.observe(Float32Array.of(-0))).to.deep.equal({ min: 0, max: 0 });
  });
});

describe('moving average', () => {
  it('is the mean at first, and forgets later', () => {
    const average = new MovingAverage(0.25);
    expect(average.average()).to.equal(undefined);
    for (const max of [1, 3, 5, 7]) average.add({ min: -max, max });
    expect(average.average()).to.deep.equal({ min: -4, max: 4 });
    average.add({ min: -8, max: 8 });
    expect(average.average()).to.deep.equal({ min: -5, max: 5 });
  });

  it('stays between the extremes of all runs', () => {
    const run = fc
      .tuple(floats, floats)
      .map(([a, b]) => ({ min: Math.min(...a, ...b), max: Math.max(...a, ...b) }));
    fc.assert(
      fc.property(
        fc.array(run, { minLength: 1 }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (runs, constant) => {
          const average = new MovingAverage(constant);
          for (const each of runs) average.add(each);
          const { min, max } = average.average()!;
          const slack =
            1e-9 * Math.max(...runs.map((each) => Math.max(Math.abs(each.min), Math.abs(each.max))));
          expect(min).to.be.at.least(Math.min(...runs.map((each) => each.min)) - slack);
          expect(max).to.be.at.most(Math.max(...runs.map((each) => each.max)) + slack);
        },
      ),
    );
  });
});
