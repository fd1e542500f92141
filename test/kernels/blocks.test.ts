import { Float16Array } from '@petamoriken/float16';
import { expect } from 'chai';
import fc from 'fast-check';
import { blockBytesOfPiece, piecesOf } from '../../src/kernels/blocks.js';
import { memorySource } from '../../src/kernels/endpoint.js';
import { WEIGHT_METHODS, type WeightBits } from '../../src/quant/block-fit.js';
import { type BlockBytes, type BlockSpec, quantizeBlocks } from '../../src/quant/block-weight.js';

/** Any float32 bit pattern, with the awkward ones often. */
const anyFloat = fc.oneof(
  { weight: 6, arbitrary: fc.float({ min: -4, max: 4, noNaN: true }) },
  { weight: 1, arbitrary: fc.float() },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1e-45, -1e-42, 1e-39],
      ...[3.4028234663852886e38, -3.4028234663852886e38, 1.1754943508222875e-38, 65504, 6e-8, -6.1e-5, 2e38],
    ),
  },
);

const cases = fc
  .record({
    shape: fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 40 })),
    axis: fc.constantFrom<0 | 1>(0, 1),
    bits: fc.constantFrom<WeightBits>(2, 4, 8),
    blockSize: fc.constantFrom(16, 32, 64),
    symmetric: fc.boolean(),
    method: fc.constantFrom(...WEIGHT_METHODS),
    half: fc.boolean(),
    // Plain weights as well as wild ones: a single wild element hides what the others would show.
    wild: fc.boolean(),
  })
  .chain(({ wild, ...spec }) => {
    const count = spec.shape[0] * spec.shape[1];
    const value = wild ? anyFloat : fc.float({ min: -1, max: 1, noNaN: true });
    return fc.record({
      spec: fc.constant<BlockSpec>(spec),
      values: fc.array(value, { minLength: count, maxLength: count }).map((list) => Float32Array.from(list)),
    });
  });

/** The values as they are stored, and as float32 again. */
function storedAs(values: Float32Array, half: boolean): { bytes: Uint8Array; values: Float32Array } {
  if (!half) return { bytes: new Uint8Array(values.buffer), values };
  const halves = Float16Array.from(values);
  return { bytes: new Uint8Array(halves.buffer), values: Float32Array.from(halves) };
}

/** Every piece of a weight by the kernels, put together. */
function byKernels(bytes: Uint8Array, spec: BlockSpec): BlockBytes {
  const pieces = piecesOf(spec).map((piece) => blockBytesOfPiece(memorySource(bytes), spec, piece));
  const joined = (output: keyof BlockBytes) => Buffer.concat(pieces.map((piece) => piece[output]));
  return { q: joined('q'), scale: joined('scale'), zeroPoint: joined('zeroPoint') };
}

function expectEqual(values: Float32Array, spec: BlockSpec): void {
  const stored = storedAs(values, spec.half);
  const expected = quantizeBlocks(stored.values, spec);
  const actual = byKernels(stored.bytes, spec);
  for (const output of ['scale', 'q'] as const) {
    expect(Buffer.from(actual[output]).toString('hex'), output).to.equal(
      Buffer.from(expected[output]).toString('hex'),
    );
  }
  if (!spec.symmetric) expect([...actual.zeroPoint]).to.deep.equal([...expected.zeroPoint]);
}

describe('kernels/blocks', () => {
  it('equals the reference byte for byte, whatever the values, bits, blocks, layout and method', () => {
    fc.assert(
      fc.property(cases, ({ spec, values }) => expectEqual(values, spec)),
      { numRuns: 300 },
    );
  });

  it('equals the reference on weights of several pieces and chunks', () => {
    for (const axis of [0, 1] as const) {
      const shape = axis === 0 ? ([700, 3000] as const) : ([3000, 700] as const);
      const values = Float32Array.from({ length: 2_100_000 }, (_, i) => Math.sin(i * 12.9898) * 0.1);
      const spec: BlockSpec = {
        shape,
        axis,
        bits: 8,
        blockSize: 256,
        symmetric: false,
        method: 'rtn',
        half: false,
      };
      expectEqual(values, spec);
    }
  });

  it('cuts weights of any shape into pieces that cover each column once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 20_000 }),
        (inner, columns) => {
          const spec: BlockSpec = {
            ...{ shape: [inner, columns], axis: 0, bits: 4, blockSize: 32 },
            ...{ symmetric: true, method: 'rtn', half: false },
          };
          let next = 0;
          for (const { first, count } of piecesOf(spec)) {
            expect(first).to.equal(next);
            next = first + count;
          }
          expect(next).to.equal(columns);
        },
      ),
      { numRuns: 100 },
    );
  });
});
