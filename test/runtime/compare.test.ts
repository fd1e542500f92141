import { expect } from 'chai';
import { QuantcError, Tensor } from '../../src/index.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { compareLayers } from '../../src/runtime/layers.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';

const model = (body: string) => parseModel(`<ir_version: 10, opset_import: ["": 21]>\n${body}`);

const scaled = (by: number) =>
  model(`g (float[N,3] x) => (float[N,3] y) <float k = {${by}}> { a = Neg (x) y = Mul (a, k) }`);

const codeOf = (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'no error',
    (error: unknown) => (error instanceof QuantcError ? error.code : String(error)),
  );

describe('runtime/compare', () => {
  const feeds = [{ x: Tensor.floats([1, 2, 3], [1, 3]) }, { x: Tensor.floats([3, 2, 1, -1, 0, 1], [2, 3]) }];

  it('sums errors over feeds as the formulas say', async () => {
    const [row] = await compareOutputs(scaled(2), scaled(1.5), feeds);
    // a = −2x, b = −1.5x: Σa² / Σ(a−b)² = 4 / 0.25 whatever x is.
    expect(row!.sqnr).to.be.closeTo(10 * Math.log10(16), 1e-6);
    expect(row!.cosine).to.be.closeTo(1, 1e-9);
    expect(row!.maxError).to.be.closeTo(1.5, 1e-6);
    expect(row).to.include({ name: 'y', feeds: 2, count: 9, identical: false, top1: 1 });
  });

  it('counts rows that choose another column', async () => {
    const tilted = model('g (float[N,3] x) => (float[N,3] y) <float[3] k = {-2, -2, -9}> { y = Mul (x, k) }');
    const [row] = await compareOutputs(scaled(2), tilted, feeds);
    // −2x chooses columns 0, 2 and 0; with the last column tilted the second row (3, 2, 1) chooses 1, the third 0.
    expect(row!.top1).to.be.closeTo(2 / 3, 1e-9);
  });

  it('knows equality to the bit', async () => {
    const [row] = await compareOutputs(scaled(2), scaled(2), feeds);
    expect(row).to.include({ identical: true, sqnr: Number.POSITIVE_INFINITY, maxError: 0 });
  });

  it('streams: asks for the next feed only when the last one is done', async () => {
    let open = 0;
    async function* lazily() {
      for (const feed of feeds) {
        expect(open).to.equal(0);
        open++;
        yield feed;
        open--;
      }
    }
    expect((await compareOutputs(scaled(2), scaled(3), lazily()))[0]!.feeds).to.equal(2);
  });

  it('matches outputs by name, or by position where no name is shared', async () => {
    const renamed = model('g (float[N,3] x) => (float[N,3] other) { other = Neg (x) }');
    const [row] = await compareOutputs(scaled(1), renamed, feeds);
    expect(row).to.include({ name: 'y', identical: true });
    const two = model('g (float[N,3] x) => (float[N,3] y, float[N,3] z) { y = Neg (x) z = Abs (x) }');
    expect(await codeOf(compareOutputs(two, scaled(1), feeds))).to.equal('E_COMPARE_OUTPUT');
  });

  it('refuses what cannot be compared', async () => {
    const longer = model('g (float[N,3] x) => (float[N,6] y) { y = Concat <axis = 1> (x, x) }');
    expect(await codeOf(compareOutputs(scaled(1), longer, feeds))).to.equal('E_COMPARE_SHAPE');
    expect(await codeOf(compareOutputs(scaled(1), scaled(1), []))).to.equal('E_COMPARE_EMPTY');
  });

  it('compares integers and strings too', async () => {
    const texts = model('g (string[N] s) => (string[N] t, int64[1] n) { t = Identity (s) n = Shape (s) }');
    const values = ['a', 'b'].map((text) => new TextEncoder().encode(text));
    const s = new Tensor('string', [2], { kind: 'strings', values });
    const rows = await compareOutputs(texts, texts, [{ s }]);
    expect(rows.map((row) => row.identical)).to.deep.equal([true, true]);
  });

  it('shows layer by layer where the error comes in, in as many rounds as memory asks for', async () => {
    const net = (bump: number) =>
      model(`g (float[N,3] x) => (float[N,3] y) <float k = {${bump}}> {
        a = Neg (x) b = Exp (a) c = Add (b, k) d = Sqrt (c) y = Abs (d)
      }`);
    const [reference, candidate] = [net(1), net(1.25)];
    await inferTypes(reference);
    await inferTypes(candidate);
    let rounds = 0;
    const rows = await compareLayers(
      reference,
      candidate,
      () => {
        rounds++;
        return feeds;
      },
      { maxBytes: 30 },
    );
    expect(rows.map((row) => row.name)).to.deep.equal(['a', 'b', 'c', 'd', 'y']);
    expect(rows.map((row) => row.identical)).to.deep.equal([true, true, false, false, false]);
    // Dimension N, the batch, counts as 1: a value takes 12 bytes, and two of them fit.
    expect(rounds).to.equal(3);
  });
});
