import { expect } from 'chai';
import { ChannelGraph } from '../../../passes/channels/graph.js';
import { Reader } from '../../../passes/channels/noise.js';
import { channelStatistics } from '../../../passes/channels/statistics.js';
import { type Engine, type Model, parseModel, planStatic, Tensor, type Value } from '../../../src/index.js';
import { inferTypes } from '../../../src/runtime/types.js';
import { filledTensor } from '../../../src/text/fill.js';
import { eager } from '../quantizing.js';

const valueNamed = (model: Model, name: string): Value =>
  [...model.graph.nodes()].flatMap(({ outputs }) => outputs).find((value) => value.name === name)!;

/** A watch that shows given tensors, one run each. */
const showing =
  (value: Value, runs: readonly Tensor[]): NonNullable<Engine['watch']> =>
  async (_model, _values, samples, see) => {
    for (const tensor of runs.slice(0, samples)) await see(new Map([[value, tensor]]));
  };

describe('statistics of channels', () => {
  it('finds extremes and power of each channel over places and runs', async () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (float[N,3,4] x) => (float[N,2,P] y) <float[2,3,1] w = ["fill": "normal:1"], float[2,2,1] v = ["fill": "normal:2"]> {
  a = Conv (x, w)
  y = Conv (a, v)
}`);
    await inferTypes(model);
    const a = valueNamed(model, 'a');
    const runs = [
      Tensor.floats([1, 2, -3, 4, 10, 20, 30, 0], [1, 2, 4]),
      Tensor.floats([0, 0, 0, 5, -40, 0, 0, 0], [1, 2, 4]),
    ];
    const channels = new ChannelGraph(model.graph);
    const found = (await channelStatistics(model, [a], channels, showing(a, runs), 2)).get(a)!;
    expect([...found.min]).to.deep.equal([-3, -40]);
    expect([...found.max]).to.deep.equal([5, 30]);
    expect([...found.power]).to.deep.equal([(1 + 4 + 9 + 16 + 25) / 8, (100 + 400 + 900 + 1600) / 8]);
    const first = (await channelStatistics(model, [a], channels, showing(a, runs), 1)).get(a)!;
    expect([...first.max]).to.deep.equal([4, 30]);
  });

  it('counts channels along two axes, the last one fastest', async () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (float[N,4,6] x) => (float[N,4,5] y) <float[6,4] w = ["fill": "normal:1"], float[4,5] v = ["fill": "normal:2"], int64[4] apart = {0, 4, 2, 2}, int64[3] together = {0, 4, 4}> {
  a = MatMul (x, w)
  h = Reshape (a, apart)
  t = Transpose <perm = [0, 2, 1, 3]> (h)
  u = Transpose <perm = [0, 2, 1, 3]> (t)
  m = Reshape (u, together)
  y = MatMul (m, v)
}`);
    await inferTypes(model);
    const t = valueNamed(model, 't');
    const channels = new ChannelGraph(model.graph);
    expect(channels.channelsOf(t)).to.deep.include({ axes: [1, 3], count: 4 });
    // [1, head, token, place]: the number tells head and place.
    const data = Array.from({ length: 16 }, (_, i) => 10 * Math.floor(i / 8) + (i % 2));
    const found = await channelStatistics(
      model,
      [t],
      channels,
      showing(t, [Tensor.floats(data, [1, 2, 4, 2])]),
      1,
    );
    expect([...found.get(t)!.max]).to.deep.equal([0, 1, 10, 11]);
  });
});

/** 10·log10(noise/signal) of a product of quantized numbers, drawn and rounded one by one. */
function simulated(
  x: Float32Array,
  w: Float32Array,
  inner: number,
  columns: number,
  factors: Float64Array,
): number {
  const rows = x.length / inner;
  const scaledX = x.map((each, i) => each * factors[i % inner]!);
  const scaledW = w.map((each, i) => each / factors[Math.floor(i / columns)]!);
  const step = (Math.max(0, ...scaledX) - Math.min(0, ...scaledX)) / 255;
  const steps = Array.from({ length: columns }, (_, o) => {
    let most = 0;
    for (let c = 0; c < inner; c++) most = Math.max(most, Math.abs(scaledW[c * columns + o]!));
    return most / 127;
  });
  let [noise, signal] = [0, 0];
  for (let r = 0; r < rows; r++)
    for (let o = 0; o < columns; o++) {
      let [exact, rounded] = [0, 0];
      for (let c = 0; c < inner; c++) {
        const [a, b] = [scaledX[r * inner + c]!, scaledW[c * columns + o]!];
        exact += a * b;
        rounded += Math.round(a / step) * step * Math.round(b / steps[o]!) * steps[o]!;
      }
      noise += (rounded - exact) ** 2;
      signal += exact ** 2;
    }
  return 10 * Math.log10(noise / signal);
}

describe('noise that quantization is expected to make', () => {
  const [inner, columns] = [32, 16];
  for (const [name, factorOf] of [
    ['as they are', () => 1],
    ['scaled', (c: number) => 2 ** (c % 5)],
    ['evened out', (c: number) => (1 + c) ** -0.5],
  ] as const) {
    it(`is what is measured, channels ${name}`, async () => {
      const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (float[N,8] x) => (float[N,${columns}] y) <float[8,${inner}] u = ["fill": "normal:1"], float[${inner},${columns}] w = ["fill": "normal:2"]> {
  a = MatMul (x, u)
  y = MatMul (a, w)
}`);
      await inferTypes(model);
      const a = valueNamed(model, 'a');
      const channels = new ChannelGraph(model.graph);
      // Channel c is c + 1 times as large as the first.
      const drawn = filledTensor('float', [400, inner], 'normal:3', '')!
        .toFloat32()
        .map((each, i) => each * (1 + (i % inner)));
      const seen = Tensor.floats(drawn, [400, inner]);
      const statistics = (await channelStatistics(model, [a], channels, showing(a, [seen]), 1)).get(a)!;
      const node = [...model.graph.nodes()].at(-1)!;
      const reader = new Reader(planStatic(model.graph, eager).nodes.get(node)!, statistics, eager);
      const factors = Float64Array.from({ length: inner }, (_, c) => factorOf(c));
      const expected = 10 * Math.log10(reader.noise(() => factors));
      const weights = node.inputs[1]!.constant!.toFloat32();
      expect(simulated(drawn, weights, inner, columns, factors)).to.be.closeTo(expected, 0.5);
    });
  }
});
