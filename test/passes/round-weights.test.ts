import { expect } from 'chai';
import { roundWeights } from '../../passes/round-weights.js';
import { eager, type Options } from './quantizing.js';
import { refined } from './refining.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';

async function rounded(text: string, options: Options = {}, blind = false) {
  const { refined: together, ...rest } = await refined([roundWeights], text, options, blind);
  return { together, ...rest };
}

/** Four directions in 32 inputs, so that errors can cancel; then a product, with weights quantized. */
const product = (last: string) => `${head}
  g (float[N,4] x) => (float[N,16] y) <
    float[4,32] u = ["fill": "normal:1"], float[32] c = ["fill": "normal:5:2"], float[32,16] w = ["fill": "normal:2:0:0.3"], float[16] b = ["fill": "normal:3"]
  > {
    a = Gemm (x, u, c)
    ${last}
  }`;

describe('round-weights', () => {
  it('makes errors cancel where inputs are alike', async () => {
    const { plain, together, notes } = await rounded(product('y = Gemm (a, w, b)'), {
      precision: 'int8-weights',
    });
    expect(together).to.be.above(plain + 6);
    expect(notes.join()).to.match(/one weight rounded together: [\d.]+ dB before, [\d.]+ dB with it/);
  });

  it('rounds convolutions of every kind: grouped, depthwise, strided, dilated, padded, over one axis', async () => {
    for (const [shape, weight, attributes] of [
      ['8,12,12', '8,4,3,3', 'group = 2, pads = [1, 0, 1, 2]'],
      ['8,12,12', '8,1,3,3', 'group = 8, strides = [2, 1]'],
      ['8,12,12', '6,8,3,2', 'dilations = [2, 1], pads = [1, 1, 1, 1]'],
      ['8,12,12', '6,8,1,1', 'strides = [2, 2]'],
      ['8,40', '6,8,5', 'pads = [2, 2]'],
    ]) {
      const rows = weight!.split(',')[0];
      const rest = shape!
        .split(',')
        .slice(1)
        .map(() => 'M')
        .join();
      const { plain, together } = await rounded(
        `${head} g (float[N,${shape}] x) => (float[N,${rows},${rest.replace(/M/g, '?')}] y) <
          float[8,8${',1'.repeat(rest.split(',').length)}] u = ["fill": "normal:1"], float[8] c = ["fill": "normal:4:1"],
          float[${weight}] w = ["fill": "normal:2:0:0.3"], float[${rows}] b = ["fill": "normal:3"]
        > { a = Conv (x, u, c) r = Relu (a) y = Conv <${attributes}> (r, w, b) }`,
        { exclude: (node) => (node.inputs[1]?.name === 'u' ? 'float' : undefined) },
      );
      expect(together, attributes).to.be.above(plain - 1);
    }
  });

  it('keeps to the steps that a target allows, and to int32 biases', async () => {
    const target = { ...eager, weight: { dtype: 'int8' as const, limit: 64 } };
    const { plain, together } = await rounded(product('y = Gemm (a, w, b)'), { target });
    expect(together).to.be.above(plain - 1);
  });

  it('rounds one weight for all nodes that read it', async () => {
    const { declined, together, plain } = await rounded(
      `${head} g (float[N,4] x) => (float[N,16] y) <
        float[4,32] u = ["fill": "normal:1"], float[4,32] v = ["fill": "normal:7"], float[32,16] w = ["fill": "normal:2:0:0.3"]
      > { a = MatMul (x, u) c = MatMul (x, v) d = MatMul (a, w) e = MatMul (c, w) y = Sub (d, e) }`,
      { precision: 'int8-weights' },
    );
    expect(declined).to.deep.equal([]);
    expect(together).to.be.above(plain);
  });

  it('rounds the weights of products that quantize their inputs by themselves', async () => {
    const { plain, together } = await rounded(
      `${head} g (float[N,4] x) => (float[N,16] y, float[N,16] z) <
        float[4,32] u = ["fill": "normal:1"], float[32,16] w = ["fill": "normal:2:0:0.3"], float[16] b = ["fill": "normal:3"],
        float[32,16] v = ["fill": "normal:4:0:0.3"]
      > { a = MatMul (x, u) p = MatMul (a, w) y = Add (p, b) z = MatMul (a, v) }`,
      { precision: 'int8-dynamic' },
    );
    expect(together).to.be.above(plain);
  });

  it('leaves what it cannot judge as it is, and says why', async () => {
    expect((await rounded(product('y = Gemm (a, w, b)'), {}, true)).declined.join()).to.match(
      /no calibration samples/,
    );
    const odd = await rounded(
      `${head} g (float[N,4] x) => (float[N,16] y) <
        float[4,32] u = ["fill": "normal:1"], float[32,16] w = ["fill": "normal:2:0:0.3"]
      > { a = MatMul (x, u) y = Gemm <alpha = 0.5> (a, w) }`,
      { precision: 'int8-weights' },
    );
    expect(odd.declined.join()).to.match(/alpha or beta/);
  });

  it('gives the same bytes with an engine for large matrices as without', async () => {
    const wide = `${head} g (float[N,8] x) => (float[N,8] y) <
      float[8,700] u = ["fill": "normal:1"], float[700] c = ["fill": "normal:5:1"], float[700,8] w = ["fill": "normal:2:0:0.3"], float[8] b = ["fill": "normal:3"]
    > { a = Gemm (x, u, c) y = Gemm (a, w, b) }`;
    const [plain, engine] = await Promise.all(
      [undefined, { threads: 1, maxBytes: 1 << 28 }].map((products) =>
        refined([roundWeights], wide, { precision: 'int8-weights' }, false, products),
      ),
    );
    expect(plain!.refined).to.be.above(plain!.plain + 3);
    expect(Buffer.compare(plain!.bytes, engine!.bytes)).to.equal(0);
  });

  it('gives the same bytes every time', async () => {
    const [first, second] = [
      await rounded(product('y = Gemm (a, w, b)')),
      await rounded(product('y = Gemm (a, w, b)')),
    ];
    expect(Buffer.compare(first!.bytes, second!.bytes)).to.equal(0);
  });
});
