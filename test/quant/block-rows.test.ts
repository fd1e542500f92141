import { expect } from 'chai';
import type { Tensor } from '../../src/ir/tensor.js';
import { KernelPool } from '../../src/kernels/pool.js';
import type { WeightBits } from '../../src/quant/block-fit.js';
import { dequantizedBlocks } from '../../src/quant/block-rows.js';
import { blockQuantizedWeight } from '../../src/quant/block-weight.js';
import { unpack } from '../../src/quant/pack.js';
import { filledTensor } from '../../src/text/fill.js';

/** Integers of a tensor of few bits. */
const numbers = (tensor: Tensor, bits: WeightBits): number[] => {
  const signed = tensor.dtype.startsWith('int');
  if (bits !== 8) return [...unpack(tensor.bytes(), tensor.count, bits, signed)];
  return signed ? [...new Int8Array(tensor.bytes())] : [...tensor.bytes()];
};

describe('weights in blocks for DequantizeLinear', () => {
  for (const bits of [2, 4, 8] as const) {
    for (const symmetric of [false, true]) {
      for (const axis of [0, 1] as const) {
        it(`are those of MatMulNBits: ${bits} bits, axis ${axis}${symmetric ? ', symmetric' : ''}`, async () => {
          // 40 is no multiple of the block, and three blocks' zero points end within a byte.
          const [inner, columns, blockSize] = [40, 7, 16];
          const shape = axis === 0 ? [inner, columns] : [columns, inner];
          const weight = filledTensor('float', shape, 'normal:5', 'w')!;
          const options = { bits, blockSize, axis, symmetric, method: 'mse' } as const;
          const { q, scale, zeroPoint } = dequantizedBlocks(weight, options);
          const packed = blockQuantizedWeight(weight, options);
          expect(q.dtype).to.equal(`${symmetric ? '' : 'u'}int${bits}`);
          expect(q.shape).to.deep.equal(shape);
          expect(scale.shape).to.deep.equal(axis === 0 ? [3, 7] : [7, 3]);
          const [integers, scales] = [numbers(q, bits), scale.toFloat32()];
          const zeros = zeroPoint && numbers(zeroPoint, bits);
          const blockBytes = (blockSize * bits) / 8;
          for (let column = 0; column < columns; column++) {
            for (let k = 0; k < inner; k++) {
              const block = Math.floor(k / blockSize);
              const bytes = packed.q
                .bytes()
                .subarray((column * 3 + block) * blockBytes)
                .slice(0, blockBytes);
              const known =
                bits === 8 ? bytes[k % blockSize]! : unpack(bytes, blockSize, bits, false)[k % blockSize]!;
              const at = axis === 0 ? k * columns + column : column * inner + k;
              expect(integers[at]! + (symmetric ? 2 ** (bits - 1) : 0)).to.equal(known);
              const of = axis === 0 ? block * columns + column : column * 3 + block;
              expect(scales[of]).to.equal(packed.scale.toFloat32()[column * 3 + block]);
              const back = scales[of]! * (integers[at]! - (zeros?.[of] ?? 0));
              expect(Math.abs(back - weight.toFloat32()[at]!)).to.be.below(3 * Math.abs(scales[of]!));
            }
          }
          const pool = new KernelPool({ threads: 1 });
          try {
            for (const part of [q, scale, zeroPoint])
              if (part) expect([...(await pool.materialize(part))]).to.deep.equal([...part.bytes()]);
          } finally {
            await pool.close();
          }
        });
      }
    }
  }
});
