/** What is delivered for phones: .ort files that answer as the .onnx does, what reduced builds need, how to load. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import * as web from 'onnxruntime-web';
import { requiredOperators } from '../../src/compile/required-operators.js';
import { type CompileRequest, compile } from '../../src/compile.js';
import { encodeModel, QuantcError, writeModel } from '../../src/index.js';
import { type OrtFile, readOrtFile } from '../../src/runtime/ort-file.js';
import { saveOrtFormat } from '../../src/runtime/ort-format.js';
import { withSession } from '../../src/runtime/session.js';
import { filledTensor } from '../../src/text/fill.js';
import { parseModel } from '../../src/text/parse.js';

const CNN = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,3,16,16] image) => (float[N,5] scores) <
  float[16,3,3,3] w = ["fill": "normal:1"], float[16] b = ["fill": "normal:2"],
  float[16,16,3,3] v = ["fill": "normal:3"], float[16,5] m = ["fill": "normal:4"], int64[1] axes = {1}
> {
  c = Conv <pads = [1, 1, 1, 1]> (image, w, b)
  r = Relu (c)
  p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
  d = Conv <pads = [1, 1, 1, 1]> (p, v)
  s = Add (d, p)
  a = GlobalAveragePool (s)
  f = Flatten (a)
  scores = MatMul (f, m)
}`;

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'nothing thrown',
    (error: unknown) => (error instanceof QuantcError ? error.code : String(error)),
  );

describe('what is delivered for phones', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-delivery-'));
    writeFileSync(join(folder, 'net.onnx'), encodeModel(parseModel(CNN)));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const request = (more: Partial<CompileRequest> = {}): CompileRequest => ({
    model: join(folder, 'net.onnx'),
    targets: ['npu-nnapi'],
    precision: 'int8',
    algorithms: ['none'],
    out: join(folder, 'out'),
    cache: false,
    threads: 1,
    ...more,
  });
  const out = (name: string): string => join(folder, 'out', name);

  it('is in both styles for a provider, answers bit for bit, and says so', async () => {
    const [report] = await compile(request({ formats: ['onnx', 'ort'] }));
    expect(report!.files.map(({ path }) => path)).to.deep.equal([
      'net.npu-nnapi.onnx',
      'net.npu-nnapi.ort',
      'net.npu-nnapi.with_runtime_opt.ort',
      'net.npu-nnapi.required_operators.config',
      'net.npu-nnapi.session.json',
    ]);
    expect(report!.bytesAfter).to.equal(report!.files[0]!.bytes);
    const notes = report!.notes.filter(({ code }) => code === 'ort-format');
    expect(notes.map(({ message }) => /bit for bit/.test(message))).to.deep.equal([true, true]);
    const session = JSON.parse(readFileSync(out('net.npu-nnapi.session.json'), 'utf8'));
    expect(session.provider).to.deep.equal({
      name: 'NnapiExecutionProvider',
      options: {},
      flags: ['CPU_DISABLED'],
    });
    expect(session.files.ortForProvider.path).to.equal('net.npu-nnapi.with_runtime_opt.ort');
    expect(session.reactNative.executionProviders[0]).to.deep.equal({ name: 'nnapi', cpuDisabled: true });
    const config = readFileSync(out('net.npu-nnapi.required_operators.config'), 'utf8');
    expect(config).to.match(/^# What these files need: net\.npu-nnapi\.ort, /);
    // What is only written down for later is needed, too, and of all types.
    expect(config).to.match(/^ai\.onnx;10;QLinearConv$/m);
    expect(config).to.match(/MaxPool\{"inputs":\{"0":\["uint8_t"\]\}\}/);
  });

  it('runs in onnxruntime-web as in onnxruntime-node', async () => {
    await compile(request({ formats: ['ort'] }));
    const feed = filledTensor('float', [1, 3, 16, 16], 'normal:5', 'image')!;
    for (const name of ['net.npu-nnapi.ort', 'net.npu-nnapi.with_runtime_opt.ort']) {
      const ours = await withSession(out(name), {}, (session) => session.run({ image: feed }));
      const session = await web.InferenceSession.create(new Uint8Array(readFileSync(out(name))));
      const theirs = await session.run({
        image: new web.Tensor('float32', feed.toFloat32(), [1, 3, 16, 16]),
      });
      const there = theirs['scores']!.data as Float32Array;
      const here = ours['scores']!.toFloat32();
      const error = Math.max(...here.map((each, at) => Math.abs(each - there[at]!)));
      expect(error / Math.max(...here.map(Math.abs)), name).to.be.below(1e-5);
      await session.release();
    }
  });

  it('is one style where no provider leaves anything for later', async () => {
    const [report] = await compile(request({ targets: ['cpu-arm64'], precision: 'float', formats: ['ort'] }));
    expect(report!.files.map(({ path }) => path)).to.deep.equal([
      'net.cpu-arm64.onnx',
      'net.cpu-arm64.ort',
      'net.cpu-arm64.required_operators.config',
      'net.cpu-arm64.session.json',
    ]);
    // Blocks of channels are x64's alone.
    const { operators } = readOrtFile(readFileSync(out('net.cpu-arm64.ort')));
    expect(operators.some(({ domain }) => domain === 'com.microsoft.nchwc')).to.equal(false);
  });

  it('has weights folded for Core ML, which knows no DequantizeLinear', async () => {
    const quantized = `<ir_version: 10, opset_import: ["": 21]>
      g (float[1,16] x) => (float[1,8] y) <int8[8,16] w = ["fill": "uniform:1:-127:127"], float s = {0.01}> {
        d = DequantizeLinear (w, s)
        y = Gemm <transB = 1> (x, d)
      }`;
    writeFileSync(join(folder, 'quantized.onnx'), encodeModel(parseModel(quantized)));
    const [report] = await compile(
      request({
        model: join(folder, 'quantized.onnx'),
        targets: ['npu-coreml'],
        precision: 'float',
        formats: ['ort'],
      }),
    );
    expect(report!.verdict!.breaks).to.deep.equal([]);
    const { operators } = readOrtFile(readFileSync(out('quantized.npu-coreml.with_runtime_opt.ort')));
    expect(operators.map(({ op }) => op)).to.deep.equal(['Gemm']);
  });

  it('takes external data in', async () => {
    const path = join(folder, 'outside.onnx');
    await writeModel(parseModel(CNN), path, { externalData: 'always' });
    expect(readdirSync(folder)).to.include('outside.onnx_data');
    await saveOrtFormat(path, join(folder, 'inside.ort'), 'fixed');
    rmSync(`${path}_data`);
    const shapes = await withSession(join(folder, 'inside.ort'), {}, ({ outputs }) => outputs.length);
    expect(shapes).to.equal(1);
  });

  it('is refused, with nothing left behind, where it would be too large or cannot be made', async () => {
    const model = join(folder, 'net.onnx');
    const made = join(folder, 'net.ort');
    expect(await codeOf(saveOrtFormat(model, made, 'fixed', { mostBytes: 1000 }))).to.equal(
      'E_ORT_TOO_LARGE',
    );
    const strange = `<ir_version: 10, opset_import: ["": 21, "acme": 1]>
      g (float[2] x) => (float[2] y) { y = acme.Unknown (x) }`;
    writeFileSync(join(folder, 'strange.onnx'), encodeModel(parseModel(strange)));
    expect(await codeOf(saveOrtFormat(join(folder, 'strange.onnx'), made, 'fixed'))).to.equal('E_ORT_SAVE');
    expect(readdirSync(folder).sort()).to.deep.equal(['net.onnx', 'strange.onnx']);
    const nowhere = join(folder, 'nowhere', 'net.ort');
    expect(await codeOf(saveOrtFormat(model, nowhere, 'fixed'))).to.equal('E_ORT_SAVE');
  });

  it('is refused for React Native where inputs or outputs are unsigned', async () => {
    const pixels = `<ir_version: 10, opset_import: ["": 21]>
      g (uint8[1,8] pixels) => (float[1,8] y) { y = Cast <to = 1> (pixels) }`;
    writeFileSync(join(folder, 'pixels.onnx'), encodeModel(parseModel(pixels)));
    const asked = request({
      model: join(folder, 'pixels.onnx'),
      targets: ['cpu-arm64'],
      precision: 'float',
      binding: 'react-native',
    });
    expect(await codeOf(compile(asked))).to.equal('E_BINDING_UNSIGNED');
    expect(existsSync(join(folder, 'out'))).to.equal(false);
  });

  it('is both formats for React Native', async () => {
    const [report] = await compile(
      request({ targets: ['npu-coreml'], precision: 'fp16', binding: 'react-native' }),
    );
    expect(report!.files.map(({ path }) => path)).to.include.members([
      'net.npu-coreml.onnx',
      'net.npu-coreml.with_runtime_opt.ort',
    ]);
    const session = JSON.parse(readFileSync(out('net.npu-coreml.session.json'), 'utf8'));
    expect(session.provider.options.ModelFormat).to.equal('MLProgram');
    expect(session.reactNative.executionProviders[0]).to.deep.equal({ name: 'coreml', coreMlFlags: 24 });
  });
});

describe('required_operators.config', () => {
  const file = (operators: OrtFile['operators'], produced: OrtFile['produced'] = []): OrtFile => ({
    version: '6',
    operators,
    produced,
  });
  const lines = (files: OrtFile[]): string[] =>
    requiredOperators(files, ['b.ort', 'a.ort']).trim().split('\n');

  it('joins types of all uses, by domain and version', () => {
    const add = { domain: 'ai.onnx', op: 'Add', since: 14 };
    expect(
      lines([
        file([
          { ...add, inputs: ['int64', 'int64'], outputs: ['int64'] },
          { domain: 'ai.onnx', op: 'Cast', since: 21, inputs: ['float16'], outputs: ['float'] },
        ]),
        file([
          { ...add, inputs: ['float', 'float'], outputs: ['float'] },
          { domain: 'com.microsoft', op: 'FusedConv', since: 1, inputs: ['float'], outputs: ['float'] },
          { domain: 'ai.onnx', op: 'Reshape', since: 5, inputs: ['float', 'int64'], outputs: ['float'] },
        ]),
      ]),
    ).to.deep.equal([
      '# What these files need: a.ort, b.ort',
      'ai.onnx;5;Reshape',
      'ai.onnx;14;Add{"inputs":{"0":["float","int64_t"]}}',
      'ai.onnx;21;Cast{"inputs":{"0":["MLFloat16"]},"outputs":{"0":["float"]}}',
      'com.microsoft;1;FusedConv',
    ]);
  });

  it('keeps all types of what is only written down for later', () => {
    const conv = { domain: 'ai.onnx', op: 'QLinearConv', since: 10 };
    const uses = [{ ...conv, inputs: ['uint8'] as const, outputs: ['uint8'] as const }];
    expect(lines([file(uses)])[1]).to.equal('ai.onnx;10;QLinearConv{"inputs":{"0":["uint8_t"]}}');
    expect(lines([file(uses, [conv])])[1]).to.equal('ai.onnx;10;QLinearConv');
  });

  it('tells the three types of OneHot together, in the order of its registration', () => {
    const inputs = ['int32', 'int64', 'float'] as const;
    const [, line] = lines([
      file([{ domain: 'ai.onnx', op: 'OneHot', since: 11, inputs, outputs: ['float'] }]),
    ]);
    expect(line).to.equal('ai.onnx;11;OneHot{"custom":[["int32_t","float","int64_t"]]}');
  });

  it('reads subgraphs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quantc-delivery-'));
    try {
      const branch = `<ir_version: 10, opset_import: ["": 21]>
        g (bool c, float[2] x) => (float[2] y) {
          y = If (c) <
            then_branch = yes () => (float[2] a) { a = Sin (x) },
            else_branch = no () => (float[2] b) { b = Floor (x) }
          >
        }`;
      writeFileSync(join(folder, 'if.onnx'), encodeModel(parseModel(branch)));
      await saveOrtFormat(join(folder, 'if.onnx'), join(folder, 'if.ort'), 'fixed');
      const text = requiredOperators([readOrtFile(readFileSync(join(folder, 'if.ort')))], ['if.ort']);
      expect(text).to.match(/Sin\{"inputs":\{"0":\["float"\]\}\}/);
      expect(text).to.match(/Floor\{"inputs":\{"0":\["float"\]\}\}/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('refuses what is no .ort file', () => {
    expect(() => readOrtFile(new Uint8Array(3))).to.throw(QuantcError, /no file in the format/);
    expect(() => readOrtFile(new TextEncoder().encode('a file of some other kind'))).to.throw(QuantcError);
  });
});
