/** Bindings as a consumer sees them: what compiles, what must not, what runs, and names that would like to be code. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import ts from 'typescript';
import { bindingsText } from '../../src/codegen/bindings.js';
import type { BoundModel, BoundPort } from '../../src/codegen/bound-model.js';
import type { QuantcError } from '../../src/errors/error.js';
import { encodeModel, parseModel, quantize } from '../../src/index.js';
import { TARGET_NAMES, targetAliases } from '../../targets/names.js';
import { float16Array } from './half-oracle.js';
import { typeCheck } from './type-check.js';

const MAKER = 'quantc';

const layers = (name: string, dim: string): BoundPort[] =>
  [0, 1].flatMap((layer) =>
    ['key', 'value'].map((part) => ({
      ...{ name: `${name}.${layer}.${part}`, dtype: 'float' as const, dims: ['batch', 2, dim, 8] },
    })),
  );

const CLASSIFIER: BoundModel = {
  name: 'image-classifier',
  source: 'net.onnx',
  inputs: [
    { name: 'pixel.values', dtype: 'float', dims: ['batch', 3, 8, 8] },
    { name: 'input_ids', dtype: 'int64', dims: ['batch', 4] },
    { name: 'bias', dtype: 'float16', dims: [4] },
    { name: 'frame', dtype: 'uint8', dims: [1, 2], quantization: { scale: 0.5, zeroPoint: 128 } },
    { name: 'rate', dtype: 'float', dims: [], optional: true },
    ...layers('past_key_values', 'past'),
  ],
  outputs: [
    { name: 'scores', dtype: 'float', dims: ['batch', 10] },
    { name: 'labels', dtype: 'string', dims: null },
    ...layers('present', 'total'),
  ],
  variants: [
    {
      ...{ target: 'cpu-x64', precision: 'int8', file: 'net.cpu-x64.onnx', externalData: [], bytes: 1 },
      ...{ devices: ['node', 'wasm', 'react-native'], arch: 'x64', session: { node: {} } },
    },
    {
      ...{ target: 'webgpu', precision: 'fp16', file: 'net.webgpu.onnx', bytes: 1, half: true },
      externalData: ['net.webgpu.onnx_data'],
      ...{ devices: ['webgpu'], session: { webgpu: { executionProviders: ['webgpu'] } } },
    },
  ],
};

const USES = `
import * as node from 'onnxruntime-node';
import * as web from 'onnxruntime-web';
import { createSession, dequantize, fromFloat16, quantization, quantize, tensor, toFloat16 } from './bindings.js';
import type { ImageClassifierInputs, ImageClassifierOutputs } from './bindings.js';

const cache = { type: 'float32', data: new Float32Array(0), dims: [1, 2, 0, 8] } as const;
export const inputs: ImageClassifierInputs = {
  pixelValues: tensor('float32', new Float32Array(192), [1, 3, 8, 8]),
  inputIds: { type: 'int64', data: BigInt64Array.of(1n, 2n, 3n, 4n), dims: [1, 4] },
  bias: tensor('float16', toFloat16(Float32Array.of(1, 2, 3, 4)), [4]),
  frame: tensor('uint8', quantize(Float32Array.of(1, 2), quantization.inputs.frame), [1, 2]),
  pastKeyValues: [{ key: cache, value: cache }, { key: cache, value: cache }],
};
export async function main(): Promise<ImageClassifierOutputs> {
  const session = await createSession({ files: new URL('file:///models/'), runtime: node, device: 'node' });
  await createSession({ files: '/models', runtime: () => import('onnxruntime-web'), target: 'webgpu' });
  await createSession({ files: async () => new Uint8Array(1), runtime: web });
  const outputs = await session.run({ ...inputs, rate: tensor('float32', Float32Array.of(1), []) });
  const shape: readonly [number, 10] = outputs.scores.dims;
  const words: readonly string[] = outputs.labels.data;
  const reals: Float32Array = dequantize(inputs.frame.data, quantization.inputs.frame);
  console.log(shape, words, reals, fromFloat16(inputs.bias.data));
  // What one run gives, the next one takes.
  return session.run({ ...inputs, pastKeyValues: outputs.present });
}
`;

/** Each is one line that must not compile, within what else is right. */
const WRONG: readonly (readonly [why: string, line: string])[] = [
  [
    'an array of another type',
    "send({ ...inputs, pixelValues: { type: 'float32', data: new Float64Array(192), dims: [1, 3, 8, 8] } });",
  ],
  [
    'an input that is missing',
    'send({ pixelValues: inputs.pixelValues, inputIds: inputs.inputIds, bias: inputs.bias, frame: inputs.frame });',
  ],
  ['an input misspelt', 'send({ ...inputs, pixelValue: inputs.pixelValues });'],
  [
    'too few dimensions',
    "send({ ...inputs, pixelValues: tensor('float32', new Float32Array(192), [3, 8, 8]) });",
  ],
  [
    'another size than the fixed one',
    "send({ ...inputs, pixelValues: tensor('float32', new Float32Array(192), [1, 8, 8, 3]) });",
  ],
  [
    'float32 where int64 is wanted',
    "send({ ...inputs, inputIds: tensor('float32', new Float32Array(4), [1, 4]) });",
  ],
  ['numbers for int64', "tensor('int64', [1, 2, 3, 4], [1, 4]);"],
  [
    'float32 where float16 is wanted',
    "send({ ...inputs, bias: tensor('float32', new Float32Array(4), [4]) });",
  ],
  ['float32 data said to be float16', "tensor('float16', new Float32Array(4), [4]);"],
  [
    'uint8 where the model wants another quantization',
    'dequantize(new Int8Array(2), quantization.inputs.frame);',
  ],
  ['sizes that nobody knows', 'send({ ...inputs, bias: { ...inputs.bias, dims: [4] as number[] } });'],
  ['an output misspelt', 'outputs.score.data;'],
  ['an output taken for another shape', 'outputs.scores.dims satisfies readonly [number, 11];'],
  ['an output taken for another type', 'outputs.scores.data satisfies BigInt64Array;'],
  [
    'layers of one input as another',
    'send({ ...inputs, pastKeyValues: [{ key: inputs.pixelValues, value: inputs.pixelValues }] });',
  ],
  ['writing to an output', 'outputs.scores = outputs.scores;'],
  [
    'a target that the model was not compiled for',
    "createSession({ files: '.', runtime, target: 'cpu-arm64' });",
  ],
  ['a device that there is not', "createSession({ files: '.', runtime, device: 'webgl' });"],
  ['no ONNX Runtime', "createSession({ files: '.' });"],
  ['something else as ONNX Runtime', "createSession({ files: '.', runtime: Math });"],
];

describe('typed bindings', function () {
  this.timeout(60_000);
  let text: string;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-bindings-'));
    text = await bindingsText(CLASSIFIER, { maker: MAKER });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('compile under strict and more, and refuse every wrong use at its line', () => {
    const head = `import { createSession, dequantize, quantization, tensor } from './bindings.js';
import type { ImageClassifierInputs, ImageClassifierOutputs, OnnxRuntime } from './bindings.js';
declare const inputs: ImageClassifierInputs;
declare const outputs: ImageClassifierOutputs;
declare const runtime: OnnxRuntime;
declare const send: (inputs: ImageClassifierInputs) => void;
`;
    const first = head.split('\n').length;
    const complaints = typeCheck(
      { 'bindings.ts': text, 'right.ts': USES, 'wrong.ts': head + WRONG.map(([, line]) => line).join('\n') },
      { lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'] },
    );
    expect(complaints.filter(({ file }) => file !== 'wrong.ts')).to.deep.equal([]);
    const lines = [...new Set(complaints.map(({ line }) => line))].sort((a, b) => a - b);
    const refused = lines.map((line) => WRONG[line - first]?.[0]);
    expect(refused).to.deep.equal(WRONG.map(([why]) => why));
  });

  it('compile without types of a browser or of Node, with imports of their own, and are the same every time', async () => {
    const runtimes = ['onnxruntime-web', 'onnxruntime-node'] as const;
    const own = await bindingsText(CLASSIFIER, { maker: MAKER, runtimes });
    expect(own).to.include("import('onnxruntime-web/webgpu')").and.to.include("import('onnxruntime-node')");
    expect(typeCheck({ 'bindings.ts': text, 'own.ts': own })).to.deep.equal([]);
    expect(await bindingsText(CLASSIFIER, { maker: MAKER })).to.equal(text);
  });

  /** Loads the module of a model whose files lie in the folder. */
  async function load(model: BoundModel): Promise<Record<string, (...given: unknown[]) => unknown>> {
    const file = join(folder, `${model.name}.mts`);
    writeFileSync(file, await bindingsText(model, { maker: MAKER }));
    return import(pathToFileURL(file).href);
  }

  it('run a model in Node: typed in, typed out, with errors that name the input', async () => {
    const onnx = parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (float[N, 2] x, float16[2] "a half", float[N] "past.0.key", float[N] "past.1.key", string[N] "__proto__")
  => (float[N, 2] y, float16[2] h, float[N] "present.0.key", float[N] "present.1.key", string[N] words) {
  y = Add (x, x)
  h = Add ("a half", "a half")
  "present.0.key" = Neg ("past.0.key")
  "present.1.key" = Identity ("past.1.key")
  words = Identity ("__proto__")
}`);
    writeFileSync(join(folder, 'net.cpu-x64.onnx'), encodeModel(onnx));
    const port = (value: { name: string; type?: unknown }): BoundPort => {
      const { dtype, shape } = value.type as { dtype: BoundPort['dtype']; shape: BoundPort['dims'] };
      return { name: value.name, dtype, dims: shape };
    };
    const model: BoundModel = {
      ...{ ...CLASSIFIER, name: 'run', variants: [CLASSIFIER.variants[0]!] },
      inputs: onnx.graph.inputs.map(port),
      outputs: onnx.graph.outputs.map(port),
    };
    const bindings = await load(model);
    const make = bindings['tensor'] as (type: string, data: unknown, dims: number[]) => unknown;
    const half = bindings['toFloat16']!(Float32Array.of(1.5, -2)) as Uint16Array;
    const inputs = {
      x: make('float32', Float32Array.of(1, 2, 3, 4), [2, 2]),
      aHalf: make('float16', half, [2]),
      past: [
        { key: make('float32', Float32Array.of(1, 2), [2]) },
        { key: make('float32', Float32Array.of(3, 4), [2]) },
      ],
      proto: make('string', ['a', 'b'], [2]),
    };
    type Session = {
      readonly target: string;
      readonly device: string;
      run(inputs: unknown): Promise<Record<string, never>>;
      release(): Promise<void>;
    };
    const open = (options: object) =>
      bindings['createSession']!({ runtime: ort, ...options }) as Promise<Session>;
    for (const files of [folder, pathToFileURL(folder), (file: string) => join(folder, file)]) {
      const session = await open({ files });
      expect([session.target, session.device]).to.deep.equal(['cpu-x64', 'node']);
      const outputs = await session.run(inputs);
      expect(outputs).to.deep.equal({
        y: { type: 'float32', dims: [2, 2], data: Float32Array.of(2, 4, 6, 8) },
        h: { type: 'float16', dims: [2], data: bindings['toFloat16']!(Float32Array.of(3, -4)) },
        present: [
          { key: { type: 'float32', dims: [2], data: Float32Array.of(-1, -2) } },
          { key: { type: 'float32', dims: [2], data: Float32Array.of(3, 4) } },
        ],
        words: { type: 'string', dims: [2], data: ['a', 'b'] },
      });
      await session.release();
    }
    // The same in WebAssembly, by the file's bytes.
    const web = await open({
      files: (file: string) => new Uint8Array(readFileSync(join(folder, file))),
      runtime: async () => {
        const loaded = await import('onnxruntime-web');
        loaded.env.wasm.numThreads = 1;
        return loaded;
      },
      device: 'wasm',
    });
    expect((await web.run(inputs))['present']).to.deep.equal([
      { key: { type: 'float32', dims: [2], data: Float32Array.of(-1, -2) } },
      { key: { type: 'float32', dims: [2], data: Float32Array.of(3, 4) } },
    ]);
    await web.release();
    const session = await open({ files: folder });
    const refusals: readonly (readonly [object, RegExp])[] = [
      [{ ...inputs, past: [inputs.past[0]] }, /^input past\.1\.key is missing$/],
      [{ ...inputs, x: inputs.aHalf }, /^x: float32 is expected, and float16 is given$/],
      [
        { ...inputs, x: make('float32', new Float32Array(3), [1, 3]) },
        /^x: \[\?,2\] is expected, and \[1,3\] is given$/,
      ],
      [
        { ...inputs, x: { type: 'float32', data: new Float32Array(3), dims: [1, 2] } },
        /^\[1,2\] are 2 elements, and 3 are given$/,
      ],
    ];
    for (const [wrong, message] of refusals)
      expect(await session.run(wrong).catch((error: Error) => error.message)).to.match(message);
    await session.release();
    const absent = (await open({ files: folder, device: 'webgpu' }).catch((error) => error)) as Error;
    expect(absent.message).to.equal('no file runs on webgpu; there are cpu-x64');
  });

  it('choose the file for the device: WebGPU with float16 and without, WebAssembly, processors, phones', async () => {
    const variant = (target: string, rest: object) => ({
      ...{ target, precision: 'int8', file: target, externalData: [], bytes: 1, session: {} },
      ...(rest as { devices: BoundModel['variants'][number]['devices'] }),
    });
    const bindings = await load({
      ...{ ...CLASSIFIER, name: 'choice' },
      variants: [
        variant('cpu-arm64', { devices: ['node', 'wasm', 'react-native'], arch: 'arm64' }),
        variant('cpu-x64', { devices: ['node', 'wasm', 'react-native'], arch: 'x64' }),
        variant('webgpu', { devices: ['webgpu'] }),
        variant('webgpu-half', { devices: ['webgpu'], half: true }),
        variant('webgpu-flash', { devices: ['webgpu'], half: true, subgroups: 8 }),
        variant('npu-xnnpack', { devices: ['react-native'] }),
        variant('npu-coreml', { devices: ['react-native'], platform: 'ios' }),
      ],
    });
    const opened: string[] = [];
    const runtime = {
      InferenceSession: { create: async (path: string) => opened.push(path) },
      Tensor: class {},
    };
    const gpu = (features: readonly string[], subgroupMinSize = 4) => ({
      gpu: {
        requestAdapter: async () => ({ features: new Set(features), info: { subgroupMinSize } }),
      },
    });
    const at = async (navigator: object, options: object = {}): Promise<string> => {
      const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
      const browser = globalThis as unknown as Record<string, unknown>;
      Object.defineProperty(globalThis, 'navigator', {
        value: navigator,
        configurable: true,
        writable: true,
      });
      browser['window'] = {};
      try {
        const session = (await bindings['createSession']!({ files: '/m', runtime, ...options })) as {
          target: string;
        };
        expect(opened.pop()).to.equal(`/m/${session.target}`);
        return session.target;
      } finally {
        delete browser['window'];
        if (before) Object.defineProperty(globalThis, 'navigator', before);
        else delete browser['navigator'];
      }
    };
    expect(await at({})).to.equal('cpu-arm64');
    expect(await at({ gpu: { requestAdapter: async () => null } })).to.equal('cpu-arm64');
    expect(await at(gpu([]))).to.equal('webgpu');
    expect(await at(gpu(['shader-f16']))).to.equal('webgpu-half');
    expect(await at(gpu(['shader-f16'], 8))).to.equal('webgpu-flash');
    expect(await at(gpu([], 8))).to.equal('webgpu');
    expect(await at(gpu(['shader-f16']), { device: 'wasm' })).to.equal('cpu-arm64');
    expect(await at(gpu(['shader-f16']), { target: 'cpu-x64' })).to.equal('cpu-x64');
    expect(await at({ product: 'ReactNative' })).to.equal('npu-xnnpack');
    expect(await at({ product: 'ReactNative' }, { platform: 'ios' })).to.equal('npu-coreml');
    expect(await at({ product: 'ReactNative' }, { platform: 'android' })).to.equal('npu-xnnpack');
    expect(await at({ product: 'ReactNative' }, { target: 'cpu-x64' })).to.equal('cpu-x64');
    const node = (await bindings['createSession']!({ files: '/m', runtime })) as { target: string };
    expect(node.target).to.equal(process.arch === 'x64' ? 'cpu-x64' : 'cpu-arm64');
  });

  it('turn reals into float16 and integers as ONNX does', async () => {
    const bindings = await load({ ...CLASSIFIER, name: 'numbers' });
    const halves = Uint16Array.from({ length: 65536 }, (_, index) => index);
    const reals = bindings['fromFloat16']!(halves) as Float32Array;
    const back = bindings['toFloat16']!(reals) as Uint16Array;
    expect(reals).to.deep.equal(float16Array(halves));
    const lost = halves.filter((half) => back[half] !== half && !Number.isNaN(reals[half]));
    expect([...lost]).to.deep.equal([]);
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 50 }), (given) => {
        const values = Float32Array.from(given);
        const bits = bindings['toFloat16']!(values) as Uint16Array;
        expect(Array.from(bindings['fromFloat16']!(bits) as Float32Array)).to.deep.equal(
          Array.from(float16Array(values)),
        );
      }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -300, max: 300, noNaN: true }), { minLength: 1, maxLength: 30 }),
        fc.constantFrom('uint8' as const, 'int8' as const),
        fc.constantFrom(0.5, 0.25, Math.fround(0.0137)),
        (given, type, scale) => {
          const zeroPoint = type === 'uint8' ? 128 : 3;
          const parameters = { type, scale, zeroPoint };
          const values = Float32Array.from(given);
          const integers = bindings['quantize']!(values, parameters) as Uint8Array;
          const spec = { dtype: type, shape: [values.length], granularity: 'tensor' as const };
          const expected = quantize(values, { ...spec, scale: [scale], zeroPoint: [zeroPoint] });
          expect(Array.from(integers)).to.deep.equal(Array.from(expected));
        },
      ),
    );
  });

  it('are modules whatever the names are, and nothing but names comes of them', async () => {
    const shape = (source: string) => {
      const parsed = ts.createSourceFile('m.ts', source, ts.ScriptTarget.ES2022, true);
      const { parseDiagnostics } = parsed as unknown as { parseDiagnostics: readonly unknown[] };
      return [parseDiagnostics.length, parsed.statements.map(({ kind }) => kind).join()];
    };
    const model = (names: readonly string[]): BoundModel => ({
      ...{ name: names[0] ?? '', source: names[1] ?? '' },
      inputs: names.map((name) => ({ name, dtype: 'float', dims: [names[2] ?? 'N', 2] })),
      outputs: names.map((name) => ({ name, dtype: 'float', dims: [] })),
      variants: [
        { ...CLASSIFIER.variants[0]!, target: names[3] ?? 't', file: names[4] ?? 'f', externalData: names },
      ],
    });
    const plain = shape(await bindingsText(model(['a', 'b', 'c', 'd', 'e']), { maker: MAKER }));
    expect(plain[0]).to.equal(0);
    const hostile = [
      ...[
        '__proto__',
        'constructor',
        'then',
        'class',
        '',
        ' ',
        '0',
        "'; alert(1); '",
        '*/ alert(1) /*',
        '`$' + '{alert(1)}`',
      ],
      ...[
        '\u2028alert(1)',
        '\\',
        "\\'",
        '\n// x',
        '</script>',
        '\u202e',
        '\ud800',
        '@deprecated',
        '{@link x}',
        '日本',
        'é',
        'e\u0301',
      ],
    ];
    const name = fc.oneof(
      fc.constantFrom(...hostile),
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(name, { minLength: 5, maxLength: 12 }), async (names) => {
        expect(shape(await bindingsText(model(names), { maker: MAKER }))).to.deep.equal(plain);
      }),
      { numRuns: 25 },
    );
    const files = {
      'hostile.ts': await bindingsText(model([...hostile, ...hostile]), { maker: MAKER }),
      'layers.ts': await bindingsText(
        model(['x12.0.a', 'x12.1.a', 'x1_2.0.a', 'x1_2.1.a', 'x.00.a', 'x.7.a']),
        { maker: MAKER },
      ),
    };
    expect(typeCheck(files)).to.deep.equal([]);
  });

  it('hold more than a thousand inputs, and say which one JavaScript has no type for', async () => {
    const many = Array.from({ length: 400 }, (_, index) => layers(`past.${index}.kv`, 'past')).flat();
    const flat = await bindingsText({ ...CLASSIFIER, inputs: many }, { maker: MAKER });
    expect(typeCheck({ 'many.ts': flat })).to.deep.equal([]);
    const odd: BoundModel = { ...CLASSIFIER, outputs: [{ name: 'odd', dtype: 'bfloat16', dims: [1] }] };
    const error = (await bindingsText(odd, { maker: MAKER }).catch((thrown) => thrown)) as QuantcError;
    expect([error.code, error.place]).to.deep.equal(['E_BINDINGS_TYPE', { value: 'odd' }]);
  });

  it('know imports of models by every target that there is', () => {
    const names = [...TARGET_NAMES, ...Object.keys(targetAliases)];
    const lines = [
      'net.onnx?quantc',
      'net.onnx?target=mine&quantc',
      ...names.map((name) => `net.onnx?quantc&target=${name}`),
    ];
    const imports = lines.map(
      (from, index) => `import u${index} from './${from}';\nexport const s${index}: string = u${index};`,
    );
    const client = readFileSync(join(import.meta.dirname, '..', '..', 'client.d.ts'), 'utf8');
    expect(typeCheck({ 'client.d.ts': client, 'app.ts': imports.join('\n') })).to.deep.equal([]);
    const [unknown] = typeCheck({ 'client.d.ts': client, 'app.ts': "import u from './net.onnx?quant';\nu;" });
    expect(unknown?.message).to.match(/Cannot find module/);
  });
});
