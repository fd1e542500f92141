/** Whole compilations for WebGPU, proven on WebGPU where SwiftShader is installed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { compile } from '../../src/compile.js';
import { explain } from '../../src/explain.js';
import { encodeModel, type QuantcError } from '../../src/index.js';
import { greedyDecode } from '../../src/runtime/greedy.js';
import { withSession } from '../../src/runtime/session.js';
import { launchBrowser } from '../../src/runtime/webgpu/browser.js';
import { webgpuNative } from '../../src/runtime/webgpu/native.js';
import { swiftShaderMissing } from '../../src/runtime/webgpu/packs.js';
import { parseModel } from '../../src/text/parse.js';
import { sharedPath } from '../shared.js';

const MIXED = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,64] x, int64[N] i) => (float[N,32] y, int64[2,M] z) <float[64,32] w = ["fill": "normal:7"], float[9,32] t = ["fill": "normal:8"], int64 one = {1}> {
  p = MatMul (x, w)
  s = Softsign (p)
  j = Add (i, one)
  e = Gather (t, j)
  y = Sum (s, e)
  z = NonZero (s)
}`;

describe('compiling for WebGPU', function () {
  this.timeout(180_000);
  let folder: string;
  let model: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-for-webgpu-'));
    model = join(folder, 'mixed.onnx');
    writeFileSync(model, encodeModel(parseModel(MIXED)));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const absent = (): boolean => {
    const missing = swiftShaderMissing();
    if (missing !== undefined) console.warn(`SKIPPED: no proof on WebGPU: ${missing}`);
    return missing !== undefined;
  };

  it('foresees where each node runs, and why', async () => {
    const { nodes, notes, precision } = await explain({ model, target: 'webgpu' });
    expect(precision).to.equal('int4');
    const of = (opType: string) => nodes.find((row) => row.opType === opType)!;
    expect(of('NonZero').reason).to.match(/no kernel for NonZero/);
    expect(nodes.some(({ reason }) => reason === 'webgpu has no kernel for Add of int64')).to.equal(true);
    expect(of('Gather').kernel).to.equal('webgpu');
    expect(nodes.map(({ opType }) => opType)).to.not.include.members(['Softsign', 'Sum']);
    expect(notes.find(({ code }) => code === 'W_CPU_FALLBACK')!.message).to.match(/^2 nodes run on the CPU/);
  });

  it('refuses precisions that need integer kernels', async () => {
    const error = await compile({
      model,
      targets: ['webgpu'],
      precision: 'int8-dynamic',
      out: join(folder, 'no'),
    }).catch((thrown: unknown) => thrown);
    expect((error as QuantcError).code).to.equal('E_PRECISION_TARGET');
  });

  it('proves the file on WebGPU, beside the CPU', async function () {
    if (absent()) return this.skip();
    const [report] = await compile({
      model,
      targets: ['webgpu'],
      precision: 'float',
      out: join(folder, 'out'),
    });
    const { proof, ledger } = report!;
    expect(proof.status).to.equal('passed');
    const [elsewhere] = proof.elsewhere!;
    expect(elsewhere!.executor).to.match(/WebGPU/);
    expect(elsewhere!.strict).to.equal(false);
    for (const { sqnr } of elsewhere!.outputs) expect(sqnr ?? 999).to.be.above(60);
    expect(proof.kernels).to.include({ MatMul: 1, Gather: 1, 'cpu:NonZero': 1, 'cpu:Add': 1 });
    expect(ledger.filter(({ kernel }) => kernel === 'cpu').map(({ opType }) => opType)).to.have.members([
      'Add',
      'NonZero',
    ]);
  });

  it('proves 16-bit arithmetic where the adapter has none, by the same graph in 32 bits', async function () {
    if (absent()) return this.skip();
    const [report] = await compile({
      model,
      targets: ['webgpu'],
      precision: 'fp16',
      out: join(folder, 'half'),
    });
    const [elsewhere] = report!.proof.elsewhere!;
    expect(report!.proof.status).to.equal('passed');
    for (const { sqnr } of elsewhere!.outputs) expect(sqnr ?? 999).to.be.above(35);
  });

  it('gives a decoder with a cache that says the same tokens on the CPU, on WebGPU and in a browser', async function () {
    const source = sharedPath('models', 'stories260k', 'model.onnx');
    if (source === undefined || absent()) return this.skip();
    const [report] = await compile({
      model: source,
      targets: ['webgpu'],
      precision: 'float',
      kvCache: true,
      proofSamples: 1,
      out: join(folder, 'decoder'),
    });
    const prompt = [1, 403, 407, 261];
    const expected = await withSession(source, {}, (session) => greedyDecode(session, prompt, 64));
    const file = join(folder, 'decoder', report!.files[0]!.path);
    expect(await withSession(file, {}, (session) => greedyDecode(session, prompt, 64))).to.deep.equal(
      expected,
    );
    const browser = await launchBrowser();
    try {
      // SwiftShader takes half a second for each in the browser: `bench/decode.ts` shows all of them there.
      for (const [executor, count] of [[webgpuNative, 64] as const, [browser.webgpu, 12] as const]) {
        const loaded = await executor.open(file);
        try {
          const tokens = await greedyDecode(loaded, prompt, count);
          expect(tokens, executor.name).to.deep.equal(expected.slice(0, count));
        } finally {
          await loaded.release();
        }
      }
    } finally {
      await browser.close();
    }
  });
});
