import { expect } from 'chai';
import { Tensor } from '../../src/ir/tensor.js';
import { WEIGHT_METHODS, type WeightMethod } from '../../src/quant/block-fit.js';
import { type BlockOptions, blockQuantizedWeight } from '../../src/quant/block-weight.js';
import { unpack } from '../../src/quant/pack.js';

const options: BlockOptions = { bits: 4, blockSize: 16, axis: 1, symmetric: true, method: 'rtn' };

/** Integers, scales and zero points of a weight [N, K]. */
function parts(rows: readonly (readonly number[])[], given: Partial<BlockOptions> = {}) {
  const chosen = { ...options, ...given };
  const shape = [rows.length, rows[0]!.length];
  const weight = Tensor.of('float', shape, Float32Array.from(rows.flat()), { name: 'w' });
  const { q, scale, zeroPoint } = blockQuantizedWeight(weight, chosen);
  const perByte = 8 / chosen.bits;
  const integers = (tensor: Tensor) =>
    chosen.bits === 8
      ? [...tensor.bytes()]
      : [...unpack(tensor.bytes(), tensor.count * perByte, chosen.bits as 4 | 2, false)];
  return {
    q: integers(q),
    scale: [...scale.toFloat32()],
    zero: zeroPoint && integers(zeroPoint),
    shape: q.shape,
  };
}

const steps = (first: number, last: number, by: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => (first + i) * by);

describe('quant/block-weight', () => {
  // The rule of ONNX Runtime's own block quantizer (MlasQuantizeBlockwise): s = −(largest magnitude, signed) / 8,
  // q = round(x / s) + 8, halves away from zero.
  describe('rtn without zero points', () => {
    it('makes the lowest integer of the largest magnitude, whichever its sign', () => {
      const low = parts([steps(-8, 7, 0.5)]);
      expect(low.scale).to.deep.equal([0.5]);
      expect(low.q).to.deep.equal(steps(0, 15, 1));
      const high = parts([steps(-7, 8, 0.5)]);
      expect(high.scale).to.deep.equal([-0.5]);
      expect(high.q).to.deep.equal(steps(0, 15, 1).reverse());
    });

    it('takes the negative one of two equal magnitudes, and rounds halves up in the integers', () => {
      const { scale, q } = parts([[-4, 4, 0.25, -0.25, 0.75, 0.249, ...new Array(10).fill(0)]]);
      expect(scale).to.deep.equal([0.5]);
      expect(q.slice(0, 6)).to.deep.equal([0, 15, 9, 8, 10, 8]);
    });

    it('stores a block of zeros as the middle with a scale of 0', () => {
      const { scale, q } = parts([new Array(16).fill(0)]);
      expect(Object.is(scale[0], 0)).to.equal(true);
      expect(q).to.deep.equal(new Array(16).fill(8));
    });

    it('uses the whole range of 2 and of 8 bits alike', () => {
      expect(parts([[-2, -1, 0, 1, ...new Array(12).fill(0)]], { bits: 2 }).q.slice(0, 4)).to.deep.equal([
        0, 1, 2, 3,
      ]);
      const { q, scale } = parts([[-128, 127, 0.5, ...new Array(13).fill(0)]], { bits: 8 });
      expect(scale).to.deep.equal([1]);
      expect(q.slice(0, 4)).to.deep.equal([0, 255, 129, 128]);
    });
  });

  it('rtn with zero points spans the extremes, 0 included', () => {
    const { scale, zero, q } = parts([steps(5, 20, 0.75)], { symmetric: false });
    expect(scale).to.deep.equal([1]);
    expect(zero![0]).to.equal(0);
    expect(q.slice(0, 3)).to.deep.equal([4, 5, 5]);
    const both = parts([[-1, 2, ...new Array(14).fill(0)]], { symmetric: false });
    expect(both.zero![0]).to.equal(5);
    expect(both.q.slice(0, 3)).to.deep.equal([0, 15, 5]);
  });

  it('fills the last block up with the zero point, and an odd zero point with the middle', () => {
    const { q, zero, shape } = parts([steps(-3, 16, 1), steps(1, 20, 1)], {
      symmetric: false,
      blockSize: 16,
    });
    expect(shape).to.deep.equal([2, 2, 8]);
    expect(q.slice(20, 32)).to.deep.equal(new Array(12).fill(zero![1]));
    const odd = parts([steps(-3, 12, 1)], { symmetric: false });
    expect(odd.zero![1]).to.equal(8);
  });

  it('lays columns of [K, N] out as rows of [N, K]', () => {
    const rows = [steps(-8, 23, 0.5), steps(3, 34, -0.25), steps(-20, 11, 0.1)];
    const turned = rows[0]!.map((_, k) => rows.map((row) => row[k]!));
    for (const symmetric of [false, true]) {
      expect(parts(turned, { axis: 0, symmetric }).q).to.deep.equal(parts(rows, { symmetric }).q);
    }
  });

  it('never loses more with mse than with rtn, and follows the many rather than an outlier with hqq', () => {
    const values = Array.from({ length: 32 }, (_, i) => Math.sin(i * 7.3) * 0.1 + (i === 9 ? 1 : 0));
    const errors = (method: WeightMethod, symmetric: boolean, power: number) => {
      const { q, scale, zero } = parts([values], { blockSize: 32, method, symmetric });
      const z = zero ? zero[0]! : 8;
      return values.reduce((sum, x, k) => sum + Math.abs(x - (q[k]! - z) * scale[0]!) ** power, 0);
    };
    for (const symmetric of [false, true]) {
      expect(errors('mse', symmetric, 2)).to.be.at.most(errors('rtn', symmetric, 2));
      expect(errors('hqq', symmetric, 2)).to.be.at.most(errors('rtn', symmetric, 2));
    }
  });

  it('keeps elements that are not finite out of the scale', () => {
    const wild = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      -4,
      3.5,
      ...new Array(11).fill(1),
    ];
    for (const method of WEIGHT_METHODS) {
      const { q, scale } = parts([wild], { method });
      expect(scale[0]).to.be.within(0.4, 0.6);
      expect(q.slice(0, 3)).to.deep.equal([0, 15, 0]);
    }
  });

  it('refuses what it cannot store in blocks', () => {
    const codeOf = (shape: number[], given: Partial<BlockOptions>, dtype: 'float' | 'double' = 'float') => {
      const count = shape.reduce((a, b) => a * b, 1);
      const data = dtype === 'float' ? new Float32Array(count) : new Float64Array(count);
      try {
        blockQuantizedWeight(Tensor.of(dtype, shape, data), { ...options, ...given });
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'none';
    };
    expect(codeOf([4, 4], {}, 'double')).to.equal('E_QUANT_DTYPE');
    expect(codeOf([4, 4, 4], {})).to.equal('E_QUANT_AXIS');
    expect(codeOf([4, 4], { blockSize: 24 })).to.equal('E_QUANT_BLOCK');
  });
});
