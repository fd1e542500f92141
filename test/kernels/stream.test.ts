import { expect } from 'chai';
import fc from 'fast-check';
import { memorySink, memorySource } from '../../src/kernels/endpoint.js';
import { canStream, streamWeight } from '../../src/kernels/stream.js';
import { quantizeWeight, type WeightSpec } from '../../src/quant/weight.js';

/** Any float32 bit pattern, with the awkward ones often. */
const anyFloat = fc.oneof(
  { weight: 4, arbitrary: fc.float({ min: -4, max: 4, noNaN: true }) },
  { weight: 1, arbitrary: fc.float() },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      -0,
      0,
      1e-45,
      -1e-42,
      3.4028234663852886e38,
      -3.4028234663852886e38,
      1.1754943508222875e-38,
    ),
  },
);

const weights = fc
  .record({
    shape: fc.array(fc.integer({ min: 1, max: 37 }), { minLength: 1, maxLength: 3 }),
    dtype: fc.constantFrom('int8', 'uint8'),
    granularity: fc.constantFrom('axis', 'tensor'),
    symmetric: fc.boolean(),
    clamp: fc.constantFrom(undefined, 64),
    axisSeed: fc.nat(),
    floor: fc.constantFrom(undefined, 0.01),
  })
  .chain(({ shape, axisSeed, clamp, floor, ...rest }) => {
    const axis = axisSeed % shape.length;
    const count = shape.reduce((a, b) => a * b, 1);
    const parameters = rest.granularity === 'tensor' ? 1 : shape[axis]!;
    const spec: WeightSpec = {
      ...rest,
      shape,
      axis,
      search: 'absmax',
      ...(clamp && { clamp }),
      ...(floor && { scaleFloor: new Array<number>(parameters).fill(floor) }),
    };
    return fc.record({
      spec: fc.constant(spec),
      values: fc
        .array(anyFloat, { minLength: count, maxLength: count })
        .map((list) => Float32Array.from(list)),
    });
  });

/** The kernels' bytes and scales for a spec of its own, so that no scales are remembered between runs. */
function streamed(values: Float32Array, spec: WeightSpec) {
  const q = new Uint8Array(values.length);
  const scales = streamWeight(memorySource(new Uint8Array(values.buffer)), { ...spec }, memorySink(q));
  return { q, scales };
}

function expectEqual(values: Float32Array, spec: WeightSpec): void {
  const expected = quantizeWeight(values, { ...spec });
  const actual = streamed(values, spec);
  expect([...new Uint32Array(actual.scales.scale.buffer)]).to.deep.equal([
    ...new Uint32Array(expected.scales.scale.buffer),
  ]);
  expect([...actual.scales.zeroPoint]).to.deep.equal([...expected.scales.zeroPoint]);
  expect(Buffer.compare(actual.q, Buffer.from(expected.q.buffer))).to.equal(0);
}

describe('kernels/stream', () => {
  it('equals the reference byte for byte, whatever the values', () => {
    fc.assert(
      fc.property(weights, ({ spec, values }) => expectEqual(values, spec)),
      { numRuns: 400 },
    );
  });

  it('equals the reference for raw bit patterns', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4 * 64, maxLength: 4 * 64 }),
        fc.boolean(),
        (bytes, symmetric) => {
          const values = new Float32Array(bytes.slice().buffer);
          for (const axis of [0, 1]) {
            expectEqual(values, {
              shape: [4, 16],
              axis,
              dtype: 'int8',
              granularity: 'axis',
              symmetric,
              search: 'absmax',
            });
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('joins chunks without a seam', () => {
    let state = 1;
    const values = Float32Array.from({ length: 700 * 513 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 31 - 1;
    });
    const common = { dtype: 'int8', symmetric: true, search: 'absmax' } as const;
    expectEqual(values, { ...common, shape: [700, 513], axis: 1, granularity: 'axis' });
    expectEqual(values, { ...common, shape: [700, 513], axis: 0, granularity: 'axis' });
    expectEqual(values, { ...common, shape: [700, 513], axis: 0, granularity: 'tensor' });
    expectEqual(values, {
      ...common,
      shape: [2, 359100 / 2],
      axis: 0,
      granularity: 'axis',
      symmetric: false,
    });
  });

  it('quantizes an empty weight to nothing', () => {
    expectEqual(new Float32Array(0), {
      shape: [0, 4],
      axis: 1,
      dtype: 'int8',
      granularity: 'axis',
      symmetric: true,
      search: 'absmax',
    });
  });

  it('leaves to the reference what it has no kernel for', () => {
    const base: WeightSpec = {
      shape: [4, 4],
      axis: 0,
      dtype: 'int8',
      granularity: 'axis',
      symmetric: true,
      search: 'absmax',
    };
    expect(canStream(base)).to.equal(true);
    expect(canStream({ ...base, dtype: 'int4' })).to.equal(false);
    expect(canStream({ ...base, search: 'mse' })).to.equal(false);
    expect(canStream({ ...base, granularity: { blockSize: 2 } })).to.equal(false);
  });
});
