import { expect } from 'chai';
import fc from 'fast-check';
import { entropyRange } from '../../src/calibration/entropy.js';
import { type Histogram, HistogramObserver } from '../../src/calibration/histogram.js';
import { SeededRandom } from '../../src/calibration/random.js';

const UNSIGNED = { steps: 255, symmetric: false };
const SIGNED = { steps: 254, symmetric: true };

const histogramOf = (elements: ArrayLike<number>): Histogram => {
  const observer = new HistogramObserver('x');
  observer.observe(Float32Array.from(elements));
  return observer.histogram();
};
const drawn = (count: number, draw: (random: SeededRandom, index: number) => number): Histogram => {
  const random = new SeededRandom(11);
  return histogramOf(Array.from({ length: count }, (_, i) => draw(random, i)));
};

/** KL(P‖Q) by its definition, bin by bin, for a range whose ends are integers of its grid. */
function divergenceOf(histogram: Histogram, low: number, high: number, steps: number): number {
  const { counts, width, zeros, total } = histogram;
  const side = counts.length / 2;
  const step = (high - low) / steps;
  const zero = Math.round(-low / step);
  const middles = Array.from(counts, (_, bin) => (bin - side + 0.5) * width);
  // As everywhere in the histogram, a middle that lies between two integers belongs to the upper one.
  const levelOf = (x: number) => Math.floor(x / step + 0.5) + zero;
  const inside = middles.map((x) => levelOf(x) >= 0 && levelOf(x) <= steps);
  const [first, last] = [inside.indexOf(true), inside.lastIndexOf(true)];
  const p = Array.from(counts, (count, bin) => (inside[bin] ? count : 0));
  counts.forEach((count, bin) => {
    if (bin < first) p[first]! += count;
    if (bin > last) p[last]! += count;
  });
  const held = new Map<number, { count: number; bins: number }>();
  counts.forEach((count, bin) => {
    if (!inside[bin] || count === 0) return;
    const level = held.get(levelOf(middles[bin]!)) ?? { count: 0, bins: 0 };
    held.set(levelOf(middles[bin]!), { count: level.count + count, bins: level.bins + 1 });
  });
  const kept = [...held.values()].reduce((sum, { count }) => sum + count, 0) + zeros;
  let sum = zeros > 0 ? (zeros / total) * Math.log(kept / total) : 0;
  p.forEach((count, bin) => {
    if (count === 0) return;
    const level = held.get(levelOf(middles[bin]!));
    const q = (level ? level.count / level.bins : 1e-4) / kept;
    sum += (count / total) * Math.log(count / total / q);
  });
  return sum;
}

describe('entropy', () => {
  it('keeps all of what has no tails', () => {
    expect(
      entropyRange(
        drawn(50_000, (random) => random.integer(1000) / 1000),
        UNSIGNED,
      ),
    ).to.deep.equal({
      min: 0,
      max: Math.fround(0.999),
    });
    const clipped = drawn(50_000, (random) => Math.min(6, Math.max(0, 3 * random.normal())));
    expect(entropyRange(clipped, UNSIGNED)).to.deep.equal({ min: 0, max: 6 });
  });

  it('lets outliers go, one or a few, and no more of the rest', () => {
    for (const every of [50_000, 5000]) {
      const histogram = drawn(50_000, (random, i) => (i % every === 7 ? 50 : random.normal()));
      for (const grid of [UNSIGNED, SIGNED]) {
        const { min, max } = entropyRange(histogram, grid);
        expect(max).to.be.within(3, 6);
        expect(min).to.be.within(-6, -3);
      }
    }
  });

  it('looks past zeros, which every grid holds', () => {
    const tail = (random: SeededRandom): number => -Math.log((random.integer(1e6) + 1) / 1e6);
    const some = entropyRange(drawn(40_000, tail), UNSIGNED);
    const withZeros = entropyRange(
      drawn(80_000, (random, i) => (i % 2 ? 0 : tail(random))),
      UNSIGNED,
    );
    expect(some.min).to.equal(0);
    expect(some.max).to.be.within(6, 10);
    expect(withZeros.max / some.max).to.be.within(0.8, 1.25);
  });

  it('takes one element, all alike, one sign, and nothing but zeros', () => {
    expect(entropyRange(histogramOf([2.5, 2.5]), UNSIGNED)).to.deep.equal({ min: 0, max: 2.5 });
    expect(entropyRange(histogramOf([0, 0]), UNSIGNED)).to.deep.equal({ min: 0, max: 0 });
    expect(entropyRange(histogramOf([-1, 1]), UNSIGNED)).to.deep.equal({ min: -1, max: 1 });
    const negative = entropyRange(
      drawn(20_000, (random) => -Math.abs(random.normal()) - 3),
      UNSIGNED,
    );
    expect(negative.max).to.equal(0);
    expect(negative.min).to.be.within(-8, -6);
  });

  it('is a range of what was seen, with zero in it, for any elements; symmetric where the grid is', () => {
    const floats = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(floats, (elements) => {
        const histogram = histogramOf(elements);
        const { min, max } = entropyRange(histogram, UNSIGNED);
        expect(min).to.be.within(Math.min(0, histogram.min), 0);
        expect(max).to.be.within(0, Math.max(0, histogram.max));
        const both = entropyRange(histogram, SIGNED);
        expect(both.min).to.equal(-both.max === 0 ? 0 : -both.max);
      }),
      { numRuns: 60 },
    );
  });

  it('has the least divergence by its definition among the ranges it may choose', () => {
    const histograms = [
      drawn(3000, (random) => random.normal()),
      drawn(3000, (random, i) => (i % 700 === 3 ? 20 : Math.max(0, random.normal()))),
      drawn(500, (random) => random.normal() ** 3),
    ];
    for (const histogram of histograms) {
      const reach = Math.max(-histogram.min, histogram.max);
      const { max } = entropyRange(histogram, SIGNED);
      const ours = divergenceOf(histogram, -max, max, SIGNED.steps);
      for (let i = 0; i < 96; i++) {
        const other = reach * (1 - i / 100);
        expect(ours, `${max} against ${other}`).to.be.at.most(
          divergenceOf(histogram, -other, other, SIGNED.steps) + 1e-9,
        );
      }
    }
  });
});
