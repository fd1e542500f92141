import { expect } from 'chai';
import { calibrate, histograms } from '../../src/calibration/calibrate.js';
import { HistogramObserver } from '../../src/calibration/histogram.js';
import { SeededRandom } from '../../src/calibration/random.js';
import { QuantcError } from '../../src/errors/error.js';
import { valuesOf } from '../../src/ir/edit.js';
import type { Model, Value } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { withSession } from '../../src/runtime/session.js';
import { tapped } from '../../src/runtime/tap.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import { memoryData } from './memory-data.js';

const random = new SeededRandom(3);
const normal = (shape: readonly number[], scale = 1): Tensor =>
  Tensor.floats(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => scale * random.normal()),
    shape,
  );

async function modelOf(text: string, opset = 21): Promise<Model> {
  const model = parseModel(`<ir_version: 8, opset_import: ["" : ${opset}]>\n${text}`);
  await inferTypes(model);
  return model;
}

const inner = (model: Model): Value[] => [...valuesOf(model.graph)].filter((value) => value.producer);
const named = (model: Model, name: string): Value =>
  [...valuesOf(model.graph)].find((value) => value.name === name)!;

async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    if (error instanceof QuantcError) return `${error.code} ${error.place.value ?? ''}`.trim();
    throw error;
  }
  return 'none';
}

describe('calibrate', () => {
  const network = `g (float[N,3,8,8] x) => (float[N,5] y) <
    float[6,3,3,3] w = ["fill": "normal:1"], float[6,5] v = ["fill": "normal:2"]> {
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Relu (c)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    y = MatMul (f, v)
  }`;
  const pictures = normal([13, 3, 8, 8]);

  it('finds the extremes of every value, the inputs among them, as a plain look at them does', async () => {
    const model = await modelOf(network);
    const values = [...model.graph.inputs, ...inner(model)];
    const data = memoryData({ x: pictures });
    const ranges = await calibrate(model, values, data);
    expect(ranges.size).to.equal(values.length);
    const expected = new Map<string, number[]>(values.map((value) => [value.name, []]));
    await withSession(tapped(model, inner(model)), { optimization: 'off' }, async (session) => {
      for await (const feed of data) {
        for (const [name, tensor] of Object.entries({ ...feed, ...(await session.run(feed)) })) {
          expected.get(name)!.push(...tensor.toFloat32());
        }
      }
    });
    for (const [value, { min, max }] of ranges) {
      expect([min, max], value.name).to.deep.equal([
        Math.min(...expected.get(value.name)!),
        Math.max(...expected.get(value.name)!),
      ]);
    }
  });

  it('gives the same for any batch, number of threads and amount of memory, and leaves the model alone', async () => {
    const model = await modelOf(network);
    const values = [...model.graph.inputs, ...inner(model)];
    const version = model.graph.version;
    const first = await calibrate(model, values, memoryData({ x: pictures }), { threads: 1 });
    for (const [batch, threads, maxMemory] of [
      [1, 2, undefined],
      [5, 1, undefined],
      [64, 2, undefined],
      [8, 1, 10_000],
      [64, 2, 1],
    ] as const) {
      const again = await calibrate(model, values, memoryData({ x: pictures }, { batch }), {
        threads,
        maxMemory,
      });
      expect([...again], `batch ${batch}, ${threads} threads`).to.deep.equal([...first]);
    }
    expect(model.graph.version).to.equal(version);
    expect(model.graph.outputs.map(({ name }) => name)).to.deep.equal(['y']);
  });

  it('tells its progress up to 1, and stops when told', async () => {
    const model = await modelOf(network);
    const shares: number[] = [];
    const data = memoryData({ x: pictures }, { batch: 4 });
    await calibrate(model, inner(model), data, { onProgress: (share) => shares.push(share) });
    expect(shares).to.deep.equal(Array.from({ length: 13 }, (_, i) => (i + 1) / 13));
    const signal = AbortSignal.abort();
    expect(await codeOf(calibrate(model, inner(model), data, { signal }))).to.equal('E_CALIBRATION_ABORTED');
  });

  it('raises NaN and infinities, naming the value, even where later values hide them', async () => {
    const model = await modelOf(`g (float[N,4] x) => (float[N,4] y) <float[4] zero = {0, 0, 0, 0}> {
      s = Sqrt (x)
      y = Max (s, zero)
    }`);
    // Not in the first sample, and between sound elements: a reduction that passes over NaN would miss it.
    const values = Tensor.floats([1, 2, 3, 4, 1, -1, 2, 3], [2, 4]);
    for (const batch of [1, 2]) {
      const data = memoryData({ x: values }, { batch });
      expect(await codeOf(calibrate(model, [named(model, 's')], data))).to.equal('E_CALIBRATION_NAN s');
      expect(await codeOf(histograms(model, [named(model, 's')], data))).to.equal('E_CALIBRATION_NAN s');
    }
    const nothingElse = memoryData({ x: Tensor.floats([-1, -1, -1, -1], [1, 4]) });
    expect(await codeOf(calibrate(model, [named(model, 's')], nothingElse))).to.equal('E_CALIBRATION_NAN s');
    const divide = await modelOf('g (float[N,2] x) => (float[N,2] y) { y = Reciprocal (x) }');
    const zeros = memoryData({ x: Tensor.floats([1, 0], [1, 2]) });
    expect(await codeOf(calibrate(divide, inner(divide), zeros))).to.equal('E_CALIBRATION_NAN y');
  });

  it('skips what it cannot see, with a reason', async () => {
    const model = await modelOf(`g (float[N,2] x, bool on) => (float[N,2] y) {
      i = Cast <to = 7> (x)
      y = If (on) <then_branch = a () => (float[N,2] t) { t = Neg (x) },
                   else_branch = b () => (float[N,2] e) { e = Abs (x) }>
    }`);
    const hidden = [...model.graphs()]
      .flatMap((graph) => [...valuesOf(graph)])
      .find(({ name }) => name === 't')!;
    const reasons: string[] = [];
    const data = memoryData(
      { x: Tensor.floats([1, -2], [1, 1, 2]), on: Tensor.of('bool', [1], Uint8Array.of(1)) },
      { stacked: true },
    );
    const ranges = await calibrate(model, [named(model, 'i'), hidden, named(model, 'y')], data, {
      onSkip: ({ name }, reason) => reasons.push(`${name}: ${reason}`),
    });
    expect([...ranges.keys()].map(({ name }) => name)).to.deep.equal(['y']);
    expect(reasons).to.have.length(2);
    expect(reasons[0]).to.match(/^i: .*int64/);
    expect(reasons[1]).to.match(/^t: .*subgraph/);
  });

  it('takes values that are now and then without elements, and refuses those that always are', async () => {
    for (const opset of [11, 13, 18, 21]) {
      const model = await modelOf(
        'g (float[N] x) => (float[M] y) <float zero = {0}> { c = Greater (x, zero) y = Compress (x, c) }',
        opset,
      );
      const some = memoryData({ x: Tensor.floats([-1, 2, -3]) }, { batch: 1 });
      const ranges = await calibrate(model, [named(model, 'y')], some);
      expect([...ranges.values()], `opset ${opset}`).to.deep.equal([{ min: 2, max: 2 }]);
      const none = memoryData({ x: Tensor.floats([-1, -3]) }, { batch: 1 });
      expect(await codeOf(calibrate(model, [named(model, 'y')], none))).to.equal('E_CALIBRATION_EMPTY y');
    }
  });

  it('sees float16 and double values', async () => {
    const model = await modelOf(`g (float[N,2] x) => (float[N,2] y) {
      h = Cast <to = 10> (x)
      d = Cast <to = 11> (h)
      y = Cast <to = 1> (d)
    }`);
    const ranges = await calibrate(model, inner(model), memoryData({ x: Tensor.floats([0.5, -3], [1, 2]) }));
    expect([...ranges.values()]).to.deep.equal(Array(3).fill({ min: -3, max: 0.5 }));
  });

  it('counts histograms that do not depend on batches', async () => {
    const model = await modelOf(network);
    const relu = named(model, 'r');
    const [input] = model.graph.inputs;
    const one = await histograms(model, [relu, input!], memoryData({ x: pictures }, { batch: 1 }));
    const all = await histograms(model, [relu, input!], memoryData({ x: pictures }, { batch: 64 }));
    expect([...one]).to.deep.equal([...all]);
    const observer = new HistogramObserver('x');
    observer.observe(pictures.toFloat32());
    expect(one.get(input!)).to.deep.equal(observer.histogram());
    expect(one.get(relu)!.total).to.equal(13 * 6 * 64);
    expect(one.get(relu)!.zeros).to.be.greaterThan(0);
  });
});
