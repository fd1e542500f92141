import { expect } from 'chai';
import { calibrate, histograms, movingAverages } from '../../src/calibration/calibrate.js';
import { openData } from '../../src/calibration/data.js';
import { SeededRandom } from '../../src/calibration/random.js';
import { stagesOf } from '../../src/calibration/stages.js';
import { QuantcError } from '../../src/errors/error.js';
import { canonicalModel } from '../../src/explain.js';
import { valuesOf } from '../../src/ir/edit.js';
import type { Model, Value } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { tapBytes } from '../../src/runtime/tap.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import { memoryData } from './memory-data.js';

const random = new SeededRandom(5);
const normal = (shape: readonly number[]): Tensor =>
  Tensor.floats(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
    shape,
  );
async function modelOf(text: string): Promise<Model> {
  const model = parseModel(`<ir_version: 8, opset_import: ["" : 21]>\n${text}`);
  await inferTypes(model);
  return model;
}
const floats = (model: Model): Value[] =>
  [...valuesOf(model.graph)].filter((value) => !value.isConstant && value.dtype === 'float');

/** Everything that calibration tells, by the names of values. */
async function everything(...[model, values, data, options]: Parameters<typeof calibrate>) {
  const named = <T>(found: ReadonlyMap<Value, T>) => [...found].map(([{ name }, it]) => [name, it] as const);
  return {
    ranges: named(await calibrate(model, values, data, options)),
    averages: named(await movingAverages(model, values, data, 0.05, options)),
    histograms: named(await histograms(model, values, data, options)),
  };
}

describe('lanes', () => {
  /** Branches whose values stay alive long, and one that reads from inside a subgraph what was made far outside. */
  const branches = `g (float[N,3,6,6] x, bool on) => (float[N,4,6,6] y) <
    float[4,3,3,3] w = ["fill": "normal:1"], float[4,4,1,1] v = ["fill": "normal:2"], float half = {0.5}> {
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    b = Relu (a)
    c = Conv (b, v)
    s = SplitToSequence <axis = 1, keepdims = 0> (c)
    n = SequenceLength (s)
    f = Cast <to = 1> (n)
    d = Mul (c, half)
    e = If (on) <then_branch = t () => (float[N,4,6,6] p) { p = Add (a, d) },
                 else_branch = u () => (float[N,4,6,6] q) { q = Sub (b, d) }>
    h = Sigmoid (e)
    k = Div (h, f)
    y = Add (k, a)
  }`;

  it('cuts a model so that each stage holds little, computes nothing twice and gives the same bits', async () => {
    const model = await modelOf(branches);
    const values = floats(model);
    const wanted = values.filter((value) => !value.isInput);
    const stages = stagesOf(model, wanted, 2 * 4 * 36 * 4, tapBytes);
    expect(stages.length).to.be.greaterThan(3);
    const nodes = stages.flatMap((stage) => [...stage.model.graph.nodes()].map(({ opType }) => opType));
    expect(nodes.sort()).to.deep.equal([...model.graph.nodes()].map(({ opType }) => opType).sort());
    const on = Tensor.of('bool', [], Uint8Array.of(1));
    const pictures = normal([5, 1, 3, 6, 6]);
    const data = memoryData({ x: pictures }, { stacked: true });
    const fed = {
      ...data,
      count: data.count,
      batch: 1,
      rebatched: () => fed,
      async *[Symbol.asyncIterator]() {
        for await (const feeds of data) yield { ...feeds, on };
      },
    } as unknown as typeof data;
    const whole = await everything(model, values, fed, { threads: 1 });
    expect(await everything(model, values, fed, { threads: 1, maxMemory: 1200 })).to.deep.equal(whole);
    expect(await everything(model, values, fed, { threads: 1, maxMemory: 1 })).to.deep.equal(whole);
  });

  it('plans anew where the first sample shows that sizes were guessed too small', async () => {
    const model = await modelOf(`g (float[N,L] x) => (float[N,L] y) {
      a = Relu (x) b = Sigmoid (a) c = Tanh (b) y = Add (a, c) }`);
    const data = memoryData({ x: normal([6, 5000]) }, { batch: 2 });
    const whole = await everything(model, floats(model), data, { threads: 1 });
    for (const [maxMemory, told] of [
      [25_000, []],
      [10_000, [20_000]],
    ] as const) {
      const exceeded = new Set<number>();
      const onExceeded = (bytes: number) => exceeded.add(bytes);
      const tight = await everything(model, floats(model), data, { threads: 1, maxMemory, onExceeded });
      expect(tight).to.deep.equal(whole);
      expect([...exceeded]).to.deep.equal(told);
    }
  });

  it('takes outputs whose shapes change from sample to sample, with what is fed or what it holds', async () => {
    const model = await modelOf(`g (float[N] x) => (float[M] y) <float zero = {0}> {
      c = Greater (x, zero) p = Compress (x, c) y = Neg (p) z = Exp (x) }`);
    const rows = [
      [-1, 2, -3, 4],
      [1, 2, 3, 4],
      [5, -6, -7, -8],
      [9, 10, -11, 12],
      [-1, -2, -3, 0.5],
    ];
    const data = memoryData({ x: Tensor.floats(rows.flat(), [5, 4]) }, { stacked: true });
    const found = new Map((await everything(model, floats(model), data, {})).histograms);
    expect([found.get('y')!.total, found.get('y')!.min, found.get('y')!.max]).to.deep.equal([11, -12, -0.5]);
    expect(found.get('z')!.total).to.equal(20);
  });

  it('gives the same bits for any number of threads, and the error of the first sample that fails', async function () {
    this.timeout(60_000);
    const model = await canonicalModel('models/shapes-cnn/model.onnx');
    await inferTypes(model);
    const data = (await openData('models/shapes-cnn', 'calib', model.graph.inputs)).first(24);
    const values = floats(model);
    const one = await everything(model, values, data, { threads: 1 });
    expect(await everything(model, values, data.rebatched(8), { threads: 2, worthThreads: 0 })).to.deep.equal(
      one,
    );

    const root = await modelOf(
      'g (float[N,2] x) => (float[N,2] y) { s = Sqrt (x) t = Log (x) y = Add (s, t) }',
    );
    const bad = Tensor.floats(
      Array.from({ length: 40 }, (_, i) => (i > 21 ? -1 : i === 20 ? 0 : 1)),
      [20, 2],
    );
    const failing = calibrate(root, floats(root), memoryData({ x: bad }), { threads: 2, worthThreads: 0 });
    const error = await failing.catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(QuantcError);
    // The eleventh sample holds a zero, whose logarithm is infinite; those after it have no roots either.
    expect((error as QuantcError).describe()).to.match(/E_CALIBRATION_NAN.*value t/);
  });

  it('stops its threads when it is stopped', async function () {
    this.timeout(60_000);
    const model = await modelOf('g (float[N,2] x) => (float[N,2] y) { y = Exp (x) }');
    const stop = new AbortController();
    const work = histograms(model, floats(model), memoryData({ x: normal([500, 2]) }), {
      threads: 2,
      worthThreads: 0,
      signal: stop.signal,
      onProgress: (share) => share > 0.5 && stop.abort(),
    });
    const error = await work.catch((thrown: unknown) => thrown);
    expect((error as QuantcError).code).to.equal('E_CALIBRATION_ABORTED');
  });
});
