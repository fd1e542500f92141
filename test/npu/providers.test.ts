/** Targets of Core ML, NNAPI and XNNPACK from end to end: the emitted graph is legal where it can be, and runs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type CompileRequest, compile } from '../../src/compile.js';
import { encodeModel, type Model, type Node, QuantcError, type TargetReport } from '../../src/index.js';
import { readModel } from '../../src/onnx/read.js';
import { readKernels } from '../../src/runtime/kernels.js';
import { parseModel } from '../../src/text/parse.js';

/** What phones' networks are made of: strided and depthwise convolutions, pools, a sum, HardSwish, a head. */
const CNN = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,3,16,16] image) => (float[N,5] scores) <
  float[16,3,3,3] w = ["fill": "normal:1"], float[16] b = ["fill": "normal:2"],
  float[16,1,3,3] v = ["fill": "normal:3"], float[16,16,1,1] u = ["fill": "normal:6"],
  float[16,5] m = ["fill": "normal:4"], float six = {6.0}, float zero = {0.0}
> {
  c = Conv <pads = [1, 1, 1, 1]> (image, w, b)
  r = Clip (c, zero, six)
  p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
  d = Conv <pads = [1, 1, 1, 1], group = 16> (p, v)
  h = HardSwish (d)
  e = Conv (h, u)
  s = Add (e, p)
  a = GlobalAveragePool (s)
  f = Flatten (a)
  l = MatMul (f, m)
  scores = Softmax (l)
}`;

describe('targets of Core ML, NNAPI and XNNPACK', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-providers-'));
    writeFileSync(join(folder, 'net.onnx'), encodeModel(parseModel(CNN)));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function made(target: string, more: Partial<CompileRequest> = {}): Promise<[TargetReport, Model]> {
    const [report] = await compile({
      model: join(folder, 'net.onnx'),
      targets: [target],
      algorithms: ['none'],
      out: join(folder, target),
      cache: false,
      threads: 1,
      ...more,
    });
    expect(report!.proof.status, report!.proof.reason).to.equal('passed');
    return [report!, readModel(join(folder, target, report!.files[0]!.path))];
  }
  const nodesOf = (model: Model, opType: string): Node[] =>
    [...model.graph.nodes()].filter((node) => node.opType === opType);
  const codeOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'nothing thrown',
      (error: unknown) => (error instanceof QuantcError ? error.code : String(error)),
    );

  it('give Core ML float16, whole', async () => {
    const [report, model] = await made('npu-coreml');
    expect(report.precision).to.equal('fp16');
    expect(report.verdict!.breaks).to.deep.equal([]);
    expect(report.verdict!.partitions).to.have.length(1);
    expect(nodesOf(model, 'Conv').map((node) => node.inputs[1]!.constant!.dtype)).to.deep.equal(
      Array(3).fill('float16'),
    );
    expect(nodesOf(model, 'QuantizeLinear')).to.deep.equal([]);
    expect(report.proof.outputs[0]!.sqnr).to.be.above(40);
  });

  it('give Core ML int8 weights that fold before it is asked, whole as well', async () => {
    const [report, model] = await made('npu-coreml', { precision: 'int8-weights' });
    expect(report.verdict!.breaks).to.deep.equal([]);
    const stored = [...model.graph.initializers].filter((value) => value.constant!.dtype === 'int8');
    expect(stored).to.not.be.empty;
    expect(nodesOf(model, 'DequantizeLinear')).to.deep.equal([]);
  });

  it('give Core ML int8 weights beside float16 arithmetic, constant once the model is loaded', async () => {
    const [report, model] = await made('npu-coreml', { precision: 'int8-weights', half: true });
    expect(report.verdict!.breaks).to.deep.equal([]);
    const weights = nodesOf(model, 'Conv').map((node) => node.inputs[1]!.producer!);
    // Large ones are stored as int8; every Conv reads float16.
    expect(weights.filter((producer) => producer?.opType === 'Cast')).to.not.be.empty;
    const { counts } = await readKernels(model);
    expect(counts.get('Conv') ?? counts.get('FusedConv')).to.be.above(0);
    expect(report.proof.outputs[0]!.sqnr).to.be.above(30);
  });

  it('give NNAPI its units, whole, pools on integers', async () => {
    const [report, model] = await made('npu-nnapi', { precision: 'int8' });
    expect(report.verdict!.breaks).to.deep.equal([]);
    expect(report.verdict!.coverage).to.equal(1);
    const [pool] = nodesOf(model, 'MaxPool');
    expect(pool!.inputs[0]!.producer!.opType).to.equal('QuantizeLinear');
    for (const node of nodesOf(model, 'QuantizeLinear'))
      expect(node.inputs[2]!.constant!.dtype, node.label).to.equal('uint8');
    // A scale a filter for convolutions, one for products.
    const scales = (op: string) =>
      nodesOf(model, op).map((node) => node.inputs[1]!.producer!.inputs[1]!.constant!.count);
    expect(scales('Conv')).to.deep.equal([16, 16, 16]);
    expect([...scales('MatMul'), ...scales('Gemm')]).to.deep.equal([1]);
    expect(report.proof.outputs[0]!.sqnr).to.be.above(15);
  });

  it('give XNNPACK int8 × int8 for what it has kernels for', async () => {
    const [report, model] = await made('npu-xnnpack', { precision: 'int8' });
    for (const node of nodesOf(model, 'Conv')) {
      expect(node.inputs[0]!.producer!.inputs[0]!.producer!.inputs[2]!.constant!.dtype).to.equal('int8');
      expect(node.inputs[1]!.producer!.inputs[0]!.constant!.dtype).to.equal('int8');
    }
    expect(nodesOf(model, 'Conv').length).to.equal(3);
    // The verdict is honest of what runs on ONNX Runtime's own kernels.
    const left = new Set(report.verdict!.breaks.map(({ op }) => op));
    for (const op of ['Conv', 'MaxPool']) expect(left.has(op), op).to.equal(false);
    expect(left.has('Add')).to.equal(true);
  });

  it('refuse precisions that mean nothing to them, and serve one when none is named', async () => {
    expect(await codeOf(made('npu-coreml', { precision: 'int8' }))).to.equal('E_PRECISION_TARGET');
    expect(await codeOf(made('npu-xnnpack', { precision: 'int4' }))).to.equal('E_PRECISION_TARGET');
    const [report] = await made('npu-nnapi');
    expect(report.precision).to.equal('float');
  });
});
