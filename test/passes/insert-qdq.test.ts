import { expect } from 'chai';
import type { Node, QuantcError } from '../../src/index.js';
import { cpuX64Avx2 } from '../../targets/cpu-x64.js';
import { eager, expectKept, quantized } from './quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';
/** A 3 × 3 convolution that keeps sizes. */
const same = '<pads = [1, 1, 1, 1]>';

describe('insert-qdq', () => {
  it('takes a Relu into the QuantizeLinear behind its convolution', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] y) <
        float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], float[8] b = ["fill": "normal:2"], float[8,8,3,3] v = ["fill": "normal:3:0:0.1"]
      > {
        [first] a = Conv ${same} (x, w, b)
        [relu] r = Relu (a)
        [second] y = Conv ${same} (r, v)
      }`);
    expect(made.row('first')).to.include({ precision: 'int8', kernel: 'QLinearConv' });
    expect(made.row('relu').reason).to.equal('absorbed into first');
    expect(made.row('first')).to.include({ bytesBefore: 2304, bytesAfter: 576 });
    await expectKept(made, 30);
  });

  it('joins a residual sum to both of its branches', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,10] y) <
        float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], float[8,8,3,3] v = ["fill": "normal:3:0:0.1"],
        float[8,10] u = ["fill": "normal:4"]
      > {
        [first] a = Conv ${same} (x, w)
        [second] c = Conv ${same} (a, v)
        [sum] s = Add (a, c)
        [relu] r = Relu (s)
        [pool] p = GlobalAveragePool (r)
        [flat] f = Flatten (p)
        [head] y = Gemm (f, u)
      }`);
    const kernels = ['sum', 'pool', 'flat', 'head'].map((node) => made.row(node).kernel);
    expect(kernels).to.deep.equal(['QLinearAdd', 'QLinearGlobalAveragePool', 'Flatten', 'QGemm']);
    await expectKept(made, 28);
  });

  it('concatenates what comes with different scales', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] y) <
        float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], float[4,8,1,1] v = ["fill": "normal:3:0:1.5"],
        float[8,12,1,1] u = ["fill": "normal:4:0:0.3"]
      > {
        [first] a = Conv ${same} (x, w)
        [second] c = Conv (x, v)
        [both] s = Concat <axis = 1> (a, c)
        [last] y = Conv (s, u)
      }`);
    expect(made.row('both').kernel).to.equal('QLinearConcat');
    await expectKept(made, 28);
  });

  it('quantizes depthwise convolutions by channel', async () => {
    const made = await quantized(`${head}
      g (float[N,16,12,12] x) => (float[N,16,12,12] y) <
        float[16,1,3,3] w = ["fill": "normal:1:0:0.3"], float[16] b = ["fill": "normal:2"], float[16,16,1,1] v = ["fill": "normal:3:0:0.3"]
      > {
        [deep] a = Conv <group = 16, pads = [1, 1, 1, 1]> (x, w, b)
        [clip] c = Relu (a)
        [wide] y = Conv (c, v)
      }`);
    expect(made.row('deep').precision).to.equal('int8');
    await expectKept(made, 28);
  });

  it('multiplies matrices: Gemm either way round, MatMul with a bias over three dimensions', async () => {
    const made = await quantized(`${head}
      g (float[N,4,32] x, float[N,32] z) => (float[N,4,16] y, float[N,16] u, float[N,16] v) <
        float[32,16] w = ["fill": "normal:1:0:0.2"], float[16] b = ["fill": "normal:2"], float[16,32] t = ["fill": "normal:3:0:0.2"]
      > {
        [product] m = MatMul (x, w)
        [bias] y = Add (m, b)
        [plain] u = Gemm (z, w, b)
        [turned] v = Gemm <transB = 1> (z, t)
      }`);
    for (const [node, kernel] of [
      ['product', 'MatMulIntegerToFloat'],
      ['plain', 'QGemm'],
      ['turned', 'QGemm'],
    ] as const)
      expect(made.row(node)).to.include({ precision: 'int8', kernel });
    await expectKept(made, 30);
  });

  it('takes a weight that two nodes share', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] y) <float[8,8,3,3] w = ["fill": "normal:1:0:0.1"]> {
        [first] a = Conv ${same} (x, w)
        [relu] r = Relu (a)
        [second] y = Conv ${same} (r, w)
      }`);
    await expectKept(made, 26);
  });

  it('quantizes constants that elementwise kernels read', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] y) <
        float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], float[1,8,1,1] k = ["fill": "uniform:5:-2:3"], float[8,8,3,3] v = ["fill": "normal:3:0:0.1"]
      > {
        [first] a = Conv ${same} (x, w)
        [sum] s = Add (k, a)
        [second] y = Conv ${same} (s, v)
      }`);
    expect(made.row('sum')).to.include({ precision: 'int8', kernel: 'QLinearAdd' });
    await expectKept(made, 30);
  });

  for (const [bounds, absorbed] of [
    ['0 to 6', true],
    ['-1 to 1', false],
    ['0.5 to 6', false],
  ] as const) {
    it(`${absorbed ? 'absorbs' : 'leaves'} a Clip from ${bounds}`, async () => {
      const [least, most] = bounds.split(' to ');
      const made = await quantized(`${head}
        g (float[N,8,12,12] x) => (float[N,8,12,12] y) <
          float[8,8,3,3] w = ["fill": "normal:1:0:0.3"], float low = {${least}}, float high = {${most}}, float[8,8,3,3] v = ["fill": "normal:3:0:0.1"]
        > {
          [first] a = Conv ${same} (x, w)
          [clip] c = Clip (a, low, high)
          [second] y = Conv ${same} (c, v)
        }`);
      expect(made.row('clip').precision).to.equal(absorbed ? 'int8' : 'float');
      await expectKept(made, 28);
    });
  }

  it('gives graph outputs in float, under their names', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] r, float[N,8,12,12] y) <
        float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], float[8,8,3,3] v = ["fill": "normal:3:0:0.1"]
      > {
        [first] a = Conv ${same} (x, w)
        [relu] r = Relu (a)
        [second] y = Conv ${same} (r, v)
      }`);
    expect(made.after.graph.outputs.map(({ name, dtype }) => [name, dtype])).to.deep.equal([
      ['r', 'float'],
      ['y', 'float'],
    ]);
    await expectKept(made, 30);
  });

  it('serves readers in integers and in float from one value', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] y, float[N,8,12,12] z) <
        float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], float[8,8,3,3] v = ["fill": "normal:3:0:0.1"]
      > {
        [first] a = Conv ${same} (x, w)
        [second] y = Conv ${same} (a, v)
        [wave] z = Erf (a)
      }`);
    expect(made.row('wave')).to.include({ precision: 'float', reason: 'no integer kernel for Erf' });
    await expectKept(made, 28);
  });

  it('gives float readers of a float input the float, not its rounding', async () => {
    const made = await quantized(`${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] y, float[N,8,12,12] z) <float[8,8,3,3] w = ["fill": "normal:1:0:0.1"]> {
        [first] y = Conv ${same} (x, w)
        [wave] z = Erf (x)
      }`);
    const wave = [...made.after.graph.nodes()].find(({ name }) => name === 'wave')!;
    expect(wave.inputs[0]).to.equal(made.after.graph.inputs[0]);
    await expectKept(made, 30);
  });

  it('keeps a large bias exact where its weights are all zero', async () => {
    const weights = Array.from({ length: 4 * 8 }, (_, i) => (i < 8 ? 0 : ((i * 37) % 19) / 19 - 0.5));
    const made = await quantized(`${head}
      g (float[N,8,6,6] x) => (float[N,4,6,6] y) <
        float[4,8,1,1] w = {${weights.join(', ')}}, float[4] b = {1000.25, 0.5, -0.25, 0}
      > {
        [only] y = Conv (x, w, b)
      }`);
    expect(made.row('only').precision).to.equal('int8');
    await expectKept(made, 45);
  });

  it('moves data without requantizing it: one scale before and behind', async () => {
    const made = await quantized(`${head}
      g (float[N,8,8,8] x) => (float[N,4,8,16] y) <
        float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], int64[4] to = {0, 4, 8, 16}, float[4,4,1,1] v = ["fill": "normal:3:0:0.4"]
      > {
        [first] a = Conv ${same} (x, w)
        [turn] t = Transpose <perm = [0, 1, 3, 2]> (a)
        [shape] s = Reshape (t, to)
        [pool] p = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (s)
        [second] y = Conv (p, v)
      }`);
    const grids = new Set<unknown>();
    for (const node of made.after.graph.nodes()) {
      if (node.opType === 'QuantizeLinear' && node.inputs[0]!.producer) grids.add(node.inputs[1]!.name);
    }
    for (const name of ['turn', 'shape', 'pool']) expect(made.row(name).precision, name).to.equal('int8');
    // One for what first gives and all that only moves it; one for the output of second, if it is quantized at all.
    expect(grids.size).to.be.at.most(2);
    await expectKept(made, 28);
  });

  it('keeps weights within the limit of processors that saturate', async () => {
    const text = `${head}
      g (float[N,8,12,12] x) => (float[N,8,12,12] y) <float[8,8,3,3] w = ["fill": "normal:1:0:0.1"]> {
        [only] y = Conv ${same} (x, w)
      }`;
    const { costs, rows } = eager;
    for (const [target, limit] of [
      [{ ...cpuX64Avx2, costs, rows }, 64],
      [eager, 127],
    ] as const) {
      const { after } = await quantized(text, { target });
      const weight = [...after.graph.initializers].find(
        ({ dtype, shape }) => dtype === 'int8' && shape?.length === 4,
      )!;
      const most = Math.max(...Array.from(weight.constant!.data() as Int8Array, Math.abs));
      expect(most).to.equal(limit);
    }
  });

  it('leaves what is excluded', async () => {
    const text = `${head}
      g (float[N,2,4,4] x) => (float[N,2,4,4] y) <float[2,2,1,1] w = {1, 2, 3, 4}> {
        [only] y = Conv (x, w)
      }`;
    const exclude = (node: Node) => (node.name === 'only' ? 'kept' : undefined);
    const kept = await quantized(text, { exclude });
    expect(kept.row('only')).to.include({ precision: 'float', reason: 'kept' });
    expect(kept.count('QuantizeLinear')).to.equal(0);
  });

  it('refuses a model that computes NaN, naming where', async () => {
    const text = `${head}
      g (float[N,2,4,4] x) => (float[N,2,4,4] y) <float[2,2,1,1] w = {1, nan, 3, 4}, float[2,2,1,1] v = {1, 2, 3, 4}> {
        [first] a = Conv (x, w)
        [second] y = Conv (a, v)
      }`;
    const error = await quantized(text).catch((thrown: QuantcError) => thrown);
    expect(error).to.include({ code: 'E_CALIBRATION_NAN', kind: 'input' });
    expect((error as QuantcError).place).to.deep.equal({ value: 'a', pass: 'calibrate-ranges' });
  });

  it('quantizes nothing that is inside of a branch, and says so', async () => {
    const made = await quantized(`${head}
      g (float[N,8] x, bool c) => (float[N,8] y) <float[8,8] w = ["fill": "normal:1"]> {
        [choice] y = If (c) <
          then_branch = t () => (float[M,8] a) { [inner] a = MatMul (x, w) },
          else_branch = e () => (float[K,8] b) { [other] b = Identity (x) }
        >
      }`).catch((error: Error) => error);
    if (made instanceof Error) throw made;
    expect(made.row('inner')).to.include({ precision: 'float' });
    expect(made.row('inner').reason).to.include('subgraph');
  });
});
