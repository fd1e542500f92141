import { expect } from 'chai';
import { sortTopologically } from '../../src/index.js';
import { readModel } from '../../src/onnx/read.js';
import { type KernelReport, readKernels } from '../../src/runtime/kernels.js';
import { parseModel } from '../../src/text/parse.js';
import { sharedPath } from '../shared.js';

const model = (body: string) => parseModel(`<ir_version: 10, opset_import: ["": 21]>\n${body}`);

/** `output of the node: fate kernel`, for nodes that are no Q/DQ. */
const fates = (report: KernelReport): Record<string, string> =>
  Object.fromEntries(
    report.nodes
      .filter(({ node }) => !/^(De)?[Qq]uantizeLinear$/.test(node.opType))
      .map(({ node, fate, kernel }) => [node.outputs[0]!.name, `${fate} ${kernel ?? ''}`.trim()]),
  );

/** Convolution, activation and sum between Q and DQ, the way that ONNX Runtime fuses them. */
const QDQ = model(`g (float[1,4,8,8] x) => (float[1,8,8,8] y) <
    float xs = {0.02}, uint8 xz = {128}, int8[8,4,3,3] w = ["fill": "uniform:1:-127:127"], float ws = {0.01}, int8 wz = {0},
    float ys = {0.05}, uint8 yz = {0}
  > {
    q = QuantizeLinear (x, xs, xz)
    d = DequantizeLinear (q, xs, xz)
    wd = DequantizeLinear (w, ws, wz)
    c = Conv <pads = [1, 1, 1, 1]> (d, wd)
    r = Relu (c)
    rq = QuantizeLinear (r, ys, yz)
    rd = DequantizeLinear (rq, ys, yz)
    s = Add (rd, rd)
    sq = QuantizeLinear (s, ys, yz)
    sd = DequantizeLinear (sq, ys, yz)
    y = Tanh (sd)
  }`);

describe('runtime/kernels', () => {
  it('finds integer kernels, what they swallowed, and where float remains', async () => {
    const report = await readKernels(QDQ);
    expect(fates(report)).to.deep.equal({
      c: 'integer QLinearConv',
      r: 'fused QLinearConv',
      s: 'integer QLinearAdd',
      y: 'float Tanh',
    });
    expect(report.counts.get('QLinearConv')).to.equal(1);
    // The first and the last border between float and integers remain, nothing else.
    expect(report.unfused.map((node) => node.outputs[0]!.name)).to.deep.equal(['q', 'sd']);
  });

  it('runs with the options of the target', async () => {
    const report = await readKernels(QDQ, { extra: { session: { disable_quant_qdq: '1' } } });
    expect(report.counts.has('QLinearConv')).to.equal(false);
    expect(fates(report)['c']).to.equal('float Conv');
  });

  it('sees the dynamic pattern as one kernel', async () => {
    const dynamic = model(`g (float[N,64] x) => (float[N,32] y) <
        int8[64,32] w = ["fill": "uniform:1:-127:127"], float[1] ws = {0.01}, int8[1] wz = {0}
      > {
        q, s, z = DynamicQuantizeLinear (x)
        i = MatMulInteger (q, w, z, wz)
        f = Cast <to = 1> (i)
        k = Mul (s, ws)
        y = Mul (f, k)
      }`);
    const report = await readKernels(dynamic);
    expect(fates(report)).to.include({
      i: 'integer DynamicQuantizeMatMul',
      f: 'fused DynamicQuantizeMatMul',
      q: 'fused DynamicQuantizeMatMul',
    });
  });

  it('knows what was computed at load, and the inside of what was recomposed', async () => {
    const norm = model(`g (float[2,8] x) => (float[2,8] y) <
        float two = {2}, float e = {0.00001}, float[8] g = ["fill": "normal:1"], float[8] b = ["fill": "normal:2"]
      > {
        m = ReduceMean <keepdims = 1> (x, axes)
        axes = Constant <value_ints = [-1]> ()
        d = Sub (x, m)
        p = Pow (d, two)
        v = ReduceMean <keepdims = 1> (p, axes)
        ve = Add (v, e)
        s = Sqrt (ve)
        n = Div (d, s)
        h = Mul (n, g)
        y = Add (h, b)
      }`);
    sortTopologically(norm.graph);
    const found = fates(await readKernels(norm));
    expect(found['axes']).to.equal('gone');
    // One of the steps lends the kernel its name, the others are its inside.
    for (const step of ['m', 'd', 'p', 'v', 've', 's', 'n', 'h', 'y'])
      expect(found[step], step).to.match(/^(fused|float) LayerNormalization$/);
  });

  it('follows float kernels on blocked channels back to their convolutions', async function () {
    const path = sharedPath('models', 'resnet8-tiny', 'model.onnx');
    if (path === undefined) return this.skip();
    const { nodes } = await readKernels(readModel(path));
    for (const { node, fate, kernel } of nodes) {
      if (node.opType !== 'Conv') continue;
      expect(`${fate} ${kernel}`, node.label).to.equal('float Conv');
    }
    expect(nodes.filter(({ fate }) => fate === 'gone')).to.deep.equal([]);
  });
});
