import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { zipSync } from 'fflate';
import { openData } from '../../src/calibration/data.js';
import type { Batch, DataSet, InputSignature } from '../../src/calibration/dataset.js';
import { encodeNpy } from '../../src/calibration/npy.js';
import { syntheticData } from '../../src/calibration/synthetic.js';
import { QuantcError } from '../../src/errors/error.js';
import type { DType } from '../../src/ir/dtype.js';
import { Tensor } from '../../src/ir/tensor.js';
import { type Dim, tensorType } from '../../src/ir/type.js';
import { readModel } from '../../src/onnx/read.js';
import { sharedPath } from '../shared.js';

const input = (name: string, shape: readonly Dim[], dtype: DType = 'float'): InputSignature => ({
  name,
  type: tensorType(dtype, shape),
});

async function batchesOf(data: DataSet): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of data.batches()) batches.push(batch);
  return batches;
}

const codeOf = async (action: () => unknown): Promise<string> => {
  try {
    await action();
  } catch (error) {
    if (error instanceof QuantcError) return error.code;
    throw error;
  }
  return 'none';
};

describe('data for models', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-data-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const save = (name: string, tensor: Tensor): string => {
    const path = join(folder, name);
    writeFileSync(path, encodeNpy(tensor));
    return path;
  };
  const manifest = (content: object): void => {
    writeFileSync(join(folder, 'data.json'), JSON.stringify(content));
  };
  const floats = (shape: readonly number[], from = 0): Tensor =>
    Tensor.floats(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => from + i),
      shape,
    );

  it('feeds a single array in batches', async () => {
    const path = save('x.npy', floats([5, 2]));
    const data = await openData(path, 'calib', [input('x', ['N', 2])], { batch: 2 });
    const batches = await batchesOf(data);
    expect(batches.map(({ start, count, padding }) => [start, count, padding])).to.deep.equal([
      [0, 2, 0],
      [2, 2, 0],
      [4, 1, 0],
    ]);
    expect(batches.map(({ feeds }) => feeds['x']!.shape)).to.deep.equal([
      [2, 2],
      [2, 2],
      [1, 2],
    ]);
    expect([...batches[2]!.feeds['x']!.toFloat32()]).to.deep.equal([8, 9]);
    expect(data.first(3).count).to.equal(3);
    expect((await batchesOf(data.first(3))).length).to.equal(2);
    expect((await batchesOf(data.rebatched(5))).length).to.equal(1);
  });

  it('fills the last feed of a model with a fixed batch with samples that were there before', async () => {
    const path = save('x.npy', floats([5, 1]));
    const data = await openData(path, 'calib', [input('x', [4, 1])]);
    const batches = await batchesOf(data);
    expect(batches.map(({ count, padding }) => [count, padding])).to.deep.equal([
      [4, 0],
      [1, 3],
    ]);
    expect([...batches[1]!.feeds['x']!.toFloat32()]).to.deep.equal([4, 0, 1, 2]);
    expect(data.rebatched(1)).to.equal(data);
    const few = await openData(path, 'calib', [input('x', [12, 1])]);
    expect([...(await batchesOf(few))[0]!.feeds['x']!.toFloat32()]).to.deep.equal([
      ...[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1],
    ]);
    expect(await codeOf(() => openData(path, 'calib', [input('x', [4, 1])], { batch: 2 }))).to.equal(
      'E_DATA_BATCH',
    );
  });

  it('transforms by channel and moves channels to the front', async () => {
    const pixels = Uint8Array.from({ length: 2 * 2 * 3 * 2 }, (_, i) => (i * 11) % 256);
    save('x.npy', Tensor.of('uint8', [2, 2, 3, 2], pixels));
    const transform = { layout: 'NHWC->NCHW', scale: 1 / 255, mean: [0.5, 0.25], std: [0.5, 2] };
    manifest({ inputs: { x: { calib: 'x.npy', transform } } });
    const data = await openData(folder, 'calib', [input('x', ['N', 2, 2, 3])]);
    const [batch] = await batchesOf(data);
    const got = batch!.feeds['x']!;
    expect(got.shape).to.deep.equal([2, 2, 2, 3]);
    const values = got.toFloat32();
    for (let n = 0; n < 2; n++) {
      for (let c = 0; c < 2; c++) {
        for (let i = 0; i < 6; i++) {
          const stored = pixels[(n * 6 + i) * 2 + c]!;
          const expected = Math.fround((stored / 255 - transform.mean[c]!) / transform.std[c]!);
          expect(values[(n * 2 + c) * 6 + i]).to.be.closeTo(expected, 1e-6);
        }
      }
    }
    // Without a layout channels lie on axis 1.
    manifest({ inputs: { x: { calib: 'x.npy', transform: { mean: [1, 2], std: [1, 10] } } } });
    const plain = (await batchesOf(await openData(folder, 'calib', [input('x', ['N', 2, 3, 2])])))[0]!;
    expect(plain.feeds['x']!.toFloat32()[6]).to.be.closeTo((pixels[6]! - 2) / 10, 1e-6);
  });

  it('converts dtypes where nothing but precision is lost', async () => {
    const feed = async (stored: Tensor, dtype: DType) => {
      const path = save('x.npy', stored);
      return (await batchesOf(await openData(path, 'calib', [input('x', ['N'], dtype)])))[0]!.feeds['x']!;
    };
    const int32 = Tensor.of('int32', [3], Int32Array.of(-1, 0, 70000));
    expect((await feed(int32, 'int64')).data()).to.deep.equal(BigInt64Array.of(-1n, 0n, 70000n));
    expect((await feed(int32, 'float')).data()).to.deep.equal(Float32Array.of(-1, 0, 70000));
    expect((await feed(Tensor.ints([7, 8]), 'int32')).data()).to.deep.equal(Int32Array.of(7, 8));
    const half = await feed(Tensor.floats([0.5, -2]), 'float16');
    expect([half.dtype, ...half.toFloat32()]).to.deep.equal(['float16', 0.5, -2]);
    expect((await feed(Tensor.of('double', [1], Float64Array.of(0.1)), 'float')).data()[0]).to.equal(
      Math.fround(0.1),
    );
    for (const [stored, dtype, code] of [
      [Tensor.ints([3e9]), 'int32', 'E_DATA_RANGE'],
      [int32, 'uint8', 'E_DATA_RANGE'],
      [Tensor.floats([0.5]), 'int64', 'E_DATA_DTYPE'],
      [Tensor.floats([Number.NaN]), 'float', 'E_DATA_NAN'],
      [Tensor.floats([1, Number.NEGATIVE_INFINITY]), 'float', 'E_DATA_NAN'],
      [Tensor.floats([70000]), 'float16', 'E_DATA_NAN'],
    ] as const) {
      const error = await feed(stored, dtype).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect((error as QuantcError | undefined)?.code, `${stored.dtype} to ${dtype}`).to.equal(code);
      expect((error as QuantcError).place).to.include({ value: 'x', file: join(folder, 'x.npy') });
    }
  });

  it('stacks whole feeds and adds constants', async () => {
    save('state.npy', floats([3, 2, 1, 2]));
    save('x.npy', floats([3, 1, 4]));
    manifest({
      inputs: { x: { calib: 'x.npy', stacked: true }, state: { calib: 'state.npy', stacked: true } },
      constants: { rate: { dtype: 'int64', value: 16000 }, gain: { dtype: 'float', value: [1, 0.5] } },
      fixed: { mode: 3 },
    });
    const signature = [
      input('x', ['N', 'T']),
      input('state', [2, 'N', 2]),
      input('rate', [], 'int64'),
      input('gain', [2]),
      input('mode', [], 'int64'),
    ];
    const batches = await batchesOf(await openData(folder, 'calib', signature));
    expect(batches.length).to.equal(3);
    const { feeds } = batches[1]!;
    expect(feeds['state']!.shape).to.deep.equal([2, 1, 2]);
    expect([...feeds['state']!.toFloat32()]).to.deep.equal([4, 5, 6, 7]);
    expect([feeds['rate']!.data()[0], feeds['mode']!.data()[0]]).to.deep.equal([16000n, 3n]);
    expect([feeds['rate']!.shape, feeds['gain']!.shape]).to.deep.equal([[], [2]]);
  });

  it('keeps calibration and evaluation apart and reads labels for the latter only', async () => {
    mkdirSync(join(folder, 'sub'));
    save('c.npy', floats([4, 1]));
    save('e.npy', floats([2, 1]));
    save('l.npy', Tensor.of('int32', [2], Int32Array.of(1, 0)));
    writeFileSync(
      join(folder, 'sub', 'data.json'),
      JSON.stringify({
        metric: 'top1',
        inputs: { x: { calib: '../c.npy', eval: '../e.npy' } },
        labels: '../l.npy',
      }),
    );
    const calib = await openData(join(folder, 'sub'), 'calib', [input('x', ['N', 1])]);
    const evaluation = await openData(join(folder, 'sub', 'data.json'), 'eval', [input('x', ['N', 1])]);
    expect([calib.count, calib.labels]).to.deep.equal([4, undefined]);
    expect([evaluation.count, [...evaluation.labels!], evaluation.metric]).to.deep.equal([2, [1, 0], 'top1']);
    expect([...evaluation.first(1).labels!]).to.deep.equal([1]);
    expect(calib.digest()).not.to.equal(evaluation.digest());
  });

  it('names inputs of archives, or takes the only one', async () => {
    const path = join(folder, 'x.npz');
    const signature = [input('a', ['N', 2]), input('b', ['N'])];
    writeFileSync(path, zipSync({ 'a.npy': encodeNpy(floats([2, 2])), 'b.npy': encodeNpy(floats([2])) }));
    const [batch] = await batchesOf(await openData(path, 'calib', signature));
    expect(Object.keys(batch!.feeds)).to.deep.equal(['a', 'b']);
    expect(await codeOf(() => openData(path, 'calib', signature.slice(0, 1)))).to.equal('E_DATA_INPUTS');
    writeFileSync(path, zipSync({ 'arr_0.npy': encodeNpy(floats([2, 2])) }));
    expect((await openData(path, 'calib', signature.slice(0, 1))).count).to.equal(2);
  });

  it('leaves out inputs that have a default', async () => {
    const path = save('x.npy', floats([2, 2]));
    const weight = { ...input('w', [2]), constant: Tensor.floats([1, 2]) };
    expect((await openData(path, 'calib', [input('x', ['N', 2]), weight])).count).to.equal(2);
  });

  it('refuses what does not fit the model, before any run', async () => {
    const x = [input('x', ['N', 2])];
    const open = async (content: object, signature = x): Promise<string> => {
      manifest(content);
      return codeOf(() => openData(folder, 'calib', signature));
    };
    save('x.npy', floats([3, 2]));
    save('y.npy', floats([2, 2]));
    save('none.npy', floats([0, 2]));
    save('wide.npy', floats([3, 5]));
    save('scalar.npy', floats([]));
    const of = (file: string, more: object = {}) => ({ inputs: { x: { calib: file, ...more } } });
    expect(await open(of('x.npy'))).to.equal('none');
    expect(await open({ inputs: { z: { calib: 'x.npy' } } })).to.equal('E_DATA_INPUTS');
    expect(await open({ inputs: { x: { calib: 'x.npy' }, z: { calib: 'x.npy' } } })).to.equal(
      'E_DATA_INPUTS',
    );
    expect(await open({ inputs: {} }, [])).to.equal('E_DATA_EMPTY');
    expect(await open(of('none.npy'))).to.equal('E_DATA_EMPTY');
    expect(await open(of('wide.npy'))).to.equal('E_DATA_SHAPE');
    expect(await open(of('scalar.npy'))).to.equal('E_DATA_SHAPE');
    expect(await open(of('absent.npy'))).to.equal('E_NPY_READ');
    expect(await open({ inputs: { x: { eval: 'x.npy' } } })).to.equal('E_DATA_SPLIT');
    expect(await open(of('x.npy', { transfrom: {} }))).to.equal('E_DATA_MANIFEST');
    expect(await open(of('x.npy', { transform: { std: [0] } }))).to.equal('E_DATA_MANIFEST');
    expect(await open(of('x.npy', { transform: { mean: [1, 2, 3] } }))).to.equal('E_DATA_TRANSFORM');
    expect(await open(of('x.npy', { transform: { layout: 'NHWC->NCHW' } }))).to.equal('E_DATA_TRANSFORM');
    expect(await open(of('x.npy', { transform: {} }), [input('x', ['N', 2], 'int64')])).to.equal(
      'E_DATA_TRANSFORM',
    );
    expect(await open({ ...of('x.npy'), batch: 3 }, [input('x', [2, 2])])).to.equal('E_DATA_BATCH');
    const two = [...x, input('y', ['N', 2])];
    expect(await open({ inputs: { x: { calib: 'x.npy' }, y: { calib: 'y.npy' } } }, two)).to.equal(
      'E_DATA_COUNT',
    );
    const square = [input('x', ['N', 'S']), input('y', ['N', 'S'])];
    expect(await open({ inputs: { x: { calib: 'x.npy' }, y: { calib: 'wide.npy' } } }, square)).to.equal(
      'E_DATA_SHAPE',
    );
    expect(
      await open({ ...of('x.npy'), constants: { k: { dtype: 'int64', value: 0.5 } } }, [
        ...x,
        input('k', []),
      ]),
    ).to.equal('E_DATA_MANIFEST');
    expect(await codeOf(() => openData(join(folder, 'x.npy'), 'calib', two))).to.equal('E_DATA_INPUTS');
    expect(await codeOf(() => openData(join(folder, 'absent'), 'calib', x))).to.equal('E_DATA_READ');
    writeFileSync(join(folder, 'data.json'), '{');
    expect(await codeOf(() => openData(folder, 'calib', x))).to.equal('E_DATA_MANIFEST');
    rmSync(join(folder, 'data.json'));
    expect(await codeOf(() => openData(folder, 'calib', x))).to.equal('E_DATA_READ');
    save('labels.npy', Tensor.of('int32', [2], Int32Array.of(1, 2)));
    manifest({ inputs: { x: { eval: 'x.npy' } }, labels: 'labels.npy' });
    expect(await codeOf(() => openData(folder, 'eval', x))).to.equal('E_DATA_LABELS');
  });

  it('digests what is fed, not how it is cut', async () => {
    const x = [input('x', ['N', 2])];
    const path = save('x.npy', floats([3, 2]));
    const digest = (await openData(path, 'calib', x)).digest();
    expect((await openData(path, 'calib', x, { batch: 1 })).digest()).to.equal(digest);
    expect((await openData(path, 'calib', x)).first(2).digest()).not.to.equal(digest);
    manifest({ inputs: { x: { calib: 'x.npy' } } });
    expect((await openData(folder, 'calib', x)).digest()).to.equal(digest);
    manifest({ inputs: { x: { calib: 'x.npy', transform: { scale: 2 } } } });
    expect((await openData(folder, 'calib', x)).digest()).not.to.equal(digest);
    save('x.npy', floats([3, 2], 1));
    expect((await openData(path, 'calib', x)).digest()).not.to.equal(digest);
  });

  it('opens the data of every shared model, calibration and evaluation', async function () {
    const models = sharedPath('models');
    if (models === undefined) return this.skip();
    let opened = 0;
    for (const name of readdirSync(models)) {
      const from = join(models, name);
      if (!existsSync(join(from, 'data.json'))) continue;
      const { graph } = readModel(join(from, 'model.onnx'));
      for (const split of ['calib', 'eval'] as const) {
        const data = (await openData(from, split, graph.inputs)).first(2);
        const [batch] = await batchesOf(data);
        expect(Object.keys(batch!.feeds).sort(), name).to.deep.equal(
          graph.inputs
            .filter((each) => each.constant === undefined)
            .map((each) => each.name)
            .sort(),
        );
        opened += 1;
      }
    }
    expect(opened).to.be.at.least(28);
  });

  it('draws feeds where there is no data, the same each time, and says so', async () => {
    const signature = [
      input('x', ['N', 3, null, 8]),
      input('ids', ['N', 'T'], 'int64'),
      input('on', [], 'bool'),
    ];
    const data = syntheticData(signature, { count: 3, dims: { T: 5 } });
    const [one, again] = [await batchesOf(data), await batchesOf(data)];
    expect(data.synthetic).to.equal(true);
    expect(one.length).to.equal(3);
    expect(one[0]!.feeds['x']!.shape).to.deep.equal([1, 3, 64, 8]);
    expect(one[0]!.feeds['ids']!.shape).to.deep.equal([1, 5]);
    for (const id of one[0]!.feeds['ids']!.toNumbers()) expect(id).to.be.within(0, 1);
    expect(one[1]!.feeds['x']!.bytes()).to.deep.equal(again[1]!.feeds['x']!.bytes());
    expect(one[0]!.feeds['x']!.bytes()).not.to.deep.equal(one[1]!.feeds['x']!.bytes());
    expect(syntheticData(signature, { seed: 2 }).digest()).not.to.equal(data.digest());
    expect(await codeOf(() => syntheticData([{ name: 'x', type: undefined }]))).to.equal('E_DATA_SYNTHETIC');
    expect(await codeOf(() => syntheticData([input('x', [1], 'string')]))).to.equal('E_DATA_SYNTHETIC');
  });
});
