import { expect } from 'chai';
import fc from 'fast-check';
import type { Floats, MatrixEngine, MatrixProduct } from '../../src/ir/matrix.js';
import { answered, answeredBy, product } from '../../src/quant/asked-products.js';
import { choleskyInPlace, choleskySteps } from '../../src/quant/cholesky.js';
import { metricBy, metricOf, settleRows, settleSteps } from '../../src/quant/nearest-plane.js';
import { withProducts } from '../../src/runtime/products.js';

const ROOM = { maxBytes: 1 << 30 };

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647 - 0.5;
  };
}

const doubles = (count: number, random: () => number) => Float64Array.from({ length: count }, random);

/** Inputs that have much to do with each other: [count, size]. */
function inputsOf(count: number, size: number, random: () => number): Float32Array {
  const x = new Float32Array(count * size);
  for (let row = 0; row < count; row++) {
    let before = 0;
    for (let k = 0; k < size; k++) {
      before = 0.8 * before + random();
      x[row * size + k] = before;
    }
  }
  return x;
}

function gramOf(x: Float32Array, size: number): Float64Array {
  const sum = new Float64Array(size * size);
  for (let row = 0; row < x.length; row += size)
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) sum[i * size + j]! += x[row + i]! * x[row + j]!;
  return sum;
}

describe('withProducts', () => {
  it('multiplies as the definition says, turned or not', async () => {
    await withProducts({ ...ROOM, threads: 1 }, (engine) =>
      fc.assert(
        fc.asyncProperty(
          fc.record({
            rows: fc.integer({ min: 1, max: 40 }),
            columns: fc.integer({ min: 1, max: 20 }),
            depth: fc.integer({ min: 1, max: 90 }),
            turned: fc.boolean(),
            seed: fc.integer({ min: 1, max: 1e6 }),
          }),
          async ({ seed, ...shape }) => {
            const random = randomFrom(seed);
            const wanted = {
              ...shape,
              a: doubles(shape.rows * shape.depth, random),
              b: doubles(shape.columns * shape.depth, random),
            };
            const found = await engine.multiply(wanted);
            product(wanted).forEach((each, at) => {
              expect(found[at]).to.be.closeTo(each, 1e-12);
            });
          },
        ),
        { numRuns: 40 },
      ),
    );
  });

  it('sums x·xᵀ, however the x are handed over, and across its panels', async () => {
    const size = 530;
    const x = inputsOf(70, size, randomFrom(3));
    const expected = gramOf(x, size);
    await withProducts(ROOM, async ({ gram }) => {
      const [whole, cut] = [gram(size), gram(size)];
      await whole.add(x);
      for (let at = 0; at < x.length; at += 7 * size) await cut.add(x.subarray(at, at + 7 * size));
      const found = await whole.finish();
      expect(await cut.finish()).to.deep.equal(found);
      let worst = 0;
      for (const [at, each] of expected.entries()) worst = Math.max(worst, Math.abs(found[at]! - each));
      expect(worst).to.be.below(1e-3);
    });
  });

  it('adds up more than one run', async () => {
    const size = 3;
    const x = inputsOf(5000, size, randomFrom(5));
    await withProducts(ROOM, async ({ gram }) => {
      const sum = gram(size);
      await sum.add(x);
      const found = await sum.finish();
      gramOf(x, size).forEach((each, at) => {
        expect(found[at]).to.be.closeTo(each, 1e-4 * Math.abs(each) + 1e-2);
      });
    });
  });

  it('gives the same bits with any number of threads', async () => {
    const random = randomFrom(11);
    const size = 640;
    const x = inputsOf(200, size, random);
    const b = doubles(128 * 512, random);
    const a = doubles(640 * 512, random);
    const products: MatrixProduct[] = [640, 10, 1].flatMap((rows) => {
      const shape = { rows, columns: 128, depth: 512 };
      const own = a.slice(0, rows * shape.depth);
      const single = { ...shape, a: Float32Array.from(own), b: Float32Array.from(b) };
      const both = [{ ...shape, a: own, b }, single];
      return [...both, ...both.map((each) => ({ ...each, turned: true }))];
    });
    const of = (threads: number) =>
      withProducts({ ...ROOM, threads }, async (engine) => {
        const sum = engine.gram(size);
        await sum.add(x);
        const found = [await sum.finish()] as Floats[];
        for (const each of products) found.push(await engine.multiply(each));
        return found;
      });
    const one = await of(1);
    for (const threads of [2, 3, 8]) expect(await of(threads)).to.deep.equal(one);
  });

  it('obeys a ceiling on memory', async () => {
    const largest = (maxBytes: number) => withProducts({ maxBytes }, async (engine) => engine.largest);
    expect(await largest(24 * 100 ** 2)).to.equal(100);
    expect(await largest(2 ** 40)).to.equal(4096);
  });
});

describe('algorithms that ask for products', () => {
  const size = 150;
  const matrix = gramOf(inputsOf(400, size, randomFrom(7)), size);

  it('factor as they do without', async () => {
    const plain = matrix.slice();
    expect(choleskyInPlace(plain, size)).to.equal(true);
    for (const block of [1, 49, 128, 150]) {
      const blocked = matrix.slice();
      expect(answered(choleskySteps(blocked, size, block))).to.equal(true);
      for (let i = 0; i < size; i++)
        for (let j = 0; j <= i; j++) expect(blocked[i * size + j]).to.be.closeTo(plain[i * size + j]!, 1e-9);
    }
    const broken = matrix.slice();
    broken[140 * size + 140] = -1;
    expect(answered(choleskySteps(broken, size, 64))).to.equal(false);
  });

  it('settle as they do without, but for noise where two integers are as good', () => {
    const metric = metricOf(matrix, size)!;
    const rows = 9;
    const weights = doubles(rows * size, randomFrom(13));
    const settleInto = (q: Float64Array) => (row: number, index: number, wished: number) => {
      q[row * size + index] = Math.round(wished / 0.1);
      return q[row * size + index]! * 0.1;
    };
    const plain = new Float64Array(weights.length);
    const costs = settleRows(metric, weights, settleInto(plain));
    for (const block of [1, 7, 128]) {
      const blocked = new Float64Array(weights.length);
      const found = answered(settleSteps(metric, weights, settleInto(blocked), block));
      expect(blocked).to.deep.equal(plain);
      found.forEach((cost, row) => {
        expect(cost).to.be.closeTo(costs[row]!, 1e-6);
      });
    }
  });

  it('find the same metric and costs by an engine', async () => {
    const large = 600;
    const random = randomFrom(17);
    const moments = gramOf(inputsOf(900, large, random), large);
    const weights = doubles(5 * large, random);
    const round = (_: number, __: number, wished: number) => Math.round(wished / 0.1) * 0.1;
    const costs = settleRows(metricOf(moments, large)!, weights, round);
    await withProducts(ROOM, async (engine: MatrixEngine) => {
      const metric = (await metricBy(moments, large, engine))!;
      const found = await answeredBy(settleSteps(metric, weights, round, 128), engine);
      found.forEach((cost, row) => {
        expect(cost).to.be.closeTo(costs[row]!, 1e-6 * costs[row]!);
      });
    });
  });
});
