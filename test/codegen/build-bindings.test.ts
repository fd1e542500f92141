/** Bindings of what is compiled and built: one module for all targets, the same every time, listed, and run. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import * as ort from 'onnxruntime-node';
import { build } from '../../src/build/build.js';
import { bindModels } from '../../src/compile/bind-model.js';
import { declaredRuntimes } from '../../src/compile/declared-runtimes.js';
import { compile, encodeModel, parseModel, type QuantcError } from '../../src/index.js';
import { invoke } from '../cli/invoke.js';
import { typeCheck } from './type-check.js';

const NET = `<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 64] x) => (float[N, 32] y)
<float[64, 32] w = ["fill": "normal:1"]>
{
  y = MatMul (x, w)
}`;

interface Opened {
  readonly target: string;
  run(inputs: object): Promise<Record<string, { readonly dims: readonly number[] }>>;
  release(): Promise<void>;
}

/** Runs a module's model once in Node. */
async function once(
  module: string,
  files: string,
): Promise<readonly [target: string, dims: readonly number[]]> {
  const copy = module.replace(/\.ts$/, '.mts');
  writeFileSync(copy, readFileSync(module));
  const { createSession, tensor } = await import(pathToFileURL(copy).href);
  rmSync(copy);
  const session = (await createSession({ files, runtime: ort })) as Opened;
  const { y } = await session.run({ x: tensor('float32', new Float32Array(128), [2, 64]) });
  await session.release();
  return [session.target, y!.dims];
}

describe('bindings of what is compiled', function () {
  this.timeout(60_000);
  let folder: string;
  const path = (...parts: string[]): string => join(folder, ...parts);
  const text = (...parts: string[]): string => readFileSync(path(...parts), 'utf8');
  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-bound-')));
    writeFileSync(path('net.onnx'), encodeModel(parseModel(NET)));
    writeFileSync(path('package.json'), '{ "devDependencies": { "onnxruntime-node": "1.30.0" } }');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('are written by compile, for all targets at once, and by `quantc bindings` again', async () => {
    const out = path('out');
    await compile({
      ...{ model: path('net.onnx'), targets: ['cpu', 'cpu-x64-avx2'], precision: 'int4', out, cache: false },
      ...{ bindings: true, weightMethod: 'rtn' },
    });
    const module = text('out', 'net.ts');
    expect(typeCheck({ 'net.ts': module })).to.deep.equal([]);
    expect(module)
      .to.include("return import('onnxruntime-node')")
      .and.not.to.include("return import('onnxruntime-web");
    expect(module).to.include("export type Target = 'cpu-x64' | 'cpu-x64-avx2';");
    expect(await once(path('out', 'net.ts'), out)).to.deep.equal(['cpu-x64', [2, 32]]);
    const again = await invoke(['bindings', path('out', 'quantc.report.json'), '--out', path('again')]);
    expect([again.code, again.out]).to.deep.equal([0, `${path('again', 'net.ts')}\n`]);
    expect(text('again', 'net.ts')).to.equal(module);
    const wrong = await invoke(['bindings', path('out', 'quantc.report.json'), '--runtime', 'onnxruntime']);
    expect([wrong.code, /onnxruntime-react-native/.test(wrong.err)]).to.deep.equal([2, true]);
  });

  it("are named by what the commands say, and know plugins' targets by the report", async () => {
    writeFileSync(
      path('plugin.mjs'),
      `import { targets } from '${pathToFileURL(join(import.meta.dirname, '../../targets/index.ts')).href}';
const webgpu = targets.find(({ name }) => name === 'webgpu');
export default { name: 'own', targets: [{ ...webgpu, name: 'my-gpu', session: { 'ep.webgpuexecutionprovider.enableGraphCapture': '0' } }] };`,
    );
    const plugin = ['--plugin', path('plugin.mjs'), '--target', 'my-gpu', '--precision', 'fp16'];
    const out = path('own');
    const compiled = await invoke([
      'compile',
      path('net.onnx'),
      ...plugin,
      '--out',
      out,
      '--bindings',
      '--no-cache',
    ]);
    expect([compiled.code, compiled.err]).to.deep.equal([0, '']);
    expect(compiled.out).to.include(`Bindings\n  ${join(out, 'net.ts')}\n`);
    const module = text('own', 'net.ts');
    expect(module).to.include("devices: ['webgpu']").and.to.include("executionProviders: ['webgpu']");
    expect(module).to.match(/webgpuexecutionprovider: \{ enableGraphCapture: '0' \}/);
    await invoke(['bindings', join(out, 'quantc.report.json'), '--out', path('later')]);
    expect(text('later', 'net.ts')).to.equal(module);
    writeFileSync(
      path('quantc.config.ts'),
      `export default { cache: 'kept', out: 'dist', bindings: true, models: { net: { model: 'net.onnx', precision: 'int4', weightMethod: 'rtn' } } };`,
    );
    const built = await invoke(['build', '--config', path('quantc.config.ts')]);
    expect(built.out).to.include('net/net.ts');
  });

  it('are written by build, listed in its manifest, and remembered', async () => {
    const config = (bindings: string): void =>
      writeFileSync(
        path('quantc.config.ts'),
        `export default { cache: 'kept', out: 'dist', bindings: ${bindings}, 
  models: { net: { model: 'net.onnx', precision: 'int4', weightMethod: 'rtn' }, half: { model: 'net.onnx', targets: ['webgpu'], precision: 'fp16' } } };`,
      );
    const run = () => build({ config: path('quantc.config.ts') });
    config("{ runtimes: [], modules: { app: ['net', 'half'] } }");
    const { manifest } = await run();
    expect(manifest.bindings?.map((each) => each.path)).to.deep.equal(['app/app.ts']);
    const module = text('dist', 'app', 'app.ts');
    expect(module.length).to.equal(manifest.bindings![0]!.bytes);
    expect(module).to.include("file: 'half/net.webgpu.onnx'").and.to.include('half: true');
    expect(module).not.to.include("return import('onnxruntime-node");
    expect(await once(path('dist', 'app', 'app.ts'), path('dist'))).to.deep.equal(['cpu-x64', [2, 32]]);
    rmSync(path('dist'), { recursive: true });
    const second = await run();
    expect([second.built, second.manifest.bindings]).to.deep.equal([0, manifest.bindings]);
    expect(text('dist', 'app', 'app.ts')).to.equal(module);
    config("{ out: 'src/models' }");
    const third = await run();
    expect(third.manifest.bindings?.map((each) => each.path).sort()).to.deep.equal([
      '../src/models/half.ts',
      '../src/models/net.ts',
    ]);
    expect(readdirSync(path('src/models')).sort()).to.deep.equal(['half.ts', 'net.ts']);
    expect(await once(path('src/models/net.ts'), path('dist'))).to.deep.equal(['cpu-x64', [2, 32]]);
    config("{ modules: { app: ['nett'] } }");
    const refused = (await run().catch((error) => error)) as QuantcError;
    expect([refused.code, refused.hint]).to.deep.equal(['E_BINDINGS_MODEL', 'Models: net, half.']);
  });

  it('tell what each file takes: sizes that differ, quantized ports, float16, session options, other ports', () => {
    mkdirSync(path('files'), { recursive: true });
    const providers = {
      'npu-coreml': 'coreml',
      'npu-nnapi': 'nnapi',
      'npu-qnn': 'qnn',
      mine: 'xnnpack',
    } as const;
    const providerOf = (name: string) =>
      name.startsWith('webgpu') ? ('webgpu' as const) : providers[name as keyof typeof providers];
    const file = (name: string, model: string, target = name) => {
      writeFileSync(path('files', `${name}.onnx`), encodeModel(parseModel(model)));
      const external = [`${name}.onnx_data`, `${name}.session.json`];
      return {
        ...{
          target,
          precision: 'int8',
          folder: path('files'),
          files: [`${name}.onnx`, ...external],
          bytes: 1,
        },
        ...{ session: { 'session.a.b': '1' }, within: 'net' },
        ...(providerOf(name) && { provider: providerOf(name)! }),
      };
    };
    const head = '<ir_version: 10, opset_import: ["": 21]>\n';
    const open = `${head}g (uint8[N, 4] x) => (float[N, 4] y)
<float s = {0.5}, uint8 z = {128}> { y = DequantizeLinear (x, s, z) }`;
    const fixed = open.replaceAll('[N, 4]', '[1, 4]');
    const half = `${open.replace('y =', 'h =').replace(/ }$/, ' k = Cast <to = 10> (h) y = Cast <to = 1> (k) }')}`;
    const other = `${head}g (float[N] x) => (float[N] y) { y = Neg (x) }`;
    const models = bindModels('net', 'net.onnx', [
      file('cpu-x64', open),
      file('npu-coreml', fixed),
      file('npu-nnapi', fixed),
      file('npu-qnn', fixed),
      file('webgpu', half),
      file('webgpu-flash', open),
      file('other', other, 'cpu-arm64'),
      file('mine', open),
      { ...file('npu-litert', open), files: ['net.tflite'] },
    ]);
    expect(models.map(({ name, variants }) => [name, variants.map(({ target }) => target)])).to.deep.equal([
      ['net', ['cpu-x64', 'npu-coreml', 'npu-nnapi', 'npu-qnn', 'webgpu', 'webgpu-flash', 'mine']],
      ['net.cpu-arm64', ['cpu-arm64']],
    ]);
    const [{ inputs, outputs, variants }] = models as [(typeof models)[number]];
    expect(inputs).to.deep.equal([
      { name: 'x', dtype: 'uint8', dims: ['N', 4], quantization: { scale: 0.5, zeroPoint: 128 } },
    ]);
    expect(outputs).to.deep.equal([{ name: 'y', dtype: 'float', dims: ['N', 4] }]);
    const [cpu, coreml, nnapi, qnn, webgpu, flash, mine] = variants;
    const extra = { session: { a: { b: '1' } } };
    expect(cpu).to.deep.equal({
      ...{ target: 'cpu-x64', precision: 'int8', file: 'net/cpu-x64.onnx', bytes: 1, arch: 'x64' },
      externalData: ['net/cpu-x64.onnx_data'],
      devices: ['node', 'wasm', 'react-native'],
      session: {
        ...{ wasm: { executionProviders: ['wasm'], extra }, node: { extra }, 'react-native': { extra } },
      },
    });
    expect([coreml!.platform, nnapi!.platform, coreml!.narrower]).to.deep.equal([
      'ios',
      'android',
      { x: [1, 4] },
    ]);
    expect(JSON.stringify(nnapi!.session)).to.include('"cpuDisabled":true');
    expect([qnn!.devices, webgpu!.half, webgpu!.subgroups]).to.deep.equal([[], true, undefined]);
    // A target of a plugin: what its sessions are told is known of its provider, and of no table of ours.
    expect([mine!.devices, mine!.session]).to.deep.equal([
      ['react-native'],
      {
        'react-native': {
          ...{ executionProviders: [{ name: 'xnnpack' }, 'cpu'], intraOpNumThreads: 1 },
          extra: { session: { a: { b: '1' }, intra_op: { allow_spinning: '0' } } },
        },
      },
    ]);
    expect([flash!.half, flash!.subgroups]).to.deep.equal([undefined, 8]);
  });

  it('say what they cannot bind', () => {
    writeFileSync(
      path('sequence.onnx'),
      encodeModel(
        parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (seq(float[N]) x) => (int64 y) { y = SequenceLength (x) }`),
      ),
    );
    const file = {
      target: 'cpu-x64',
      precision: 'int8',
      folder,
      files: ['sequence.onnx'],
      bytes: 1,
      session: {},
    };
    expect(() => bindModels('net', 'net.onnx', [file])).to.throw(/no tensor but a sequence/);
    writeFileSync(path('out', 'package.json'), '{');
    expect(() => declaredRuntimes(path('out'))).to.throw(/cannot be read/);
    expect(declaredRuntimes(folder)).to.deep.equal(['onnxruntime-node']);
  });
});
