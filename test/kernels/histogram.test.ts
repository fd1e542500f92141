import { expect } from 'chai';
import fc from 'fast-check';
import { HistogramKernel } from '../../src/kernels/histogram.js';
import { REFERENCE, SIDE } from '../../src/quant/counter.js';

/** Any float32 by its bits, and many of those that algorithms trip over. */
const bits = fc.oneof(
  fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  fc.constantFrom(0, 0x80000000 | 0, 1, 0x80000001 | 0, 0x007fffff, 0x7f7fffff, 0xff7fffff | 0, 0x3f800000),
);
const floatsOf = (pattern: readonly number[]): Float32Array =>
  new Float32Array(Int32Array.from(pattern).buffer);
/** Long enough for the tables, which short arrays do without. */
const stretched = (pattern: readonly number[], times: number): Float32Array => {
  const short = floatsOf(pattern);
  return Float32Array.from(
    { length: short.length * times + (times % 7) },
    (_, i) => short[i % short.length]!,
  );
};

describe('the histogram kernel', () => {
  const kernel = new HistogramKernel();

  it('finds extremes and what is not finite as the reference does', () => {
    const any = fc.oneof(bits, fc.constantFrom(0x7f800000, 0xff800000 | 0, 0x7fc00000, 0x7f800001));
    fc.assert(
      fc.property(fc.array(any, { maxLength: 70 }), (pattern) => {
        const elements = floatsOf(pattern);
        const { min, max, finite } = kernel.extremes(elements);
        const expected = REFERENCE.extremes(elements);
        expect([min + 0, max + 0, finite]).to.deep.equal([
          expected.min + 0,
          expected.max + 0,
          expected.finite,
        ]);
      }),
    );
  });

  it('counts every element as the reference does, in any place, for any width', () => {
    const finite = fc.array(
      bits.map((each) => ((each & 0x7f800000) === 0x7f800000 ? each & 0x807fffff : each)),
      { minLength: 1, maxLength: 50 },
    );
    fc.assert(
      fc.property(
        finite,
        fc.integer({ min: 1, max: 300 }),
        fc.nat(4),
        fc.boolean(),
        (pattern, times, wider, inside) => {
          let elements = stretched(pattern, times);
          const { min, max } = REFERENCE.extremes(elements);
          const magnitude = Math.max(-min, max);
          let width = 2 ** -149;
          while (!(magnitude < width * SIDE)) width *= 2;
          width *= 2 ** wider;
          if (inside) {
            const [place] = kernel.arena([elements.length]);
            place!.set(elements);
            elements = place!;
          }
          const [ours, theirs] = [new Float64Array(2 * SIDE), new Float64Array(2 * SIDE)];
          for (let twice = 0; twice < 2; twice++) {
            const zeros = kernel.count(elements, width, ours, min, max);
            expect(zeros).to.equal(REFERENCE.count(elements, width, theirs, min, max));
          }
          expect(ours).to.deep.equal(theirs);
        },
      ),
    );
  });

  it('gives room that does not overlap, and takes what lies elsewhere piece by piece', () => {
    const [a, b] = kernel.arena([100_001, 7]);
    a!.fill(1);
    b!.fill(2);
    expect([a!.every((x) => x === 1), b!.every((x) => x === 2)]).to.deep.equal([true, true]);
    const large = Float32Array.from({ length: 200_003 }, (_, i) => (i % 1000) / 1000 - 0.25);
    const [ours, theirs] = [new Float64Array(2 * SIDE), new Float64Array(2 * SIDE)];
    expect(kernel.extremes(large)).to.deep.equal(REFERENCE.extremes(large));
    kernel.count(large, 2 ** -11, ours, -0.25, 0.749);
    REFERENCE.count(large, 2 ** -11, theirs, -0.25, 0.749);
    expect(ours).to.deep.equal(theirs);
    expect(a!.every((x) => x === 1)).to.equal(true);
  });
});
