import { expect } from 'chai';
import fc from 'fast-check';
import {
  limitsOf,
  prunedByLimits,
  prunedByPattern,
  pruningLoss,
  type WeightMatrix,
} from '../../src/quant/sparsity.js';

const zeros = (values: ArrayLike<number>): number => Array.from(values).filter((value) => value === 0).length;

/** Numbers of which many are equal, none is 0. */
const weights = (count: number) =>
  fc
    .array(
      fc.oneof(fc.constantFrom(-2, -1, 1, 2), fc.float({ min: Math.fround(0.01), max: 9, noNaN: true })),
      {
        minLength: count,
        maxLength: count,
      },
    )
    .map((list) => Float32Array.from(list));

const matrices = fc
  .record({
    channels: fc.integer({ min: 1, max: 6 }),
    taps: fc.constantFrom(1, 3),
    perGroup: fc.integer({ min: 1, max: 3 }),
    groups: fc.integer({ min: 1, max: 2 }),
    turned: fc.boolean(),
  })
  .map(
    ({ channels, taps, perGroup, groups, turned }): WeightMatrix => ({
      ...{ rows: perGroup * groups, size: channels * taps, groups, taps },
      turned: turned && taps === 1 && groups === 1,
    }),
  );

const cases = matrices.chain((matrix) =>
  fc.record({
    matrix: fc.constant(matrix),
    values: weights(matrix.rows * matrix.size),
    norms: fc
      .array(fc.double({ min: 0.1, max: 4, noNaN: true }), {
        minLength: matrix.groups * matrix.size,
        maxLength: matrix.groups * matrix.size,
      })
      .map((list) => Float64Array.from(list)),
    share: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
  }),
);

const at = (matrix: WeightMatrix, row: number, k: number): number =>
  matrix.turned ? k * matrix.rows + row : row * matrix.size + k;

describe('sparsity', () => {
  it('takes exactly the share of the smallest, the earlier of equal ones', () => {
    fc.assert(
      fc.property(cases, ({ matrix, values, share }) => {
        const pruned = prunedByLimits(values, matrix, limitsOf(values, matrix, share));
        expect(zeros(pruned)).to.equal(Math.floor(share * values.length));
        const order = Array.from(values.keys()).sort(
          (a, b) => Math.abs(values[a]!) - Math.abs(values[b]!) || a - b,
        );
        for (const index of order.slice(0, zeros(pruned))) expect(pruned[index]).to.equal(0);
        for (const [index, value] of pruned.entries()) if (value !== 0) expect(value).to.equal(values[index]);
      }),
    );
  });

  it('takes the same share of every row by what is lost, where inputs count', () => {
    fc.assert(
      fc.property(cases, ({ matrix, values, norms, share }) => {
        const pruned = prunedByLimits(values, matrix, limitsOf(values, matrix, share, norms), norms);
        for (let row = 0; row < matrix.rows; row++) {
          const from = Math.floor((row * matrix.groups) / matrix.rows) * matrix.size;
          const scores = Array.from({ length: matrix.size }, (_, k) => ({
            gone: pruned[at(matrix, row, k)] === 0,
            score: Math.abs(values[at(matrix, row, k)]!) * norms[from + k]!,
          }));
          const gone = scores.filter((each) => each.gone);
          expect(gone).to.have.length(Math.floor(share * matrix.size));
          const largest = Math.max(0, ...gone.map(({ score }) => score));
          for (const { gone: is, score } of scores) if (!is) expect(score).to.be.at.least(largest);
        }
      }),
    );
  });

  it('takes so many of every few input channels, and leaves what is short', () => {
    fc.assert(
      fc.property(cases, ({ matrix, values, norms }) => {
        const pruned = prunedByPattern(values, matrix, { zeros: 2, of: 4 }, norms);
        const channels = matrix.size / matrix.taps;
        for (let row = 0; row < matrix.rows; row++) {
          for (let tap = 0; tap < matrix.taps; tap++) {
            const along = Array.from(
              { length: channels },
              (_, c) => pruned[at(matrix, row, c * matrix.taps + tap)]!,
            );
            for (let first = 0; first + 4 <= channels; first += 4)
              expect(zeros(along.slice(first, first + 4))).to.equal(2);
            expect(zeros(along.slice(channels - (channels % 4)))).to.equal(0);
          }
        }
      }),
    );
  });

  it('tells how much went', () => {
    const matrix: WeightMatrix = { rows: 1, size: 4, groups: 1, taps: 1, turned: false };
    const before = Float32Array.of(1, 2, 3, 4);
    expect(pruningLoss(before, Float32Array.of(0, 2, 3, 4), matrix)).to.deep.equal({
      sparsity: 0.25,
      energyLost: 1 / 30,
    });
    const norms = Float64Array.of(3, 0, 0, 0);
    expect(pruningLoss(before, Float32Array.of(0, 2, 3, 4), matrix, norms).energyLost).to.equal(1);
    expect(pruningLoss(new Float32Array(4), new Float32Array(4), matrix)).to.deep.equal({
      sparsity: 1,
      energyLost: 0,
    });
  });

  it('prunes weights that are all 0, or one alone, without a fault', () => {
    const one: WeightMatrix = { rows: 1, size: 1, groups: 1, taps: 1, turned: false };
    expect([
      ...prunedByLimits(Float32Array.of(3), one, limitsOf(Float32Array.of(3), one, 0.5)),
    ]).to.deep.equal([3]);
    const matrix: WeightMatrix = { ...one, size: 8 };
    const none = new Float32Array(8);
    expect(zeros(prunedByLimits(none, matrix, limitsOf(none, matrix, 0.5)))).to.equal(8);
    expect(() => limitsOf(none, matrix, 1)).to.throw('no such sparsity');
  });
});
