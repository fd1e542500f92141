import { expect } from 'chai';
import fc from 'fast-check';
import { bestValues, nearestTo, paletteOf, pointsOf } from '../../src/quant/palette.js';
import { PALETTE_BITS, PLACE_FORMS, packPlaces, placeBytes } from '../../src/quant/places.js';

const number = fc.float({ min: -4, max: 4, noNaN: true });

/** Σ weight·(point − value)² of points that each take their nearest value. */
function costOf(points: ArrayLike<number>, weights: ArrayLike<number>, values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < points.length; at++) {
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < values.length; k++) least = Math.min(least, (points[at]! - values[k]!) ** 2);
    sum += weights[at]! * least;
  }
  return sum;
}

/** The least cost over every way to cut sorted points into at most `count` intervals. */
function leastCost(points: readonly number[], weights: readonly number[], count: number): number {
  if (points.length === 0) return 0;
  if (count === 0) return Number.POSITIVE_INFINITY;
  let best = Number.POSITIVE_INFINITY;
  for (let end = 1; end <= points.length; end++) {
    const [own, mass] = [points.slice(0, end), weights.slice(0, end)];
    const total = mass.reduce((sum, each) => sum + each, 0);
    const mean = own.reduce((sum, each, at) => sum + each * mass[at]!, 0) / total;
    best = Math.min(
      best,
      costOf(own, mass, [mean]) + leastCost(points.slice(end), weights.slice(end), count - 1),
    );
  }
  return best;
}

describe('palettes', () => {
  it('finds clusters as good as the best of all', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(number, fc.double({ min: 0.01, max: 5, noNaN: true })), {
          minLength: 1,
          maxLength: 9,
          selector: ([point]) => point + 0,
        }),
        fc.integer({ min: 1, max: 4 }),
        (list, count) => {
          const sorted = [...list].sort(([a], [b]) => a - b);
          const [points, weights] = [sorted.map(([point]) => point), sorted.map(([, weight]) => weight)];
          const values = bestValues(
            { points: Float64Array.from(points), weights: Float64Array.from(weights) },
            count,
          );
          expect(values.length).to.be.at.most(count);
          expect(costOf(points, weights, values)).to.be.closeTo(leastCost(points, weights, count), 1e-6);
        },
      ),
    );
  });

  it('keeps values that are few enough as they are', () => {
    fc.assert(
      fc.property(
        fc.array(number, { minLength: 1, maxLength: 16 }),
        fc.array(fc.nat(15), { minLength: 1, maxLength: 200 }),
        (own, places) => {
          const values = Float32Array.from(places, (place) => own[place % own.length]! + 0);
          const palette = paletteOf(values, 4);
          expect(palette.lossless).to.equal(true);
          expect(palette.values).to.have.length(16);
          const nearest = nearestTo(palette.values);
          for (const value of values) expect(palette.values[nearest(value)]).to.equal(value);
        },
      ),
    );
  });

  it('comes near the best for more values than are clustered exactly, the same each time', () => {
    const values = Float32Array.from({ length: 20_000 }, (_, at) => Math.sin(at) ** 3 + Math.cos(7 * at) / 9);
    const palette = paletteOf(values, 3);
    expect(palette.lossless).to.equal(false);
    expect([...paletteOf(values, 3).values]).to.deep.equal([...palette.values]);
    // All of them are different, so that the exact clusters take long: once suffices.
    const ones = new Float32Array(values.length).fill(1);
    const exact = bestValues(pointsOf(values, ones, values.length)!, 8);
    expect(costOf(values, ones, palette.values)).to.be.at.most(1.001 * costOf(values, ones, exact));
  });

  it('spends values where errors cost', () => {
    const values = Float32Array.from({ length: 100 }, (_, at) => at);
    const weights = values.map((value) => (value < 10 ? 1000 : 1));
    const few = paletteOf(values, 2, weights).values.filter((value) => value < 10);
    expect(few.length).to.be.at.least(2);
  });

  it('has 0 itself where many elements are 0', () => {
    const values = Float32Array.from({ length: 300 }, (_, at) => (at % 2 === 0 ? 0 : Math.sin(at)));
    for (const bits of [1, 2, 3, 4]) expect([...paletteOf(values, bits).values]).to.include(0);
  });

  it('stands one element, and all of them equal', () => {
    expect([...paletteOf(Float32Array.of(3), 1).values]).to.deep.equal([3, 3]);
    expect(paletteOf(new Float32Array(9), 2).lossless).to.equal(true);
  });

  it('packs places, the first in the lowest bits', () => {
    for (const bits of PALETTE_BITS) {
      const { dtype, perWord } = PLACE_FORMS[bits];
      const places = Uint8Array.from({ length: 23 }, (_, at) => (at * 37) % 2 ** bits);
      const packed = packPlaces(places, bits);
      expect(packed.byteLength).to.equal(placeBytes(23, bits));
      if (dtype === 'uint4') continue;
      for (const [at, place] of places.entries())
        expect((packed[Math.floor(at / perWord)]! >>> (bits * (at % perWord))) & (2 ** bits - 1)).to.equal(
          place,
        );
    }
  });
});
