/** From a trained model to a file that LiteRT runs as ONNX Runtime runs the same integers. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openData } from '../../src/calibration/data.js';
import { compile } from '../../src/compile.js';
import { encodeModel, parseModel, planStatic } from '../../src/index.js';
import { readModel } from '../../src/onnx/read.js';
import { withSession } from '../../src/runtime/session.js';
import { npuLitert } from '../../targets/npu-litert.js';
import { HEAD, runPorts } from './beside.js';
import { openLiteRt } from './litert-runtime.js';
import { portsOf, readTflite } from './reader.js';

const SHAPES = join(import.meta.dirname, '..', '..', 'models', 'shapes-cnn');
const twin = { ...npuLitert, name: 'twin', format: 'onnx' as const };
const quick = { ranges: 'minmax', algorithms: ['none'], proofSamples: 2, threads: 1, cache: false } as const;

const decibels = (expected: Float32Array, found: Float32Array): readonly [number, number] => {
  let [signal, noise] = [0, 0];
  expected.forEach((value, i) => {
    signal += value ** 2;
    noise += (value - found[i]!) ** 2;
  });
  return [signal, noise];
};
/** The largest difference. */
const closest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
const first = (values: Float32Array): number => values.indexOf(Math.max(...values));

/** How far a file's answers lie from a float model's, at most, on one sample. */
async function distance(model: string, file: Uint8Array): Promise<number> {
  const data = await openData(SHAPES, 'eval', readModel(model).graph.inputs, { batch: 1 });
  const litert = await openLiteRt(file);
  let most = 0;
  for await (const feeds of data.first(1)) {
    const expected = await withSession(model, { threads: 1 }, (session) => session.run(feeds));
    const found = await runPorts(litert, portsOf(file), feeds);
    for (const [name, tensor] of Object.entries(expected))
      most = Math.max(most, closest(tensor.toFloat32(), found[name]!));
  }
  litert.release();
  return most;
}

describe('npu-litert', () => {
  for (const [window, output] of [
    [8, 'own'],
    [4, 'same'],
  ] as const) {
    it(`gives a mean over ${window} × ${window} of 8 × 8 the grid of ${output === 'own' ? 'the mean' : 'what it reads'}`, () => {
      const { graph } = parseModel(
        `<ir_version: 10, opset_import: ["" : 21]> g (float[1,3,8,8] x) => (float[1,3,${8 / window},${8 / window}] y) { y = AveragePool <kernel_shape = [${window}, ${window}]> (x) }`,
      );
      const plan = planStatic(graph, npuLitert);
      expect([...plan.nodes.values()][0]?.row.output, [...plan.declined.values()].join()).to.equal(output);
    });
  }

  let out: string;
  beforeEach(() => {
    out = mkdtempSync(join(tmpdir(), 'quantc-litert-'));
  });
  afterEach(() => rmSync(out, { recursive: true, force: true }));

  it('compiles the shapes network into a file that LiteRT runs', async function () {
    this.timeout(120_000);
    const model = join(SHAPES, 'model.onnx');
    const [report] = await compile({ ...quick, model, targets: [npuLitert, twin], calib: SHAPES, out });
    expect(report!.files.map(({ path }) => path)).to.deep.equal(['model.npu-litert.tflite']);
    expect(report!.precision).to.equal('a8w8');
    expect(report!.verdict).to.deep.include({ provider: 'litert' });
    const file = new Uint8Array(readFileSync(join(out, 'model.npu-litert.tflite')));
    expect(report!.bytesAfter).to.equal(file.length);
    const { operators, tensors, buffers, signature } = readTflite(file);
    for (const { name, tensor } of [...signature.inputs, ...signature.outputs])
      expect(tensors[tensor]!.name).to.equal(name);
    // The very integers of the graph that was proven, in another order.
    const sorted = (bytes: Uint8Array): string => [...bytes].sort((a, b) => a - b).join();
    const stored = new Set(buffers.map(({ data }) => sorted(data)));
    let weights = 0;
    for (const { constant } of readModel(join(out, 'model.twin.onnx')).graph.initializers) {
      if (constant?.dtype !== 'int8' || constant.shape.length < 2) continue;
      expect(stored.has(sorted(constant.bytes())), constant.name).to.equal(true);
      weights++;
    }
    expect(weights).to.be.above(5);
    expect(operators.filter(({ code }) => code === 6)).to.have.length(1);
    // Nothing is transposed: pictures come in with channels last.
    expect(operators.filter(({ code }) => code === 39)).to.have.length(0);
    const ports = portsOf(file);
    expect(ports.inputs.map(({ layout }) => layout)).to.deep.equal(['last']);
    const data = await openData(SHAPES, 'eval', readModel(model).graph.inputs, { batch: 1 });
    const litert = await openLiteRt(file);
    let [same, signal, noise] = [0, 0, 0];
    await withSession(model, { threads: 1 }, (float) =>
      withSession(join(out, 'model.twin.onnx'), { threads: 1 }, async (ours) => {
        for await (const feeds of data.first(60)) {
          const name = float.outputs[0]!.name;
          const [expected, twins] = [await float.run(feeds), await ours.run(feeds)];
          const found = (await runPorts(litert, ports, feeds))[name]!;
          same += Number(first(found) === first(twins[name]!.toFloat32()));
          const sums = decibels(expected[name]!.toFloat32(), found);
          signal += sums[0];
          noise += sums[1];
        }
      }),
    );
    litert.release();
    expect(same).to.be.at.least(59);
    expect(10 * Math.log10(signal / noise)).to.be.above(25);
  });

  it('writes float models, too, and stores weights in 16 bits where it is asked to', async function () {
    this.timeout(60_000);
    const model = join(SHAPES, 'model.onnx');
    const sizes: number[] = [];
    for (const precision of ['float', 'fp16'] as const) {
      await compile({ ...quick, model, targets: [npuLitert], precision, calib: SHAPES, out });
      const file = new Uint8Array(readFileSync(join(out, 'model.npu-litert.tflite')));
      sizes.push(file.length);
      if (precision === 'fp16') expect(await distance(model, file)).to.be.below(0.02);
      else expect(await distance(model, file)).to.be.below(1e-4);
    }
    expect(sizes[1]! / sizes[0]!).to.be.below(0.6);
  });

  it('writes nothing for a model that the format cannot say', async () => {
    const model = join(out, 'm.onnx');
    const text = 'g (float[1,4] x) => (float[1,4] y) { [odd] y = Erf (x) }';
    writeFileSync(model, encodeModel(parseModel(`${HEAD} ${text}`)));
    const folder = join(out, 'dist');
    const error = await compile({
      ...quick,
      model,
      targets: [npuLitert],
      precision: 'float',
      out: folder,
    }).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error).to.include({ code: 'E_TFLITE_OP' });
    expect(error!.message).to.match(/Erf \(odd\)/);
    expect(existsSync(folder) ? readdirSync(folder) : []).to.deep.equal([]);
  });

  it('says so where the file would be over the ceiling of memory', async () => {
    const model = join(out, 'm.onnx');
    const text =
      'g (float[1,64] x) => (float[1,64] y) <float[64,64] w = ["fill": "normal:1"]> { y = MatMul (x, w) }';
    writeFileSync(model, encodeModel(parseModel(`${HEAD} ${text}`)));
    const error = await compile({
      ...quick,
      model,
      targets: [npuLitert],
      precision: 'float',
      out,
      maxMemory: 1000,
    }).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error).to.include({ code: 'E_TFLITE_MEMORY' });
  });
});
