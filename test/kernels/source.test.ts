import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Float16Array } from '@petamoriken/float16';
import { expect } from 'chai';
import fc from 'fast-check';
import { scaledAlong } from '../../src/ir/scaled.js';
import { Tensor } from '../../src/ir/tensor.js';
import { halfOf, widened } from '../../src/kernels/half.js';
import { KernelPool } from '../../src/kernels/pool.js';
import { openSource, sourceParts } from '../../src/kernels/source.js';
import { blockQuantizedWeight } from '../../src/quant/block-weight.js';
import { quantizedWeight } from '../../src/quant/weight.js';

describe('kernels/source', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-source-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** A tensor in a file, behind some bytes that are none of its own. */
  function stored(dtype: 'float' | 'float16', shape: readonly [number, number]): Tensor {
    const count = shape[0] * shape[1];
    const values = Float32Array.from(
      { length: count },
      (_, i) => Math.sin(i * 12.9898) * (i % 7 === 0 ? 40 : 0.01),
    );
    const data = dtype === 'float' ? values : Float16Array.from(values);
    const path = join(folder, `${dtype}-${shape.join('x')}.bin`);
    writeFileSync(path, Buffer.concat([Buffer.alloc(12), new Uint8Array(data.buffer)]));
    const length = data.byteLength;
    return new Tensor(dtype, shape, { kind: 'file', path, offset: 12, length }, { name: 'w' });
  }

  const factors = (count: number) =>
    Tensor.of(
      'double',
      [count],
      Float64Array.from({ length: count }, (_, i) => 1 / 3 + i / 7),
    );

  for (const dtype of ['float', 'float16'] as const) {
    it(`reads ${dtype} weights scaled along either axis, twice over, in pieces of any place and size`, () => {
      const shape = [37, 20] as const;
      const scaled = scaledAlong(scaledAlong(stored(dtype, shape), factors(37), 0), factors(20), 1);
      const expected = Buffer.from(scaled.bytes());
      const width = dtype === 'float' ? 4 : 2;
      const source = openSource(sourceParts(scaled)!);
      fc.assert(
        fc.property(fc.nat(739), fc.integer({ min: 1, max: 740 }), (first, count) => {
          const elements = Math.min(count, 740 - first);
          const piece = new Uint8Array(elements * width);
          source.read(piece, first * width);
          const whole = expected.subarray(first * width, (first + elements) * width);
          expect(Buffer.compare(Buffer.from(piece), whole)).to.equal(0);
        }),
      );
      source.close();
    });

    it(`quantizes scaled ${dtype} weights on threads to the bytes of the reference`, async () => {
      const weight = scaledAlong(stored(dtype, [96, 50]), factors(96), 0);
      const pool = new KernelPool({ threads: 2, threadsFrom: 0 });
      const options = { bits: 4, blockSize: 32, axis: 0, symmetric: false, method: 'mse' } as const;
      const blocks = blockQuantizedWeight(weight, options);
      const int8 = quantizedWeight(weight, { dtype: 'int8', granularity: 'axis', axis: 1 });
      const parts = [blocks.q, blocks.scale, blocks.zeroPoint!, int8.q, int8.scale];
      const made = await Promise.all(parts.map((part) => pool.materialize(part)));
      await pool.close();
      parts.forEach((part, at) => {
        expect(Buffer.compare(Buffer.from(made[at]!), Buffer.from(part.bytes())), part.name).to.equal(0);
      });
    });
  }

  it('takes nothing for readable in pieces that would have to be computed', () => {
    const computed = Tensor.derive('float', [2, 2], [], () => new Float32Array(4));
    expect(sourceParts(computed)).to.equal(undefined);
    expect(sourceParts(scaledAlong(computed, factors(2), 0))).to.equal(undefined);
  });

  it('rounds to float16 as the library does, ties, denormals and overflow included', () => {
    const number = fc.oneof(
      fc.double(),
      fc.double({ min: -70000, max: 70000, noNaN: true }),
      fc.double({ min: -1e-4, max: 1e-4, noNaN: true }),
      // Halfway between two neighbours, and next to it.
      fc.tuple(fc.nat(0x7bff), fc.constantFrom(-1e-12, 0, 1e-12)).map(([bits, off]) => {
        const middle = (widened(bits) + (bits === 0x7bff ? 65536 : widened(bits + 1))) / 2;
        return middle * (1 + off);
      }),
    );
    fc.assert(
      fc.property(number, (x) => {
        const [expected] = new Uint16Array(Float16Array.of(x).buffer);
        if (Number.isNaN(x)) expect(widened(halfOf(x))).to.be.NaN;
        else expect(halfOf(x)).to.equal(expected);
      }),
      { numRuns: 3000 },
    );
  });
});
