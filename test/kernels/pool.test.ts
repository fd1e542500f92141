import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Tensor } from '../../src/ir/tensor.js';
import { KernelPool } from '../../src/kernels/pool.js';
import { quantizedBias } from '../../src/quant/bias.js';
import { quantizedWeight, type WeightOptions } from '../../src/quant/weight.js';

const random = (count: number, seed: number): Float32Array => {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
};

describe('kernels/pool', () => {
  let folder: string;
  let weights: Tensor[];
  const pools = new Map<number, KernelPool>();
  const pool = (threads: number): KernelPool => {
    const made = pools.get(threads) ?? new KernelPool({ threads, threadsFrom: 0 });
    pools.set(threads, made);
    return made;
  };

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-pool-'));
    const path = join(folder, 'weights');
    const values = random(6 * 64 * 96, 3);
    writeFileSync(path, new Uint8Array(values.buffer));
    weights = Array.from({ length: 6 }, (_, i) => {
      const length = 4 * 64 * 96;
      return new Tensor('float', [64, 96], { kind: 'file', path, offset: i * length, length });
    });
  });
  after(async () => {
    for (const each of pools.values()) await each.close();
    rmSync(folder, { recursive: true });
  });

  const kinds: Record<string, WeightOptions> = {
    'int8 by column': { dtype: 'int8', granularity: 'axis', axis: 1 },
    'uint8 by row': { dtype: 'uint8', granularity: 'axis', axis: 0 },
    'int4 in blocks': { dtype: 'int4', granularity: { blockSize: 32 }, axis: 0 },
    'int8, searched': { dtype: 'int8', granularity: 'axis', axis: 1, search: 'mse', clamp: 64 },
  };
  for (const [name, options] of Object.entries(kinds)) {
    for (const threads of [1, 2]) {
      it(`materializes ${name} with ${threads} thread(s) as the tensor itself would`, async () => {
        const made = pool(threads);
        const tensors = weights.flatMap(
          (weight) => Object.values(quantizedWeight(weight, options)) as Tensor[],
        );
        const expected = weights.flatMap((weight) =>
          (Object.values(quantizedWeight(weight, options)) as Tensor[]).map((each) => each.bytes().slice()),
        );
        const actual = await Promise.all(tensors.map((each) => made.materialize(each)));
        for (const [i, bytes] of actual.entries()) {
          expect(Buffer.compare(bytes, expected[i]!), `result ${i}`).to.equal(0);
        }
      });
    }
  }

  it('writes copies, integers and small results to their places, the same with any number of threads', async () => {
    const files: Buffer[] = [];
    for (const threads of [1, 2, 3]) {
      const path = join(folder, `out-${threads}`);
      writeFileSync(path, '');
      const made = pool(threads);
      let offset = 5;
      const jobs: Promise<void>[] = [];
      const put = (tensor: Tensor) => {
        jobs.push(made.place(tensor, { path, offset }));
        offset += tensor.byteLength;
      };
      for (const weight of weights) {
        const { q, scale, zeroPoint } = quantizedWeight(weight, {
          dtype: 'uint8',
          granularity: 'axis',
          axis: 1,
        });
        const bias = quantizedBias(Tensor.floats(random(96, 9)), 0.05, scale);
        for (const each of [scale, bias.scale, bias.q, q, zeroPoint, weight]) put(each);
      }
      truncateSync(path, offset);
      await Promise.all(jobs);
      files.push(readFileSync(path));
    }
    expect(Buffer.compare(files[0]!, files[1]!)).to.equal(0);
    expect(Buffer.compare(files[0]!, files[2]!)).to.equal(0);
    expect(files[0]!.includes(Buffer.from(weights[5]!.bytes()))).to.equal(true);
  });

  it('holds at most what it may', async () => {
    const made = new KernelPool({ threads: 2, threadsFrom: 0, maxMemory: 1 });
    const tensors = weights.map((weight) => quantizedWeight(weight, { dtype: 'int8' }).q);
    const bytes = await Promise.all(tensors.map((each) => made.materialize(each)));
    expect(bytes.map((each) => each.length)).to.deep.equal(weights.map(() => 64 * 96));
    await made.close();
  });

  it('brings the error of a thread back with its code and place', async () => {
    const path = join(folder, 'weights');
    const cut = new Tensor('float', [4], { kind: 'file', path, offset: 6 * 4 * 64 * 96 - 8, length: 16 });
    for (const threads of [1, 2]) {
      const error = await pool(threads)
        .materialize(quantizedWeight(cut, { dtype: 'int8' }).q)
        .then(
          () => undefined,
          (caught) => caught,
        );
      expect(error).to.include({ code: 'E_TENSOR_READ', kind: 'input' });
      expect(error.place.file).to.equal(path);
    }
  });

  it('rejects what is not done when it is closed', async () => {
    const made = new KernelPool({ threads: 2, threadsFrom: 0 });
    const asked = weights.map((weight) => made.materialize(quantizedWeight(weight, { dtype: 'int8' }).q));
    const outcomes = Promise.allSettled(asked);
    await made.close();
    for (const outcome of await outcomes) {
      expect(outcome.status).to.equal('rejected');
      expect((outcome as PromiseRejectedResult).reason.code).to.equal('F_KERNEL_CLOSED');
    }
  });

  it('refuses to have no thread', () => {
    expect(() => new KernelPool({ threads: 0 }))
      .to.throw()
      .with.property('code', 'E_POOL_THREADS');
  });
});
