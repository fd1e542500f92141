/** Models on real WebGPU: native and in a headless browser, both on SwiftShader. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loweringsNamed } from '../../passes/index.js';
import { encodeModel, type Model, QuantcError, runPipeline, Tensor, writeModel } from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';
import { type Execution, type Executor, execute } from '../../src/runtime/executor.js';
import { withSession } from '../../src/runtime/session.js';
import { type Browser, launchBrowser } from '../../src/runtime/webgpu/browser.js';
import { webgpuNative } from '../../src/runtime/webgpu/native.js';
import { swiftShaderMissing } from '../../src/runtime/webgpu/packs.js';
import { differenceOf } from '../../src/testing/closeness.js';
import { filledTensor } from '../../src/text/fill.js';
import { parseModel } from '../../src/text/parse.js';
import { webgpu } from '../../targets/webgpu.js';

const HEAD = '<ir_version: 10, opset_import: ["": 21]>\n';

/** Operators that WebGPU lacks or gets wrong, each in a place where it counts. */
const LACKING = `${HEAD}
g (float[2,6,8,8] x, int32[2,4] i) => (float[2,8,8,8] a, float[2,32,4,4] c, float[2,4,5] d, float[2,6,8,8] e, bool[2,6,8,8] f) <
  float[8,6,3,3] w = ["fill": "normal:3:0:0.2"], float[8] s = ["fill": "normal:4"], float[8] b = ["fill": "normal:5"],
  int32 depth = {5}, float[2] v = {0, 1}, float half = {0.5}, float scale = {0.05}, uint8 zero = {128}
> {
  k = Conv <pads = [1, 1, 1, 1]> (x, w)
  n = GroupNormalization <num_groups = 2> (k, s, b)
  u = Celu <alpha = 0.7> (n)
  t = Softsign (u)
  r = LRN <size = 3> (t)
  a = LogSoftmax <axis = 1> (r)
  c = SpaceToDepth <blocksize = 2> (n)
  d = OneHot (i, depth, v)
  q = QuantizeLinear (x, scale, zero)
  y = DequantizeLinear (q, scale, zero)
  z = Selu (y)
  m = MeanVarianceNormalization (z)
  h = Round (m)
  o = Shrink (m)
  e = Mean (h, o, x)
  l = Less (x, half)
  g1 = Greater (e, half)
  f = Xor (l, g1)
}`;

const missing = swiftShaderMissing();

describe('WebGPU', function () {
  this.timeout(120_000);
  let folder: string;
  let browser: Browser | undefined;

  before(async function () {
    if (missing !== undefined) {
      console.warn(`SKIPPED: nothing is run on WebGPU: ${missing}`);
      return this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'quantc-webgpu-test-'));
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const fileOf = (text: string, name: string): string => {
    const path = join(folder, name);
    writeFileSync(path, encodeModel(parseModel(HEAD + text)));
    return path;
  };
  const codeOf = async (run: Promise<unknown>): Promise<string> =>
    run.then(
      () => 'nothing thrown',
      (error: unknown) => (error instanceof QuantcError ? error.code : String(error)),
    );

  it('runs what was lowered wholly on the GPU, natively and in a browser, as the CPU ran the original', async () => {
    const original = parseModel(LACKING);
    const lowered: Model = parseModel(LACKING);
    await runPipeline(lowered, loweringsNamed(webgpu.lowerings!), {
      engine: createEngine(),
      facts: new Map([['opset-21', true]]),
      verify: true,
    });
    const path = join(folder, 'lowered.onnx');
    // Weights beside the model: both executors must find them.
    await writeModel(lowered, path, { externalData: 'always' });
    const feed = {
      x: filledTensor('float', [2, 6, 8, 8], 'normal:1', 'x')!,
      i: Tensor.of('int32', [2, 4], Int32Array.of(0, 1, 4, -1, 5, -5, -6, 2)),
    };
    const expected = await withSession(original, { optimization: 'off' }, (session) => session.run(feed));
    const runs = new Map<Executor, Execution>();
    for (const executor of [webgpuNative, browser!.webgpu, browser!.wasm]) {
      const ran = await execute(executor, path, [feed], { strict: 'required' });
      runs.set(executor, ran);
      expect(differenceOf(expected, ran.outputs[0]!, { tolerance: 1e-3 }), executor.name).to.equal(undefined);
    }
    expect(runs.get(webgpuNative)!.strict).to.equal(true);
    expect(runs.get(browser!.webgpu)!.strict).to.equal(true);
    const providers = new Set(runs.get(webgpuNative)!.nodes!.map(({ provider }) => provider));
    expect([...providers]).to.deep.equal(['WebGpuExecutionProvider']);
    const [one, other] = [webgpuNative, browser!.webgpu].map((each) => runs.get(each)!.outputs[0]!);
    expect(differenceOf(one!, other!, { tolerance: 1e-5 })).to.equal(undefined);
  });

  it('says what stays on the CPU, and refuses it where that is forbidden', async () => {
    const path = fileOf(
      'g (float[4] x) => (int64[1,N] i, float[4] y) { i = NonZero (x)\n y = Exp (x) }',
      'half.onnx',
    );
    const feeds = [{ x: Tensor.floats([0, 1, 0, 2]) }];
    const { strict, nodes, outputs } = await execute(webgpuNative, path, feeds);
    expect(strict).to.equal(false);
    expect(Array.from(outputs[0]!['i']!.toNumbers())).to.deep.equal([1, 3]);
    expect(nodes!.find(({ opType }) => opType === 'NonZero')!.provider).to.match(/^CPU/);
    expect(nodes!.find(({ opType }) => opType === 'Exp')!.provider).to.match(/^WebGpu/);
    for (const executor of [webgpuNative, browser!.webgpu])
      expect(await codeOf(execute(executor, path, feeds, { strict: 'required' }))).to.equal('E_EXECUTOR_RUN');
  });

  it('outlives what kills or hangs an executor', async () => {
    const path = fileOf('g (float[4] x) => (float[4] y) { y = Exp (x) }', 'small.onnx');
    const feeds = [{ x: Tensor.floats([0, 1, 0, 2]) }];
    expect(await codeOf(execute(webgpuNative, path, feeds, { timeout: 1 }))).to.equal('E_EXECUTOR_LOST');
    const { outputs } = await execute(webgpuNative, path, feeds);
    expect(outputs[0]!['y']!.toFloat32()[1]).to.be.closeTo(Math.E, 1e-5);
    const doomed = await launchBrowser();
    try {
      expect(await codeOf(execute(doomed.webgpu, path, feeds, { timeout: 1 }))).to.equal('E_EXECUTOR_LOST');
      expect(await codeOf(execute(doomed.webgpu, path, feeds))).to.equal('E_EXECUTOR_LOST');
    } finally {
      await doomed.close();
    }
  });
});
