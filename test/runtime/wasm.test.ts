/** ONNX Runtime as WebAssembly, where the native build is missing: what is compiled is the same. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type CompileRequest, compile } from '../../src/compile.js';

const root = join(import.meta.dirname, '..', '..');
const cnn = join(root, 'models', 'shapes-cnn');

/** A process of its own with the WebAssembly build: the choice is made once a process. */
async function inWasm(script: string, environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    { cwd: root, encoding: 'utf8', env: { ...process.env, QUANTC_ENGINE: 'wasm', ...environment } },
  );
  return stdout;
}

describe('runtime/wasm', function () {
  this.timeout(120_000);
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-wasm-'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('compiles to the same bytes without calibration, and scores the same with it', async () => {
    const llama = join(folder, 'llama.onnx');
    const requests: readonly (CompileRequest & { out: string })[] = [
      { model: join(cnn, 'model.onnx'), precision: 'int8-dynamic', out: 'dynamic', targets: ['cpu-x64'] },
      { model: llama, precision: 'int4', weightMethod: 'mse', out: 'int4', targets: ['cpu-x64'] },
      {
        ...{ model: join(cnn, 'model.onnx'), precision: 'int8', out: 'static', targets: ['cpu-x64'] },
        ...{ calib: join(cnn, 'data.json'), eval: join(cnn, 'data.json') },
        ...{ ranges: 'minmax', algorithms: ['none'], threads: 2 },
      },
    ];
    await inWasm(`
      import { writeModel } from './src/onnx/write.ts';
      import { llama, SHAPES } from './models/make-llama.ts';
      await writeModel(llama(SHAPES.tiny), ${JSON.stringify(llama)}, {});`);
    const inFolder = (kind: string) =>
      requests.map((request) => ({
        ...request,
        cache: false as const,
        out: join(folder, kind, request.out),
      }));
    const told = await inWasm(`
      import { compile } from './src/compile.ts';
      const reports = [];
      for (const request of ${JSON.stringify(inFolder('wasm'))}) reports.push((await compile(request))[0].proof);
      console.log(JSON.stringify(reports));`);
    const proofs = JSON.parse(told) as {
      status: string;
      executor: string;
      evaluation?: { quantized: number };
    }[];
    const native = [];
    for (const request of inFolder('native')) native.push((await compile(request))[0]!.proof);
    expect(proofs.map(({ status }) => status)).to.deep.equal(['passed', 'passed', 'passed']);
    expect(native.map(({ executor }) => executor)).to.deep.equal(
      requests.map(() => 'ONNX Runtime CPU, cpu-x64'),
    );
    expect(proofs.map(({ executor }) => executor)).to.deep.equal(
      requests.map(() => 'ONNX Runtime CPU (WebAssembly), cpu-x64'),
    );
    for (const kind of ['dynamic', 'int4']) {
      const files = readdirSync(join(folder, 'native', kind)).filter((name) => !name.endsWith('.json'));
      expect(files).to.not.deep.equal([]);
      for (const name of files) {
        const [ours, theirs] = ['wasm', 'native'].map((at) => readFileSync(join(folder, at, kind, name)));
        expect(ours!.equals(theirs!), `${kind}/${name}`).to.equal(true);
      }
    }
    const scores = [proofs[2]!, native[2]!].map((proof) => proof.evaluation!.quantized);
    expect(Math.abs(scores[0]! - scores[1]!)).to.be.below(0.01);
  });

  it('loads external data, types subgraphs, writes to given memory, reads kernels back, and profiles', async () => {
    const told = await inWasm(`
      import { readFileSync } from 'node:fs';
      import { join } from 'node:path';
      import { parseModel } from './src/text/parse.ts';
      import { writeModel } from './src/onnx/write.ts';
      import { Tensor } from './src/ir/tensor.ts';
      import { inferTypes } from './src/runtime/types.ts';
      import { readKernels } from './src/runtime/kernels.ts';
      import { profile } from './src/runtime/profile.ts';
      import { openSession } from './src/runtime/session.ts';
      import { readModel } from './src/onnx/read.ts';
      const floats = Array.from({ length: 512 }, (_, i) => i / 512);
      const model = parseModel('<ir_version: 8, opset_import: ["": 21]> g (float[N, 512] x, bool c) => (float[N, 512] y)' +
        '<float[512] w = {' + floats.join() + '}> { s = Add (x, w) ' +
        'y = If (c) <then_branch = a () => (float[N, 512] t) { i = Mul (s, s) t = Relu (i) }, ' +
        'else_branch = b () => (float[N, 512] e) { e = Neg (s) }> }');
      await inferTypes(model);
      const untyped = [...model.graphs()].flatMap((graph) => [...graph.nodes()])
        .flatMap((node) => node.outputs).filter(({ type }) => type === undefined).length;
      const path = join(${JSON.stringify(folder)}, 'external.onnx');
      await writeModel(model, path, { externalData: 'always' });
      const session = await openSession(path);
      const x = Tensor.floats(new Float32Array(512), [1, 512]);
      const c = Tensor.of('bool', [], Uint8Array.of(0));
      const y = Tensor.floats(new Float32Array(512), [1, 512]);
      const answer = await session.run({ x, c }, ['y'], new Map([['y', y]]));
      const missing = await session.run({ x, c }, ['y'], new Map([['y', Tensor.floats([1])]])).catch((error) => error.code);
      await session.release();
      const { counts } = await readKernels(readModel(path));
      const times = await profile(path, [{ x, c }], { rounds: 2 });
      const refused = await openSession(new Uint8Array([1, 2, 3])).catch((error) => error.code + error.message);
      console.log(JSON.stringify({ untyped, same: answer.y === y, last: y.toFloat32()[511], missing,
        counts: [...counts.keys()].sort(), timed: times.map(({ opType }) => opType).sort(), refused, worker: typeof Worker }));`);
    expect(JSON.parse(told)).to.deep.equal({
      untyped: 0,
      same: true,
      last: -511 / 512,
      missing: 'E_RUNTIME_RUN',
      counts: ['Add', 'If', 'Mul', 'Neg', 'Relu'],
      timed: ['Add', 'If', 'Neg'],
      refused:
        'E_RUNTIME_LOADONNX Runtime refuses the model: Failed to load model because protobuf parsing failed.',
      worker: 'undefined',
    });
  });
});
