import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeNpy } from '../../src/calibration/npy.js';
import { collectDims } from '../../src/cli/option.js';
import { type DimSizes, parseDim, specialize } from '../../src/compile/dims.js';
import { compile } from '../../src/compile.js';
import { explain } from '../../src/explain.js';
import { encodeModel, Ledger, parseModel, type QuantcError, readModel } from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';
import { filledTensor } from '../../src/text/fill.js';

/** Two inputs of one batch, an unnamed dimension, a computed shape, a branch, an input with a default. */
const NET = `<ir_version: 10, opset_import: ["": 21]>
g (float[batch,seq,8] x, float[batch,?] bias, float[2,3] d) => (float[batch,total] y) <
  float[8,4] w = ["fill": "normal:1"], int64[1] zero = {0}, int64[1] minus = {-1}, float[2,3] d = ["fill": "ones"]
> {
  a = MatMul (x, w)
  s = Shape (a)
  b = Gather (s, zero)
  t = Concat <axis = 0> (b, minus)
  r = Reshape (a, t)
  y = Add (r, bias)
}`;

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as QuantcError).code;
  }
  return 'none';
};
const failing = async (act: Promise<unknown>): Promise<QuantcError> =>
  act.then(
    () => expect.fail('nothing was thrown'),
    (error: QuantcError) => error,
  );

describe('sizes of dimensions', () => {
  it('are read from words', () => {
    expect(parseDim('batch=1')).to.deep.equal(['batch', 1]);
    expect(parseDim('past + 1 = all=12')).to.deep.equal(['past + 1 = all', 12]);
    for (const text of ['batch', '=3', ' =3']) expect(codeOf(() => parseDim(text))).to.equal('E_DIM_FORM');
    for (const text of ['n=', 'n=0', 'n=-1', 'n=1.5', 'n=two', 'n=99999999999999999999'])
      expect(
        codeOf(() => parseDim(text)),
        text,
      ).to.equal('E_DIM_SIZE');
    expect(collectDims('n=2', collectDims('n=2', collectDims('m=1')))).to.deep.equal({ m: 1, n: 2 });
    expect(codeOf(() => collectDims('n=2', { n: 3 }))).to.equal('E_DIM_CONFLICT');
    expect(collectDims('constructor=2')).to.deep.equal({ constructor: 2 });
  });

  const fixing = (dims: DimSizes, target?: { name: string; staticShapes: boolean }) => {
    const model = parseModel(NET);
    const ledger = new Ledger();
    const fixed = specialize(model, dims, target, ledger);
    const shapes = [...model.graph.inputs, ...model.graph.outputs].map(({ shape }) => shape);
    return { fixed, shapes, notes: ledger.notes, model };
  };

  it('take the place of names wherever they stand, and of places without a name', async () => {
    const { fixed, shapes, model } = fixing({ batch: 2, 'x:1': 3, 'bias:1': 12 });
    expect(shapes).to.deep.equal([
      [2, 3, 8],
      [2, 12],
      [2, 3],
      [2, null],
    ]);
    expect(fixed.map(({ input, axis, dim, size }) => `${input}:${axis} ${dim}=${size}`)).to.deep.equal([
      'x:0 batch=2',
      'x:1 seq=3',
      'bias:0 batch=2',
      'bias:1 bias:1=12',
    ]);
    await createEngine().inferTypes(model);
    expect([...model.graph.nodes()].map((node) => node.outputs[0]!.shape)).to.deep.include([2, 3, 4]);
  });

  it('are refused where they cannot be had', () => {
    const code = (dims: DimSizes) => codeOf(() => fixing(dims));
    expect(code({ length: 3 })).to.equal('E_DIM_UNKNOWN');
    expect(code({ total: 3 })).to.equal('E_DIM_UNKNOWN');
    expect(code({ 'd:0': 3 })).to.equal('E_DIM_FIXED');
    expect(code({ 'd:0': 2 })).to.equal('none');
    expect(code({ 'x:3': 3 })).to.equal('E_DIM_RANK');
    expect(code({ batch: 2, 'x:0': 3 })).to.equal('E_DIM_CONFLICT');
    expect(code({ batch: 2, 'x:0': 2 })).to.equal('none');
    expect(code({ batch: 0.5 })).to.equal('E_DIM_SIZE');
    try {
      fixing({ length: 3 });
    } catch (error) {
      expect((error as QuantcError).hint).to.equal(
        'Open dimensions: batch (x:0), seq (x:1), batch (bias:0), bias:1.',
      );
    }
  });

  it('must all be there for a target of fixed shapes; the batch is 1 when nothing is said', async () => {
    const npu = { name: 'npu', staticShapes: true };
    const { shapes, notes } = fixing({ seq: 3, 'bias:1': 12 }, npu);
    expect(shapes[0]).to.deep.equal([1, 3, 8]);
    expect(notes.map(({ code }) => code)).to.deep.equal(['dim-default']);
    const error = await failing((async () => fixing({ seq: 3 }, npu))());
    expect([error.code, error.hint]).to.deep.equal([
      'E_DIM_OPEN',
      'Give sizes: --dim bias:1=<size>. Open dimensions: bias:1.',
    ]);
  });
});

describe('a compilation for fixed sizes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-dims-'));
  const at = (name: string): string => join(folder, name);
  const model = at('net.onnx');
  before(() => {
    writeFileSync(
      model,
      encodeModel(parseModel(NET.replace(', float[2,3] d)', ')').replace(/,\s+float\[2,3\] d = .*\]/, ''))),
    );
    writeFileSync(at('x.npy'), encodeNpy(filledTensor('float', [6, 3, 8], 'normal:3', '')!));
    writeFileSync(at('bias.npy'), encodeNpy(filledTensor('float', [6, 12], 'normal:4', '')!));
    const inputs = { x: { calib: 'x.npy' }, bias: { calib: 'bias.npy' } };
    writeFileSync(at('data.json'), JSON.stringify({ batch: 3, inputs }));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('folds what computed shapes, and puts the data into the batch of the model', async () => {
    const dims = { batch: 2, seq: 3, 'bias:1': 12 };
    const out = at('out');
    const [report] = await compile({ model, calib: folder, dims, out, cache: false, precision: 'int8' });
    expect(report!.proof.status).to.equal('passed');
    const { graph } = readModel(join(out, 'net.cpu-x64.onnx'));
    expect([...graph.inputs, ...graph.outputs].map(({ shape }) => shape)).to.deep.equal([
      [2, 3, 8],
      [2, 12],
      [2, 12],
    ]);
    expect([...graph.nodes()].some((node) => node.is('Shape') || node.is('Gather'))).to.equal(false);
  });

  it('names the dimension that data do not have', async () => {
    const dims = { batch: 2, seq: 5, 'bias:1': 12 };
    const error = await failing(compile({ model, calib: folder, dims, out: at('never'), cache: false }));
    expect(error.code).to.equal('E_DATA_SHAPE');
    expect(error.hint).to.include('seq=5 (axis 1 of "x")');
  });

  it('can be explained', async () => {
    const told = await explain({ model, dims: { batch: 1, seq: 3, 'bias:1': 12 } });
    expect(told.nodes.some(({ node }) => node.includes('Shape'))).to.equal(false);
    expect((await failing(explain({ model, dims: { nobody: 1 } }))).code).to.equal('E_DIM_UNKNOWN');
  });
});
