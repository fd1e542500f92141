import { expect } from 'chai';
import { Tensor } from '../../src/index.js';
import { compareLayers, type LayerComparison } from '../../src/runtime/layers.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';

async function layersOf(
  reference: string,
  candidate: string,
  feed: readonly number[],
): Promise<LayerComparison[]> {
  const models = [reference, candidate].map((body) =>
    parseModel(`<ir_version: 10, opset_import: ["": 21]>\n${body}`),
  );
  for (const model of models) await inferTypes(model);
  const x = Tensor.floats(feed, [feed.length / 4, 4]);
  return compareLayers(models[0]!, models[1]!, () => [{ x }]);
}

const FLOAT = `g (float[N,4] x) => (float[N,4] y) <float k = {2}> {
  [scale] a = Mul (x, k)
  [bend] r = Relu (a)
  [last] y = Neg (r)
}`;
const quantizing = (
  rest: string,
  grids = 'float s = {1}, uint8 z = {0}, float wide = {0.1}, uint8 middle = {128}',
) => `g (float[N,4] x) => (float[N,4] y) <float k = {2}, ${grids}> { ${rest} }`;
const feed = [1.1, -2, 3.2, 4, 5.3, -6, 7, 90];

describe('layers of two models', () => {
  it('are compared as readers get them, and a function that the grid has swallowed with its node', async () => {
    const layers = await layersOf(
      FLOAT,
      quantizing('a = Mul (x, k)  q = QuantizeLinear (a, s, z)  d = DequantizeLinear (q, s, z)  y = Neg (d)'),
      feed,
    );
    expect(layers.map(({ name, node }) => [name, node])).to.deep.equal([
      ['r', 'scale'],
      ['y', 'last'],
    ]);
    const [bent, last] = layers;
    // 2x, rounded: 2.2 → 2, 6.4 → 6, 10.6 → 11; what is below zero is the function's work, not a loss.
    const noise = 0.2 ** 2 + 0.4 ** 2 + 0.4 ** 2;
    expect(bent!.meanSquaredError).to.be.closeTo(noise / 8, 1e-5);
    expect(bent!.grid).to.deep.include({ saturation: 0, rangeUse: 7 / 8 });
    expect(bent!.quantized).to.equal(true);
    expect([last!.from, last!.quantized]).to.deep.equal([['r'], false]);
  });

  it('are found where the other model calls the sum by the name of its function', async () => {
    const [bent] = await layersOf(
      FLOAT,
      quantizing('r = Mul (x, k)  q = QuantizeLinear (r, s, z)  d = DequantizeLinear (q, s, z)  y = Neg (d)'),
      feed,
    );
    expect(bent).to.include({ name: 'r', node: 'bend' });
    expect(bent!.grid!.saturation).to.equal(0);
  });

  it('show what is cut off, inputs and outputs among them', async () => {
    const layers = await layersOf(
      FLOAT,
      quantizing(`q0 = QuantizeLinear (x, wide, middle)  d0 = DequantizeLinear (q0, wide, middle)
        a = Mul (d0, k)  r = Relu (a)  n = Neg (r)
        q = QuantizeLinear (n, wide, middle)  y = DequantizeLinear (q, wide, middle)`),
      feed,
    );
    const byName = new Map(layers.map((layer) => [layer.name, layer]));
    expect([...byName.keys()]).to.deep.equal(['x', 'a', 'r', 'y']);
    expect(byName.get('x')!.node).to.equal(undefined);
    expect(byName.get('x')!.grid!.saturation, '90 lies beyond 12.7').to.equal(1 / 8);
    // Before the rounding: 0, -2.2 … -14, and -25.4 for 90, cut off at 12.7 already; the grid ends at -12.8.
    expect(byName.get('y')!.grid!.saturation).to.equal(2 / 8);
    expect(byName.get('a')).to.deep.include({ quantized: false, from: ['x'] });
  });

  it('leave out pairs of different shapes, and weights with one scale tell how unequal they are', async () => {
    const gemm = (weight: string, rest = '') =>
      `g (float[N,4] x) => (float[N,2] y) <${weight}> { ${rest} [head] y = Gemm (x, w) }`;
    const [head] = await layersOf(
      gemm('float[4,2] w = {1, 100, 1, 100, 1, 100, 1, 100}'),
      gemm(
        'int8[4,2] q = {1, 100, 1, 100, 1, 100, 1, 100}, float s = {1}, int8 z = {0}',
        'w = DequantizeLinear (q, s, z)',
      ),
      feed,
    );
    expect(head).to.include({ node: 'head', quantized: true, weightSpread: 1, identical: true });
    const [wide] = await layersOf(
      gemm('float[4,2] w = {1, 1, 1, 1, 1, 1, 1, 100}'),
      gemm('float[4,2] w = {1, 1, 1, 1, 1, 1, 1, 100}'),
      feed,
    );
    expect(wide!.weightSpread, 'not quantized').to.equal(undefined);
    const none = await layersOf(
      'g (float[N,4] x) => (float[N,4] y) { a = Neg (x) y = Abs (a) }',
      'g (float[N,4] x) => (float[N,4] y) { b = Abs (x) a = Concat <axis = 1> (b, b) c = Neg (b) y = Abs (c) }',
      feed,
    );
    expect(none.map(({ name }) => name)).to.deep.equal(['y']);
  });

  it('are not blamed for channels that are rescaled on purpose', async () => {
    const net = (
      scale: string,
      back: string,
    ) => `g (float[N,4] x) => (float[N,4] y) <float[4] s = {${scale}}, float[4] t = {${back}}> {
      [first] a = Mul (x, s) [bend] r = Relu (a) [second] y = Mul (r, t) }`;
    const many = Array.from({ length: 64 }, (_, i) => Math.sin(i) * 5);
    const layers = await layersOf(
      net('1, 1, 1, 1', '1, 1, 1, 1'),
      net('8, 0.5, 1, 4', '0.125, 2, 1, 0.25'),
      many,
    );
    expect(layers.map(({ rescaled }) => rescaled)).to.deep.equal([true, true, undefined]);
    for (const { sqnr, cosine } of layers) {
      expect(sqnr).to.be.above(100);
      expect(cosine).to.be.closeTo(1, 1e-6);
    }
    const noisy = await layersOf(
      net('1, 1, 1, 1', '1, 1, 1, 1'),
      net('1.2, 0.9, 1.1, 1', '1, 1, 1, 1'),
      [1, 2, 3, 4],
    );
    expect(noisy[0]!.rescaled, 'of one element a channel, a factor explains anything').to.equal(undefined);
  });
});
