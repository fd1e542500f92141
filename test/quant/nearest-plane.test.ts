import { expect } from 'chai';
import fc from 'fast-check';
import { choleskyInPlace } from '../../src/quant/cholesky.js';
import { metricOf, nearestPlane } from '../../src/quant/nearest-plane.js';

/** A·Aᵀ + ridge·I of a random A [size, columns], row-major. */
function gram(values: readonly number[], size: number, ridge: number): Float64Array {
  const columns = Math.floor(values.length / size);
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      for (let k = 0; k < columns; k++)
        matrix[i * size + j]! += values[i * columns + k]! * values[j * columns + k]!;
    }
    matrix[i * size + i]! += ridge;
  }
  return matrix;
}

const numbers = (count: number) =>
  fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: count, maxLength: count });

const costOf = (matrix: Float64Array, errors: ArrayLike<number>): number => {
  const size = errors.length;
  let cost = 0;
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) cost += errors[i]! * matrix[i * size + j]! * errors[j]!;
  return cost;
};

const errorsOf = (q: Float64Array, weights: Float64Array, row: number, size: number, scale: number) =>
  Float64Array.from({ length: size }, (_, k) => q[row * size + k]! * scale - weights[row * size + k]!);

describe('choleskyInPlace', () => {
  it('gives L with L·Lᵀ = A, across blocks', () => {
    for (const size of [1, 2, 47, 48, 49, 131]) {
      let seed = size;
      const random = Array.from({ length: size * size }, () => {
        seed = (seed * 48271) % 2147483647;
        return seed / 2147483647 - 0.5;
      });
      const matrix = gram(random, size, 0.01);
      const factor = matrix.slice();
      expect(choleskyInPlace(factor, size)).to.equal(true);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j <= i; j++) {
          let product = 0;
          for (let k = 0; k <= j; k++) product += factor[i * size + k]! * factor[j * size + k]!;
          expect(product).to.be.closeTo(matrix[i * size + j]!, 1e-9);
        }
      }
    }
  });

  it('refuses what is not positive definite, NaN included', () => {
    expect(choleskyInPlace(Float64Array.of(1, 2, 2, 1), 2)).to.equal(false);
    expect(choleskyInPlace(Float64Array.of(0), 1)).to.equal(false);
    expect(choleskyInPlace(Float64Array.of(Number.NaN), 1)).to.equal(false);
    expect(choleskyInPlace(Float64Array.of(Number.POSITIVE_INFINITY), 1)).to.equal(false);
  });
});

describe('nearestPlane', () => {
  const size = 6;
  const rows = 5;
  const bounds = { min: -7, max: 7 };

  it('rounds to the nearest where inputs have nothing to do with each other', () => {
    const metric = metricOf(gram([], size, 2), size)!;
    fc.assert(
      fc.property(numbers(rows * size), (weights) => {
        const q = new Float64Array(rows * size);
        nearestPlane(
          metric,
          { weights: Float64Array.from(weights), scales: new Array(rows).fill(0.5), bounds },
          q,
        );
        // Half to even, as everywhere.
        for (const [at, w] of weights.entries())
          expect(Math.abs(q[at]! * 0.5 - w)).to.be.at.most(0.25 + 1e-12);
      }),
    );
  });

  it('tells what its integers cost, keeps to the bounds, and leaves no more than a cell of the lattice', () => {
    fc.assert(
      fc.property(numbers(size * 8), numbers(rows * size), (inputs, values) => {
        const matrix = gram(inputs, size, 0.05);
        const metric = metricOf(matrix, size)!;
        const weights = Float64Array.from(values);
        const scales = Float64Array.from({ length: rows }, (_, r) => 0.3 + 0.1 * r);
        const q = new Float64Array(rows * size);
        const costs = nearestPlane(metric, { weights, scales, bounds: { min: -100, max: 100 } }, q);
        for (let r = 0; r < rows; r++) {
          const scale = scales[r]!;
          expect(costs[r]).to.be.closeTo(costOf(matrix, errorsOf(q, weights, r, size, scale)), 1e-6);
          // Each weight is rounded by at most half a step along the part of it that the later ones do not explain.
          const most = metric.pivots.reduce((sum, pivot) => sum + (pivot * scale * scale) / 4, 0);
          expect(costs[r]).to.be.at.most(most + 1e-9);
        }
        nearestPlane(metric, { weights, scales, bounds }, q);
        expect(q.every((each) => Number.isInteger(each) && each >= -7 && each <= 7)).to.equal(true);
      }),
    );
  });

  it('costs a small part of rounding to the nearest where inputs are alike', () => {
    // Three directions in twelve inputs, and a little noise.
    const alike = 12;
    let seed = 9;
    const random = () => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647 - 0.5;
    };
    const matrix = gram(Array.from({ length: alike * 3 }, random), alike, 1e-4);
    const weights = Float64Array.from({ length: 40 * alike }, () => 4 * random());
    const scales = new Float64Array(40).fill(0.1);
    const q = new Float64Array(weights.length);
    const together = nearestPlane(
      metricOf(matrix, alike)!,
      { weights, scales, bounds: { min: -127, max: 127 } },
      q,
    );
    let [cost, nearest] = [0, 0];
    for (let r = 0; r < 40; r++) {
      const one = Float64Array.from(
        weights.subarray(r * alike, (r + 1) * alike),
        (w) => Math.round(w / 0.1) * 0.1 - w,
      );
      nearest += costOf(matrix, one);
      cost += together[r]!;
    }
    expect(cost).to.be.below(nearest / 20);
  });
});
