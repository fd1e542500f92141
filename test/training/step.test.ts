/** A training step as one graph: what it computes, and that it learns. */
import { expect } from 'chai';
import { QuantcError } from '../../src/errors/error.js';
import { setConstant } from '../../src/ir/edit.js';
import type { Model } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import { type Grid, signedGrid } from '../../src/training/fake-quant.js';
import { TrainingSession, train } from '../../src/training/loop.js';
import type { Loss } from '../../src/training/losses.js';
import type { Optimizer } from '../../src/training/optimizer.js';
import { rateAt } from '../../src/training/schedule.js';
import { type StepOptions, type TrainingStep, trainingStep } from '../../src/training/step.js';

/** Two layers: 4 → 6 → 3. */
async function student(fill = 'normal:3'): Promise<Model> {
  const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
    g (float[5,4] x) => (float[5,3] logits)
    <float[4,6] first = ["fill": "${fill}"], float[6] bias = ["fill": "normal:8"], float[6,3] second = ["fill": "normal:4"]> {
      h = MatMul(x, first)
      b = Add(h, bias)
      r = Tanh(b)
      logits = MatMul(r, second)
    }`);
  await inferTypes(model);
  return model;
}

const x = Tensor.floats(
  Float32Array.from({ length: 20 }, (_, at) => Math.sin(3 * at + 1)),
  [5, 4],
);
const labels = Tensor.ints([0, 2, 1, 1, -1], [5]);

const everything: StepOptions['weights'] = [
  { name: 'first', pace: {} },
  { name: 'bias', pace: {} },
  { name: 'second', pace: {} },
];

const step = async (options: Partial<StepOptions> & { loss: Loss }): Promise<TrainingStep> =>
  trainingStep(await student(), {
    weights: everything,
    optimizer: { kind: 'sgd', momentum: 0 },
    ...options,
  });

/** The values of the named slots before and after some steps, and the last point. */
async function ran(given: TrainingStep, rates: readonly number[], feed: Record<string, Tensor>) {
  const session = await TrainingSession.open(given, { threads: 1 });
  try {
    const values: Record<string, Float32Array>[] = [];
    const keep = () =>
      values.push(
        Object.fromEntries(
          given.slots.map((slot) => [slot.input, Float32Array.from(session.valueOf(slot).toFloat32())]),
        ),
      );
    keep();
    const points = [];
    for (const [index, rate] of rates.entries()) {
      points.push(await session.run(index, rate, feed));
      keep();
    }
    return { values, points };
  } finally {
    await session.release();
  }
}

/** A refusal's code. */
async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    expect(error).to.be.instanceOf(QuantcError);
    return (error as QuantcError).code;
  }
  return 'nothing was thrown';
}

describe('a training step', function () {
  this.timeout(30_000);

  for (const loss of [
    { kind: 'distill', teacher: 0 },
    { kind: 'distill' },
    { kind: 'distill', teacher: 0.5, temperature: 2 },
    { kind: 'logits-mse' },
  ] as const satisfies readonly Loss[]) {
    it(`descends along the gradient of its loss: ${JSON.stringify(loss)}`, async () => {
      const teacher = await student('normal:11');
      const given = await step({ loss, teacher });
      const feed = { x, ...(given.labels && { labels }) };
      // With plain descent, w changes by −rate·g: the loss falls by rate·‖g‖², to first order.
      const { points } = await ran(given, [1e-3, 0], feed);
      const [before, then] = points as [(typeof points)[0], (typeof points)[0]];
      expect((before.loss - then.loss) / (1e-3 * before.norm ** 2)).to.be.closeTo(1, 0.02);
    });
  }

  it('counts no row without a label, and takes the mean of the others', async () => {
    const given = await step({ loss: { kind: 'distill', teacher: 0 } });
    const { points } = await ran(given, [0], { x, labels });
    const { points: same } = await ran(given, [0], { x, labels: Tensor.ints([0, 2, 1, 1, -100], [5]) });
    expect(points[0]!.loss).to.equal(same[0]!.loss);
    expect(points[0]!.loss).to.equal(points[0]!.parts['ce']);
  });

  const updates: readonly [Optimizer, (w: number, g: number, m: number, v: number, t: number) => number][] = [
    [
      { kind: 'adamw', weightDecay: 0.1 },
      (w, _, m, v, t) =>
        w * (1 - 0.01 * 0.1) - (0.01 * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8),
    ],
    [{ kind: 'sgd', momentum: 0.9, weightDecay: 0.1 }, (w, _, m) => w * (1 - 0.01 * 0.1) - 0.01 * m],
  ];
  for (const [optimizer, formula] of updates) {
    it(`updates as ${optimizer.kind} does on paper`, async () => {
      const given = await step({
        loss: { kind: 'logits-mse' },
        teacher: await student('normal:11'),
        optimizer,
      });
      const { values } = await ran(given, [0.01, 0.01, 0.01], { x });
      const adam = optimizer.kind === 'adamw';
      for (let t = 1; t <= 3; t++) {
        const [old, now] = [values[t - 1]!, values[t]!];
        const name = adam ? 'mean' : 'momentum';
        now['weight/first']!.forEach((w, at) => {
          const m = now[`state/weight/first/${name}`]![at]!;
          const before = old[`state/weight/first/${name}`]![at]!;
          const g = adam ? (m - 0.9 * before) / 0.1 : m - 0.9 * before;
          const v = adam ? now['state/weight/first/square']![at]! : 0;
          if (adam) {
            expect(v).to.be.closeTo(
              0.999 * old['state/weight/first/square']![at]! + 0.001 * g * g,
              1e-6 + 1e-3 * v,
            );
          }
          expect(w).to.be.closeTo(formula(old['weight/first']![at]!, g, m, v, t), 2e-6);
        });
      }
    });
  }

  it('clips the norm of all gradients together', async () => {
    const given = await step({
      loss: { kind: 'logits-mse' },
      teacher: await student('normal:11'),
      clipNorm: 0.1,
    });
    const { values, points } = await ran(given, [1], { x });
    expect(points[0]!.norm).to.be.greaterThan(0.1);
    const moved = Object.keys(values[0]!)
      .filter((name) => name.startsWith('weight/'))
      .flatMap((name) => [...values[1]![name]!].map((each, at) => each - values[0]![name]![at]!));
    expect(Math.hypot(...moved)).to.be.closeTo(0.1, 1e-4);
  });

  it('computes no gradient of what is frozen, and holds it at the values given', async () => {
    const loss = { kind: 'logits-mse' } as const;
    const teacher = await student('normal:11');
    const all = await step({ loss, teacher });
    const held = Tensor.floats(new Float32Array(18).fill(0.5), [6, 3]);
    const some = await step({
      loss,
      teacher,
      weights: everything.slice(0, 2),
      frozen: new Map([['second', held]]),
    });
    expect(some.model.graph.nodeCount).to.be.lessThan(all.model.graph.nodeCount);
    const inputs = some.model.graph.inputs.map(({ name }) => name);
    expect(inputs).to.not.include('weight/second');
    const second = [...some.model.graph.initializers].find(({ name }) => name === 'second');
    expect(second?.constant).to.equal(held);
  });

  const bits3 = signedGrid(3);
  const zeros = Tensor.of('int8', [6], Int8Array.of(0, 1, -1, 0, 2, 0));
  const grids: readonly (readonly [string, Grid])[] = [
    ['tensor', { ...bits3, scale: Tensor.floats([0.4], []) }],
    ['channel', { ...bits3, scale: Tensor.floats([0.3, 0.4, 0.5, 0.3, 0.4, 0.5]), axis: 1 }],
    [
      'channel with zero points',
      { ...bits3, scale: Tensor.floats(new Float32Array(6).fill(0.4)), axis: -1, zeroPoint: zeros },
    ],
    [
      'block',
      { ...bits3, scale: Tensor.floats(new Float32Array(12).fill(0.4), [2, 6]), axis: 0, blockSize: 2 },
    ],
    [
      'block with a short one',
      { ...bits3, scale: Tensor.floats(new Float32Array(12).fill(0.4), [2, 6]), axis: 0, blockSize: 3 },
    ],
  ];
  /** Which scale an element of [4, 6] has. */
  const scaleAt = ({ axis, blockSize, scale }: Grid, at: number): number =>
    blockSize
      ? Math.floor(Math.floor(at / 6) / blockSize) * 6 + (at % 6)
      : axis === undefined
        ? 0
        : scale.count === 1
          ? 0
          : at % 6;

  for (const [name, grid] of grids) {
    it(`learns weights and scales by the ${name} as LSQ has it`, async () => {
      const teacher = await student('normal:11');
      const loss = { kind: 'logits-mse' } as const;
      const plain = [...(await student()).graph.initializers].find((value) => value.name === 'first')!;
      const w = plain.constant!.toFloat32();
      const [scales, zeroPoints] = [grid.scale.toFloat32(), grid.zeroPoint?.toNumbers()];
      const terms = [...w].map((each, at) => {
        const index = scaleAt(grid, at);
        const zero = zeroPoints?.[index] ?? 0;
        const ratio = Math.fround(each / scales[index]!);
        const bounded = Math.min(Math.max(ratio, grid.low - zero), grid.high - zero);
        return { index, ratio, bounded, put: Math.round(bounded) };
      });
      // The gradient of ŵ: that of a plain weight which has the values of ŵ.
      const put = Tensor.floats(
        Float32Array.from(terms, (term) => term.put * scales[term.index]!),
        [4, 6],
      );
      const stand = await student();
      setConstant([...stand.graph.initializers].find((value) => value.name === 'first')!, put);
      const only = { loss, teacher, optimizer: { kind: 'sgd', momentum: 0 } } as const;
      const free = await ran(trainingStep(stand, { ...only, weights: [{ name: 'first', pace: {} }] }), [1], {
        x,
      });
      const difference = ({ values }: typeof free, slot: string) =>
        values[0]![slot]!.map((each, at) => each - values[1]![slot]![at]!);
      const gradient = difference(free, 'weight/first');

      const weights = [{ name: 'first', pace: {}, quantized: { grid, scales: {} } }];
      const taught = await ran(await step({ ...only, weights }), [1], { x });
      const wanted = new Float32Array(scales.length);
      const inside = (term: (typeof terms)[0]) => term.ratio === term.bounded;
      for (const [at, term] of terms.entries())
        wanted[term.index]! += gradient[at]! * (inside(term) ? term.put - term.ratio : term.bounded);
      expect(terms.some(inside) && !terms.every(inside)).to.equal(true);
      for (const [at, each] of difference(taught, 'weight/first').entries())
        expect(each).to.be.closeTo(inside(terms[at]!) ? gradient[at]! : 0, 1e-5);
      for (const [at, each] of difference(taught, 'scale/first').entries())
        expect(each).to.be.closeTo(wanted[at]!, 1e-5);
    });
  }

  it('has the slope of LSQ inside and outside of the grid', async () => {
    // y = w·1 with a teacher of zero: L = Σ ŵ²/3, so dŵ = 2ŵ/3. Grid −2 … 1, scale 0.5.
    const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
      g (float[1,1] x) => (float[1,3] y) <float[1,3] w = {0.3, -3.0, 2.0}> { y = MatMul(x, w) }`);
    const zero = parseModel(`<ir_version: 10, opset_import: ["": 21]>
      g (float[1,1] x) => (float[1,3] y) <float[1,3] w = {0.0, 0.0, 0.0}> { y = MatMul(x, w) }`);
    await inferTypes(model);
    await inferTypes(zero);
    const grid = { ...signedGrid(2), scale: Tensor.floats([0.5], []) };
    const given = trainingStep(model, {
      weights: [{ name: 'w', pace: {}, quantized: { grid, scales: {} } }],
      loss: { kind: 'logits-mse' },
      teacher: zero,
      optimizer: { kind: 'sgd', momentum: 0 },
    });
    const { values } = await ran(given, [1], { x: Tensor.floats([1], [1, 1]) });
    const moved = (name: string) => values[0]![name]!.map((each, at) => each - values[1]![name]![at]!);
    // ŵ = 0.5, −1, 0.5: w/s = 0.6 lies inside, −6 below, 4 above.
    const slopes = [1 / 3, -2 / 3, 1 / 3];
    expect(moved('weight/w')[0]).to.be.closeTo(slopes[0]!, 1e-6);
    expect([...moved('weight/w').slice(1)]).to.deep.equal([0, 0]);
    const wanted = slopes[0]! * (1 - 0.6) + slopes[1]! * -2 + slopes[2]! * 1;
    expect(moved('scale/w')[0]).to.be.closeTo(wanted, 1e-6);
  });

  it('brings a student of 3 bits nearer to its teacher, activations on a grid too', async () => {
    const teacher = await student();
    const channel = grids[1]![1];
    const given = trainingStep(teacher, {
      weights: [
        { name: 'first', pace: {}, quantized: { grid: channel, scales: { rate: 0.1, relative: true } } },
        { name: 'second', pace: {} },
      ],
      activations: [
        {
          name: 'r',
          grid: { low: -8, high: 7, scale: Tensor.scalar(0.14) },
          scales: { rate: 0.1, relative: true },
        },
      ],
      loss: { kind: 'distill' },
      teacher,
      optimizer: { kind: 'adamw' },
      clipNorm: 1,
    });
    const schedule = { rate: 0.02, steps: 60, warmup: 3 };
    const { curve, trainedWeights, trainedScales, done } = await train(given, {
      steps: 60,
      rate: (index) => rateAt(schedule, index),
      batch: () => ({ x }),
      threads: 1,
    });
    expect(done).to.equal(true);
    expect(curve.at(-1)!.loss).to.be.lessThan(0.2 * curve[0]!.loss);
    expect([...trainedWeights.keys()]).to.deep.equal(['first', 'second']);
    expect([...trainedScales.keys()]).to.deep.equal(['first', 'r']);
    expect(
      trainedScales
        .get('first')!
        .toFloat32()
        .every((each) => each > 0),
    ).to.equal(true);
  });

  it('refuses what makes no step', async () => {
    const teacher = await student();
    const loss = { kind: 'logits-mse' } as const;
    const refused = (options: Partial<StepOptions>) => codeOf(() => step({ loss, teacher, ...options }));
    expect(await refused({ weights: [] })).to.equal('E_TRAINING_WEIGHT');
    expect(await refused({ weights: [{ name: 'nowhere', pace: {} }] })).to.equal('E_TRAINING_WEIGHT');
    expect(await refused({ logits: 'nowhere' })).to.equal('E_TRAINING_VALUE');
    expect(await refused({ loss: { kind: 'distill', teacher: 2 } })).to.equal('E_TRAINING_LOSS');
    expect(await refused({ teacher: undefined })).to.equal('E_TRAINING_LOSS');
    const grid = { ...bits3, scale: Tensor.floats([1, 1]), axis: 1 };
    expect(await refused({ weights: [{ name: 'first', pace: {}, quantized: { grid } }] })).to.equal(
      'E_TRAINING_GRID',
    );
    expect(await codeOf(() => signedGrid(1))).to.equal('E_TRAINING_GRID');
  });

  it('stops where the loss is no longer a number', async () => {
    const given = await step({ loss: { kind: 'logits-mse' }, teacher: await student('normal:11') });
    const broken = Tensor.floats(new Float32Array(20).fill(Number.NaN), [5, 4]);
    expect(await codeOf(() => ran(given, [1], { x: broken }))).to.equal('E_TRAINING_DIVERGED');
  });
});
