import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeNpy } from '../../src/calibration/npy.js';
import { collectShapes } from '../../src/cli/option.js';
import { Meeting } from '../../src/compile/meeting.js';
import { parseShape } from '../../src/compile/named-shapes.js';
import type { CompileRequest } from '../../src/compile/request.js';
import { compile } from '../../src/compile.js';
import { encodeModel, parseModel, QuantcError, readModel, type Value } from '../../src/index.js';
import { withSession } from '../../src/runtime/session.js';
import { filledTensor } from '../../src/text/fill.js';

/** What a token goes through, and a shape that is computed. */
const NET = `<ir_version: 10, opset_import: ["": 21]>
g (float[batch,seq,64] x) => (float[batch,total] y) <
  float[64,128] w = ["fill": "normal:1:0:0.1"], float[128] b = ["fill": "normal:2"],
  float[128,16] v = ["fill": "normal:3:0:0.1"], int64[2] flat = {0, -1}
> {
  a = MatMul (x, w)
  c = Add (a, b)
  r = Relu (c)
  d = MatMul (r, v)
  y = Reshape (d, flat)
}`;

const codeOf = async (act: () => unknown): Promise<string> => {
  try {
    await act();
  } catch (error) {
    return (error as QuantcError).code;
  }
  return 'none';
};

describe('named shapes', () => {
  it('are read from words', async () => {
    expect(parseShape('long:seq=256,batch=1')).to.deep.equal(['long', { seq: 256, batch: 1 }]);
    expect(parseShape('s:input:0=2')).to.deep.equal(['s', { 'input:0': 2 }]);
    for (const text of ['long', ':seq=1', 'a/b:seq=1'])
      expect(await codeOf(() => parseShape(text))).to.equal('E_SHAPES_FORM');
    expect(await codeOf(() => parseShape('long:'))).to.equal('E_DIM_FORM');
    expect(await codeOf(() => parseShape('long:a=1,a=2'))).to.equal('E_DIM_CONFLICT');
    expect(await codeOf(() => collectShapes('a:s=1', { a: {} }))).to.equal('E_SHAPES_NAME');
  });

  it('meet, and nobody waits for one that is gone', async () => {
    const value = (name: string) => ({ name }) as Value;
    const meeting = new Meeting(3);
    const [a, b] = [value('x'), value('x')];
    const both = Promise.all([
      meeting.join(new Map([[a, { min: -1, max: 2, alternatives: { mse: { min: -0.5, max: 1 } } }]])),
      meeting.join(new Map([[b, { min: -3, max: 1, alternatives: { mse: { min: 0, max: 3 } } }]])),
    ]);
    meeting.leave();
    const wide = { min: -3, max: 2, alternatives: { mse: { min: -0.5, max: 3 } } };
    expect((await both).map((each) => [...each.values()])).to.deep.equal([[wide], [wide]]);
    const waiting = meeting.join(new Map([[a, { min: 0, max: 9 }]]));
    meeting.leave(new Error('no'));
    expect(await codeOf(() => waiting)).to.equal('E_SHAPES_OTHER');
  });
});

describe('a compilation for several shapes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-shapes-'));
  const at = (name: string): string => join(folder, name);
  const shapes = { short: { seq: 4 }, long: { seq: 16 } };
  const request: CompileRequest = {
    model: at('net.onnx'),
    calib: at('x.{shape}.npy'),
    targets: ['npu-qnn'],
    precision: 'a8w8',
    dims: { batch: 1 },
    shapes,
    out: at('out'),
    cache: false,
  };
  before(() => {
    writeFileSync(at('net.onnx'), encodeModel(parseModel(NET)));
    for (const [shape, { seq }] of Object.entries(shapes))
      writeFileSync(
        at(`x.${shape}.npy`),
        encodeNpy(filledTensor('float', [6, seq, 64], `normal:${seq}:0:${seq}`, '')!),
      );
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('gives a graph each, with the same weights and parameters, from one file', async () => {
    const reports = await compile(request);
    expect(reports.map(({ shape, proof }) => [shape, proof.status])).to.deep.equal([
      ['short', 'passed'],
      ['long', 'passed'],
    ]);
    const files = [
      'net.npu-qnn.long.onnx',
      'net.npu-qnn.onnx_data',
      'net.npu-qnn.short.onnx',
      'quantc.report.json',
    ];
    expect(readdirSync(at('out'))).to.include.members(files);
    const constants = ['short', 'long'].map((shape) => {
      const { graph } = readModel(at(`out/net.npu-qnn.${shape}.onnx`));
      expect(graph.inputs[0]!.shape).to.deep.equal([1, shapes[shape as 'short'].seq, 64]);
      const floats = [...graph.initializers].filter(({ constant }) => constant!.dtype !== 'int64');
      const large = floats.filter(({ constant }) => constant!.byteLength >= 1024);
      expect(large.length).to.be.greaterThan(1);
      const placed = large.map(({ constant }) => constant!.source);
      expect(placed.every(({ kind }) => kind === 'file')).to.equal(true);
      return {
        places: placed.map((source) => (source.kind === 'file' ? source.offset : -1)),
        bytes: floats.map(({ constant }) => Buffer.from(constant!.bytes()).toString('hex')).sort(),
      };
    });
    expect(constants[0]!.places).to.deep.equal(constants[1]!.places);
    expect(constants[0]!.bytes).to.deep.equal(constants[1]!.bytes);
    const x = filledTensor('float', [1, 16, 64], 'normal:9', '')!;
    const run = (path: string) => withSession(path, {}, (session) => session.run({ x }));
    const [float, ours] = await Promise.all([run(at('net.onnx')), run(at('out/net.npu-qnn.long.onnx'))]);
    const [expected, actual] = [float['y']!.toNumbers(), ours['y']!.toNumbers()];
    const noise = expected.reduce((sum, each, i) => sum + (each - actual[i]!) ** 2, 0);
    const signal = expected.reduce((sum, each) => sum + each ** 2, 0);
    expect(10 * Math.log10(signal / noise)).to.be.greaterThan(15);
  });

  it('is refused where one graph is meant, and fails as a whole', async () => {
    expect(await codeOf(() => compile({ ...request, budget: ['sqnr>=20dB'] }))).to.equal('E_SHAPES_OPTIONS');
    expect(await codeOf(() => compile({ ...request, dims: { seq: 3, batch: 1 } }))).to.equal(
      'E_DIM_CONFLICT',
    );
    const error = await compile({
      ...request,
      shapes: { ...shapes, other: { seq: 7 } },
      out: at('never'),
    }).catch((each: unknown) => each);
    expect(error).to.be.instanceOf(QuantcError);
    expect((error as QuantcError).code).to.equal('E_DATA_READ');
    expect(readdirSync(folder)).to.not.include('never');
  });
});
