import { expect } from 'chai';
import { eager, expectKept, quantized } from './quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';
const dynamic = { precision: 'int8-dynamic' } as const;

describe('quantize-dynamic', () => {
  it('makes one kernel of a product and its bias', async () => {
    const made = await quantized(
      `${head}
      g (float[N,6,32] x) => (float[N,6,48] y) <float[32,48] w = ["fill": "normal:1"], float[48] b = ["fill": "normal:2"]> {
        [product] a = MatMul (x, w)
        [bias] y = Add (b, a)
      }`,
      dynamic,
    );
    expect([...made.after.graph.nodes()].map(({ opType }) => opType)).to.deep.equal([
      'DynamicQuantizeMatMul',
    ]);
    expect(made.row('product')).to.include({
      precision: 'int8-dynamic',
      kernel: 'DynamicQuantizeMatMul',
      bytesBefore: 32 * 48 * 4,
      bytesAfter: 32 * 48,
    });
    expect(made.row('bias').reason).to.equal('absorbed into product');
    expect(made.after.opsets.get('com.microsoft')).to.equal(1);
    await expectKept(made, 34);
  });

  it('quantizes an activation once for all of its products', async () => {
    const made = await quantized(
      `${head}
      g (float[N,6,32] x) => (float[N,6,32] q, float[N,6,32] k, float[N,6,32] v) <
        float[32,32] wq = ["fill": "normal:1"], float[32,32] wk = ["fill": "normal:2"], float[32,32] wv = ["fill": "normal:3"],
        float[32] b = ["fill": "normal:4"]
      > {
        [query] a = MatMul (x, wq)
        [bias] q = Add (a, b)
        [key] k = MatMul (x, wk)
        [worth] v = MatMul (x, wv)
      }`,
      dynamic,
    );
    expect(made.count('DynamicQuantizeLinear')).to.equal(1);
    expect(made.count('MatMulIntegerToFloat')).to.equal(3);
    await expectKept(made, 34);
  });

  it('takes Gemm either way round, with a bias, a matrix, or nothing to add', async () => {
    const made = await quantized(
      `${head}
      g (float[N,32] x, float[8,32] z, float[8,32] u) => (float[N,16] a, float[8,16] b, float[8,16] c) <
        float[32,16] w = ["fill": "normal:1"], float[16,32] t = ["fill": "normal:2"], float[16] bias = ["fill": "normal:3"],
        float[8,16] matrix = ["fill": "normal:4"]
      > {
        [first] a = Gemm (x, w, bias)
        [second] b = Gemm <transB = 1> (z, t, matrix)
        [third] c = Gemm <transB = 1> (u, t)
      }`,
      dynamic,
    );
    expect(made.count('DynamicQuantizeMatMul')).to.equal(3);
    expect(made.count('Add')).to.equal(1);
    await expectKept(made, 34);
  });

  it('reaches into the branches of an If', async () => {
    const made = await quantized(
      `${head}
      g (float[8,32] x) => (float[8,32] y) <float[32,32] w = ["fill": "normal:1"]> {
        zero = Constant <value_float = 0.0> ()
        axes = Constant <value_ints = [0, 1]> ()
        total = ReduceSum <keepdims = 0> (x, axes)
        c = Greater (total, zero)
        [choice] y = If (c) <
          then_branch = t () => (float[8,32] a) <float[32,32] v = ["fill": "normal:2"]> {
            [inner] m = MatMul (x, v)
            a = Tanh (m)
          },
          else_branch = e () => (float[8,32] b) { [other] b = MatMul (x, w) }
        >
      }`,
      dynamic,
    );
    for (const node of ['inner', 'other']) expect(made.row(node).precision).to.equal('int8-dynamic');
    await expectKept(made, 34);
  });

  it('leaves outputs of the graph their names, and sums that come too early or too late', async () => {
    const made = await quantized(
      `${head}
      g (float[N,32] x) => (float[N,16] m, float[N,16] y, float[N,16] z) <
        float[32,16] w = ["fill": "normal:1"], float[32,16] v = ["fill": "normal:2"], float[16] b = ["fill": "normal:3"],
        float[1,16] row = ["fill": "normal:4"]
      > {
        [shown] m = MatMul (x, w)
        [after] y = Add (m, b)
        [other] o = MatMul (x, v)
        [wide] z = Add (o, row)
      }`,
      dynamic,
    );
    expect(made.after.graph.outputs.map(({ name }) => name)).to.deep.equal(['m', 'y', 'z']);
    expect(made.count('Add')).to.equal(2);
    await expectKept(made, 34);
  });

  it('shares a weight between nodes, and stores it once', async () => {
    const made = await quantized(
      `${head}
      g (float[N,64] x) => (float[N,64] y) <float[64,64] w = ["fill": "normal:1:0:0.1"]> {
        [first] a = MatMul (x, w)
        r = Relu (a)
        [second] y = MatMul (r, w)
      }`,
      dynamic,
    );
    const stored = [...made.after.graph.initializers].filter(({ dtype }) => dtype === 'int8');
    expect(stored.filter(({ shape }) => shape?.length === 2)).to.have.length(1);
    await expectKept(made, 30);
  });

  it('leaves what no kernel takes, what does not pay, and what is excluded', async () => {
    const text = `${head}
      g (float[8,32] x, float[32,8] z) => (float[8,8] y, float[8,4] u) <float[32,4] w = ["fill": "normal:1"]> {
        [both] y = MatMul (x, z)
        [small] u = MatMul (x, w)
      }`;
    const { costs } = eager;
    const dear = { ...eager, costs: { ...costs, node: 1e9 } };
    const made = await quantized(text, { ...dynamic, target: dear });
    expect(made.row('both').reason).to.include('input 1 is not a constant');
    expect(made.row('small').reason).to.include('float is faster here');
    expect(made.after.opsets.has('com.microsoft')).to.equal(false);
    const kept = await quantized(text, { ...dynamic, exclude: () => 'because' });
    expect(kept.row('small')).to.include({ precision: 'float', reason: 'because' });
    await expectKept(kept, Number.POSITIVE_INFINITY);
  });
});
