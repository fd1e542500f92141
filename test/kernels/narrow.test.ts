import { expect } from 'chai';
import fc from 'fast-check';
import { narrow } from '../../src/ir/narrowed.js';
import { memorySink, memorySource } from '../../src/kernels/endpoint.js';
import { widened } from '../../src/kernels/half.js';
import { streamNarrow } from '../../src/kernels/narrow.js';

/** Every bit pattern of float32 there is, those at the borders of 16 bits often. */
const anyBits = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.float().map((x) => new Uint32Array(Float32Array.of(x).buffer)[0]!),
  fc.tuple(fc.nat(0x7bff), fc.integer({ min: -2, max: 2 })).map(([half, off]) => {
    const middle = (widened(half) + (half === 0x7bff ? 65536 : widened(half + 1))) / 2;
    return new Uint32Array(Float32Array.of(middle).buffer)[0]! + off;
  }),
  fc.constantFrom(0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff, 0x7f7fffff, 1),
);

describe('kernels/narrow', () => {
  for (const dtype of ['float16', 'bfloat16'] as const) {
    it(`gives the bits of the reference for ${dtype}, whatever the number`, () => {
      fc.assert(
        fc.property(fc.array(anyBits, { maxLength: 60 }), (bits) => {
          const values = new Float32Array(Uint32Array.from(bits, (each) => each >>> 0).buffer);
          const result = new Uint16Array(values.length);
          streamNarrow(
            memorySource(new Uint8Array(values.buffer)),
            dtype,
            memorySink(new Uint8Array(result.buffer)),
          );
          expect([...result]).to.deep.equal([...narrow(values, dtype)]);
        }),
        { numRuns: 500 },
      );
    });
  }

  it('goes over chunks', () => {
    const values = Float32Array.from({ length: 300_001 }, (_, i) => Math.sin(i));
    const result = new Uint16Array(values.length);
    streamNarrow(
      memorySource(new Uint8Array(values.buffer)),
      'float16',
      memorySink(new Uint8Array(result.buffer)),
    );
    expect(
      Buffer.compare(Buffer.from(result.buffer), Buffer.from(narrow(values, 'float16').buffer)),
    ).to.equal(0);
  });
});
