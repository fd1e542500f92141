import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeLarge } from '../../models/make-large.js';
import { setConstant } from '../../src/ir/edit.js';
import type { Model } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { KernelPool } from '../../src/kernels/pool.js';
import { readModel } from '../../src/onnx/read.js';
import { type WriteOptions, writeModel } from '../../src/onnx/write.js';
import { quantizedWeight } from '../../src/quant/weight.js';

/** The model with every matrix an int8 one: no executor would take it, but every kind of tensor is written. */
function withIntegers(path: string): Model {
  const model = readModel(path);
  for (const value of [...model.graph.initializers]) {
    const weight = value.constant!;
    if (weight.shape.length === 2) {
      setConstant(value, quantizedWeight(weight, { dtype: 'int8', granularity: 'axis', axis: 1 }).q);
    }
  }
  return model;
}

describe('kernels, writing a model', () => {
  let folder: string;
  let source: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-write-'));
    source = await makeLarge(join(folder, 'in'), 2 * 4 * 12 * 96 * 96, 96);
  });
  after(() => rmSync(folder, { recursive: true }));

  const write = async (name: string, options: WriteOptions): Promise<Map<string, Buffer>> => {
    const out = join(folder, name);
    mkdirSync(out);
    await writeModel(withIntegers(source), join(out, 'm.onnx'), { externalData: 'always', ...options });
    return new Map(readdirSync(out).map((file) => [file, readFileSync(join(out, file))]));
  };

  it('gives the same files without a pool and with one of 1, 2 or 3 threads', async () => {
    const expected = await write('plain', {});
    expect([...expected.keys()].sort()).to.deep.equal(['m.onnx', 'm.onnx_data']);
    for (const threads of [1, 2, 3]) {
      const pool = new KernelPool({ threads, threadsFrom: 0 });
      const actual = await write(`pool-${threads}`, pool.writing);
      await pool.close();
      for (const [file, bytes] of expected)
        expect(Buffer.compare(actual.get(file)!, bytes), file).to.equal(0);
    }
  });

  it('leaves nothing behind when a tensor fails, and tells why', async () => {
    const pool = new KernelPool({ threads: 2, threadsFrom: 0 });
    const model = withIntegers(source);
    const matrix = [...model.graph.initializers].find((value) => value.constant!.shape.length === 2)!;
    const { path } = fileOf(matrix.constant!);
    const gone = new Tensor('float', [96, 96], { kind: 'file', path, offset: 1e9, length: 4 * 96 * 96 });
    setConstant(matrix, quantizedWeight(gone, { dtype: 'int8' }).q);
    const out = join(folder, 'failed');
    mkdirSync(out);
    const error = await writeModel(model, join(out, 'm.onnx'), pool.writing).then(
      () => undefined,
      (caught) => caught,
    );
    await pool.close();
    expect(error).to.include({ code: 'E_TENSOR_READ' });
    expect(readdirSync(out)).to.deep.equal([]);
  });
});

function fileOf(tensor: Tensor): { path: string } {
  if (tensor.source.kind === 'file') return tensor.source;
  if (tensor.source.kind === 'derived') return fileOf(tensor.source.from[0]!);
  throw new Error('the model is external');
}
