import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { QuantcError, setConstant, Tensor } from '../../src/index.js';
import { encodeModel } from '../../src/onnx/encode.js';
import { openSession, withSession } from '../../src/runtime/session.js';
import { parseModel } from '../../src/text/parse.js';

const model = (text: string) => parseModel(`<ir_version: 10, opset_import: ["": 21]>\n${text}`);

async function errorOf(act: () => Promise<unknown>): Promise<QuantcError> {
  try {
    await act();
  } catch (error) {
    expect(error).to.be.instanceOf(QuantcError);
    return error as QuantcError;
  }
  throw new Error('nothing was thrown');
}

describe('runtime/session', () => {
  const add = model(`g (float[N,2] x) => (float[N,2] y) <float[2] w = {10, 20}> { y = Add (x, w) }`);

  it('runs a model, its bytes and its file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quantc-test-'));
    try {
      const path = join(folder, 'add.onnx');
      writeFileSync(path, encodeModel(add));
      for (const source of [add, encodeModel(add), path]) {
        const { y } = await withSession(source, {}, (session) =>
          session.run({ x: Tensor.floats([1, 2, 3, 4], [2, 2]) }),
        );
        expect([...y!.toFloat32()]).to.deep.equal([11, 22, 13, 24]);
        expect(y!.shape).to.deep.equal([2, 2]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('tells names and types, symbolic dimensions included', async () => {
    await withSession(add, {}, (session) => {
      expect(session.inputs).to.deep.equal([
        { name: 'x', type: { kind: 'tensor', dtype: 'float', shape: ['N', 2] } },
      ]);
      expect(session.outputs[0]!.name).to.equal('y');
    });
  });

  it('carries every dtype that can cross, strings and misaligned bytes included', async () => {
    const bytes = new Uint8Array(17);
    new DataView(bytes.buffer).setFloat64(1, 2.5, true);
    new DataView(bytes.buffer).setFloat64(9, -1, true);
    const tensors = [
      Tensor.of('float16', [2], Uint16Array.of(0x3c00, 0xc000)),
      Tensor.of('double', [2], bytes.subarray(1)),
      Tensor.of('bool', [2], Uint8Array.of(1, 0)),
      Tensor.of('int8', [2], Int8Array.of(-3, 3)),
      Tensor.of('uint16', [2], Uint16Array.of(65535, 1)),
      Tensor.of('int64', [2], BigInt64Array.of(-(2n ** 62n), 7n)),
      Tensor.of('uint64', [2], BigUint64Array.of(2n ** 63n, 7n)),
      new Tensor('string', [2], {
        kind: 'strings',
        values: [new TextEncoder().encode('grüß'), new TextEncoder().encode('')],
      }),
      Tensor.floats([], [0]),
    ];
    for (const tensor of tensors) {
      const same = model(`g (${tensor.dtype}[N] x) => (${tensor.dtype}[N] y) { y = Identity (x) }`);
      const { y } = await withSession(same, {}, (session) => session.run({ x: tensor }));
      expect(y!.dtype).to.equal(tensor.dtype);
      expect(y!.shape).to.deep.equal(tensor.shape);
      if (tensor.source.kind === 'strings') expect(y!.source).to.deep.equal(tensor.source);
      else expect([...y!.data()]).to.deep.equal([...tensor.data()]);
    }
  });

  it('computes only the outputs that are wanted', async () => {
    const two = model(`g (float[N] x) => (float[N] y, float[N] z) { y = Neg (x) z = Abs (x) }`);
    const results = await withSession(two, {}, (session) => session.run({ x: Tensor.floats([-1]) }, ['z']));
    expect(Object.keys(results)).to.deep.equal(['z']);
  });

  it('says what is wrong with feeds', async () => {
    await withSession(add, {}, async (session) => {
      const missing = await errorOf(() => session.run({}));
      expect(missing.code).to.equal('E_RUNTIME_FEED');
      expect(missing.message).to.contain('"x"');
      const stranger = await errorOf(() =>
        session.run({ x: Tensor.floats([1, 2], [1, 2]), w: Tensor.floats([1]) }),
      );
      expect(stranger.code).to.equal('E_RUNTIME_FEED');
      expect(stranger.message).to.contain('"w"');
      const shape = await errorOf(() => session.run({ x: Tensor.floats([1, 2, 3], [1, 3]) }));
      expect(shape.code).to.equal('E_RUNTIME_RUN');
    });
    const narrow = Tensor.of('int4', [2], Uint8Array.of(0x21));
    const same = model('g (float[N] x) => (float[N] y) { y = Identity (x) }');
    const error = await errorOf(() => withSession(same, {}, (session) => session.run({ x: narrow })));
    expect(error.code).to.equal('E_RUNTIME_DTYPE');
  });

  it('hands on the words of ONNX Runtime, on one line and without its source paths', async () => {
    const unknown = model('g (float[N] x) => (float[N] y) { y = NoSuchOperator (x) }');
    const error = await errorOf(() => openSession(unknown));
    expect(error.code).to.equal('E_RUNTIME_LOAD');
    expect(error.message)
      .to.contain('NoSuchOperator')
      .and.not.contain('\n')
      .and.not.match(/\.cc:\d/);
    expect((await errorOf(() => openSession(new Uint8Array(9)))).code).to.equal('E_RUNTIME_LOAD');
    expect((await errorOf(() => openSession('no-such-file.onnx'))).code).to.equal('E_RUNTIME_LOAD');
  });

  it('writes the graph that will run where it is told, and releases twice without harm', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quantc-test-'));
    try {
      const optimizedPath = join(folder, 'optimized.onnx');
      const session = await openSession(add, { optimizedPath, optimization: 'basic' });
      await session.release();
      await session.release();
      expect(existsSync(optimizedPath)).to.equal(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('writes a model with large weights out instead of encoding it in memory', async () => {
    const count = 33 << 20;
    const ones = Tensor.derive('float', [count], [], () => new Float32Array(count).fill(1));
    const large = model(
      `g (float[1] x) => (float[1] y) <float[1] w = {1}> { s = Add (x, w) y = ReduceMax (s) }`,
    );
    const [w] = large.graph.initializers;
    setConstant(w!, ones);
    const { y } = await withSession(large, { optimization: 'off' }, (session) =>
      session.run({ x: Tensor.floats([2]) }),
    );
    expect(y!.toNumbers()).to.deep.equal([3]);
  });
});
