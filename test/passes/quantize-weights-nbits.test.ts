import { expect } from 'chai';
import { encodeModel, parseModel, type Target, type Tensor, type WeightChoice } from '../../src/index.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { expectKept, type Options, quantized } from './quantizing.js';

const model = (signature: string, initializers: string, body: string): string =>
  `<ir_version: 10, opset_import: ["": 21]> g ${signature} < ${initializers} > { ${body} }`;

const product = model(
  '(float[N,5,100] x) => (float[N,5,24] y)',
  'float[100,24] w = ["fill": "normal:3:0:0.1"], float[24] b = ["fill": "normal:4"]',
  '[mul] p = MatMul(x, w) [bias] y = Add(p, b)',
);

const with4 = (text: string, weights: Partial<WeightChoice> = {}, options: Options = {}) =>
  quantized(text, { precision: 'int4', weights: { bits: 4, ...weights }, ...options });

/** Operators of other domains included. */
const operators = (result: Awaited<ReturnType<typeof quantized>>): string[] =>
  [...result.after.graph.nodes()].map(({ opType }) => opType);

describe('passes/quantize-weights-nbits', () => {
  it('makes MatMulNBits of a product, its bias inside, the inner dimension filled up', async () => {
    const result = await with4(product);
    expect(operators(result)).to.deep.equal(['MatMulNBits']);
    const [node] = result.after.graph.nodes();
    const attributes = ['K', 'N', 'bits', 'block_size', 'accuracy_level'].map((name) => node!.int(name));
    expect(attributes).to.deep.equal([100, 24, 4, 32, 4]);
    expect(node!.inputs.map((input) => input?.shape)).to.deep.equal([
      ...[['N', 5, 100], [24, 4, 16], [96], [48], undefined, [24]],
    ]);
    expect(node!.outputs[0]!.name).to.equal('y');
    expect(result.after.opsets.get('com.microsoft')).to.equal(1);
    expect(result.row('mul')).to.include({ precision: 'int4', kernel: 'MatMulNBits', bytesBefore: 9600 });
    expect(result.row('bias').reason).to.contain('absorbed');
    await expectKept(result, 18);
  });

  for (const [bits, blockSize, decibels] of [
    [8, 128, 38],
    [8, 16, 38],
    [4, 16, 19],
    [4, 256, 16],
    [2, 32, 5],
  ] as const) {
    for (const symmetric of [false, true]) {
      it(`keeps what ${bits} bits in blocks of ${blockSize} can, ${symmetric ? 'without' : 'with'} zero points`, async () => {
        const result = await with4(product, { bits, blockSize, symmetric });
        await expectKept(result, decibels - (symmetric && bits === 2 ? 2 : 0));
      });
    }
  }

  it('loses less with mse than with rtn', async () => {
    const error = async (method: 'rtn' | 'mse' | 'hqq') => {
      const result = await with4(product, { method });
      const bytes = [encodeModel(result.before), encodeModel(result.after)] as const;
      const [output] = await compareOutputs(...bytes, result.data, {
        reference: { threads: 1 },
        candidate: { threads: 1 },
      });
      return output!.sqnr;
    };
    const [rtn, mse] = [await error('rtn'), await error('mse')];
    expect(mse).to.be.above(rtn);
  });

  it('takes Gemm either way round, with a bias or something else to add, and a Transpose in front of a weight', async () => {
    const gemm = model(
      '(float[N,64] x, float[N,32] c) => (float[N,32] y, float[N,32] z, float[N,48] t)',
      `float[32,64] v = ["fill": "normal:5"], float[64,32] w = ["fill": "normal:6"], float[32] b = ["fill": "normal:7"],
       float[48,64] u = ["fill": "normal:8"]`,
      `y = Gemm <transB = 1> (x, v, b) z = Gemm (x, w, c)
       ut = Transpose <perm = [1, 0]> (u) t = MatMul(x, ut)`,
    );
    const result = await with4(gemm);
    expect(operators(result).filter((op) => op !== 'Transpose')).to.deep.equal([
      ...['MatMulNBits', 'MatMulNBits', 'Add', 'MatMulNBits'],
    ]);
    await expectKept(result, 16);
  });

  it('reads float16 weights and keeps float16', async () => {
    const half = model(
      '(float16[N,64] x) => (float16[N,32] y)',
      'float16[64,32] w = ["fill": "normal:5"]',
      'y = MatMul(x, w)',
    );
    const result = await with4(half);
    expect(operators(result)).to.deep.equal(['MatMulNBits']);
    const [node] = result.after.graph.nodes();
    expect(node!.inputs[2]!.dtype).to.equal('float16');
  });

  const tied = (head: string, table = 'float[80,64] e = ["fill": "normal:9"]') =>
    model('(int64[N,3] i) => (float[N,3,80] y)', table, `[rows] x = Gather(e, i) ${head}`);

  it('stores a table apart in 8 bits, and one that a product reads too once, in the bits of the product', async () => {
    const apart = model(
      '(int64[N,3] i) => (float[N,3,16] y)',
      'float[80,64] e = ["fill": "normal:9"], float[64,16] w = ["fill": "normal:2"]',
      '[rows] x = Gather(e, i) y = MatMul(x, w)',
    );
    const first = await with4(apart, {}, { inputs: { i: 'uniform:3:0:79' } });
    expect(operators(first)).to.deep.equal(['GatherBlockQuantized', 'MatMulNBits']);
    expect(first.row('rows').precision).to.equal('int8-blocks');
    await expectKept(first, 16);
    const once = await with4(
      tied('t = Transpose <perm = [1, 0]> (e) y = MatMul(x, t)'),
      {},
      { inputs: { i: 'uniform:3:0:79' } },
    );
    expect(once.row('rows').precision).to.equal('int4');
    const nodes = [...once.after.graph.nodes()];
    const rows = nodes.find(({ opType }) => opType === 'GatherBlockQuantized')!;
    const product = nodes.find(({ opType }) => opType === 'MatMulNBits')!;
    expect(product.inputs[1]!.producer!.inputs[0]).to.equal(rows.inputs[0]);
    expect(product.inputs[2]).to.equal(rows.inputs[2]);
    expect(product.inputs[3]).to.equal(rows.inputs[3]);
    await expectKept(once, 16);
  });

  it('knows a table and a head that are each other’s transpose though they are stored twice', async () => {
    const text = tied('y = MatMul(x, w)', 'float[80,64] e = ["fill": "normal:9"], float[64,80] w = zeros');
    const values = parseModel(tied('y = Identity(x)'))
      .graph.initializers.values()
      .next()
      .value!.constant!.toFloat32();
    const turned = Float32Array.from(
      { length: 64 * 80 },
      (_, i) => values[(i % 80) * 64 + Math.floor(i / 80)]!,
    );
    const listed = Array.from(turned, String).join(', ');
    const result = await with4(
      text.replace('w = zeros', `w = {${listed}}`),
      {},
      { inputs: { i: 'uniform:3:0:79' } },
    );
    expect(result.row('rows').precision).to.equal('int4');
    const q = [...result.after.graph.initializers].filter(({ constant }) => constant!.dtype === 'uint8');
    expect(q.filter(({ uses }) => uses.length > 0)).to.have.length(2);
    await expectKept(result, 16);
  });

  it('leaves what it cannot do, with the reason', async () => {
    const odd = model(
      '(float[N,64] x, float[64] v, float[2,N,64] z) => (float[N,7] a, float[24] b, float[N,24] c, float[2,N,24] d)',
      `float[64,7] small = ["fill": "normal:1"], float[64,24] w = ["fill": "normal:2"],
       float[2,64,24] many = ["fill": "normal:3"]`,
      `[small] a = MatMul(x, small) [vector] b = MatMul(v, w) [alpha] c = Gemm <alpha = 2.0> (x, w)
       [batch] d = MatMul(z, many)`,
    );
    const result = await with4(odd, {}, { precision: 'int4' });
    expect(result.row('small').reason).to.contain('too small');
    expect(result.row('vector').reason).to.contain('vector');
    expect(result.row('alpha').reason).to.contain('alpha');
    expect(result.row('batch').reason).to.contain('3 dimensions');
    expect(operators(result)).to.not.include('MatMulNBits');
  });

  it('keeps float what is excluded', async () => {
    const result = await with4(
      product,
      {},
      { exclude: (node) => (node.name === 'mul' ? 'excluded' : undefined) },
    );
    expect(operators(result)).to.deep.equal(['MatMul', 'Add']);
    expect(result.row('mul').reason).to.equal('excluded');
  });

  it('writes a DequantizeLinear in blocks for targets that want ai.onnx alone', async () => {
    const weightOnly = { ...cpuX64Vnni.weightOnly!, form: 'DequantizeLinear' as const };
    const target: Target = { ...cpuX64Vnni, name: 'plain', weightOnly };
    for (const symmetric of [false, true]) {
      const result = await with4(product, { symmetric }, { target });
      expect(operators(result)).to.deep.equal(['DequantizeLinear', 'MatMul', 'Add']);
      const [dequantize] = result.after.graph.nodes();
      expect(dequantize!.inputs[0]!.dtype).to.equal(symmetric ? 'int4' : 'uint4');
      expect(dequantize!.inputs[1]!.shape).to.deep.equal([4, 24]);
      const bytes = [encodeModel(result.before), encodeModel(result.after)] as const;
      const [output] = await compareOutputs(...bytes, result.data, {});
      expect(output!.sqnr).to.be.above(18);
    }
  });

  it('refuses bits and block sizes that the target has no kernel for', async () => {
    const codeOf = async (target: Target, weights: Partial<WeightChoice>) => {
      try {
        await with4(product, weights, { target });
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'none';
    };
    expect(await codeOf({ ...cpuX64Vnni, weightOnly: undefined }, {})).to.equal('E_PRECISION_TARGET');
    expect(await codeOf(cpuX64Vnni, { bits: 2, blockSize: 16 })).to.equal('E_BLOCK_SIZE');
  });

  it('gives the same bytes when it is asked twice', async () => {
    const bytes = async () =>
      [...(await with4(product)).after.graph.initializers].map(({ constant }) =>
        Buffer.from((constant as Tensor).bytes()),
      );
    const [first, second] = [await bytes(), await bytes()];
    expect(first.every((each, at) => each.equals(second[at]!))).to.equal(true);
  });
});
