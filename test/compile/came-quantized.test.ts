/** Files that came quantized, compiled for providers that take them as they are. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { compile } from '../../src/compile.js';
import { explain } from '../../src/explain.js';
import { readModel } from '../../src/onnx/read.js';
import { sharedPath } from '../shared.js';

const SHAPES = join(import.meta.dirname, '..', '..', 'models', 'shapes-cnn');
const quick = {
  ranges: 'minmax',
  algorithms: ['none'],
  proofSamples: 2,
  threads: 1,
  cache: false,
  calib: SHAPES,
} as const;

/** Products of constants, as scales of biases are written, are folded. */
const operators = (path: string): string[] =>
  [...readModel(path).graph.nodes()].flatMap(({ opType }) => (opType === 'Mul' ? [] : [opType])).sort();
const kept = (notes: readonly { readonly code: string }[]): boolean =>
  notes.some(({ code }) => code === 'kept-quantized');

describe('models that came quantized', () => {
  let out: string;
  let quantized: string;
  before(async function () {
    this.timeout(60_000);
    out = mkdtempSync(join(tmpdir(), 'quantc-quantized-'));
    await compile({ ...quick, model: join(SHAPES, 'model.onnx'), targets: ['npu-qnn', 'cpu-x64'], out });
    quantized = join(out, 'model.npu-qnn.onnx');
  });
  after(() => rmSync(out, { recursive: true, force: true }));

  for (const precision of ['auto', 'a16w8'] as const) {
    it(`keeps one that the provider takes whole, asked for ${precision}`, async function () {
      this.timeout(60_000);
      const again = join(out, precision);
      const [report] = await compile({
        ...quick,
        ...{ precision, model: quantized, targets: ['npu-qnn'], out: again },
      });
      expect(kept(report!.notes)).to.equal(true);
      expect(report!.verdict).to.include({ coverage: 1 });
      expect(report!.proof.outputs.map(({ sqnr }) => sqnr)).to.deep.equal([null]);
      expect(operators(join(again, 'model.npu-qnn.npu-qnn.onnx'))).to.deep.equal(operators(quantized));
    });
  }

  it('says nothing of made-up data where they decided nothing', async () => {
    const { calib, ...bare } = quick;
    const [report] = await compile({
      ...bare,
      ...{ model: quantized, targets: ['npu-qnn'], out: join(out, 'bare') },
    });
    expect(report!.notes.map(({ code }) => code)).to.include('kept-quantized');
    expect(report!.notes.map(({ code }) => code)).not.to.include('W_CALIBRATION_SYNTHETIC');
  });

  it('quantizes what the provider does not take whole', async () => {
    const { notes } = await explain({ model: join(out, 'model.cpu-x64.onnx'), target: 'npu-qnn' });
    expect(kept(notes)).to.equal(false);
  });

  it('quantizes anew where patterns ask for other nodes', async () => {
    const { notes } = await explain({ model: quantized, target: 'npu-qnn', exclude: ['Conv'] });
    expect(kept(notes)).to.equal(false);
  });

  it('leaves targets alone that do not take graphs whole', async () => {
    const { notes } = await explain({ model: quantized, target: 'cpu-x64' });
    expect(kept(notes)).to.equal(false);
  });

  for (const target of ['npu-qnn', 'npu-litert']) {
    it(`keeps a MobileNetV2 that was quantized elsewhere, for ${target}`, async function () {
      this.timeout(30_000);
      const model = sharedPath('models', 'qdq-mobilenetv2', 'model.onnx');
      if (model === undefined) this.skip();
      const { notes, verdict } = await explain({ model, target });
      expect(kept(notes)).to.equal(true);
      expect(verdict).to.include({ nodes: 67, taken: 67 });
    });
  }
});
