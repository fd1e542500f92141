/** Models cut in blocks: where, what each computes, and what runs between them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { llama } from '../../models/make-llama.js';
import { blocksOf } from '../../src/compile/finetune/block-plan.js';
import { gridWeights } from '../../src/compile/finetune/plan.js';
import { trainableModel } from '../../src/compile/finetune/trainable.js';
import { QuantcError } from '../../src/errors/error.js';
import type { Model } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { withSession } from '../../src/runtime/session.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import { type Segment, segmentsOf } from '../../src/training/block-cuts.js';
import { blockModel } from '../../src/training/block-model.js';
import { blockStep, TEACHER } from '../../src/training/block-step.js';
import { BatchStore } from '../../src/training/block-store.js';
import type { Grid } from '../../src/training/fake-quant.js';
import { putOnGrid } from '../../src/training/fit-grid.js';
import { heldOutLoss } from '../../src/training/held-out.js';
import { rescaled, scalesAlone } from '../../src/training/scales-alone.js';

const MODELS = join(import.meta.dirname, '../../models');

const waves = (shape: readonly number[], turn = 1): Tensor =>
  Tensor.floats(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => Math.sin(turn * (at + 1))),
    shape,
  );

/** Two residual layers that share a mask made of the input's own numbers, and a head. */
const RESIDUAL = `<ir_version: 10, opset_import: ["": 21]>
  g (int64[2,3] ids) => (float[2,3,5] logits)
  <float[9,4] table = ["fill": "normal:1"], float[4,4] a = ["fill": "normal:2"], float[4,4] b = ["fill": "normal:3"],
   float[4,4] c = ["fill": "normal:4"], float[4,5] head = ["fill": "normal:5"], int64[1] last = {2}> {
    x = Gather(table, ids)
    far = Cast <to: int = 1> (ids)
    mask = Unsqueeze(far, last)
    xa = MatMul(x, a)
    ma = Mul(xa, mask)
    one = Add(x, ma)
    ob = MatMul(one, b)
    oc = MatMul(one, c)
    sum = Mul(ob, oc)
    mb = Mul(sum, mask)
    two = Add(one, mb)
    soft = Tanh(two)
    logits = MatMul(soft, head)
  }`;

async function typed(text: string): Promise<Model> {
  const model = parseModel(text);
  await inferTypes(model);
  return model;
}

const told = (segments: readonly Segment[]): string[] =>
  segments.map(({ from, to, weights }) => `${from?.name ?? ''} → ${to.name}: ${weights.join(' ')}`);

const run = (model: Model, feed: Record<string, Tensor>): Promise<Record<string, Tensor>> =>
  withSession(model, { optimization: 'off', threads: 1 }, (session) => session.run(feed));

/** The blocks one after the other. */
async function chained(
  model: Model,
  blocks: readonly Segment[],
  feed: Record<string, Tensor>,
): Promise<Tensor> {
  let at: Tensor | undefined;
  for (const segment of blocks) {
    const block = blockModel(model, segment);
    const own: Record<string, Tensor> = block.from === undefined ? {} : { [block.from]: at! };
    for (const name of block.beside) own[name] = feed[name]!;
    at = (await run(block.model, own))[block.to]!;
  }
  return at!;
}

describe('cuts of a model', function () {
  this.timeout(30_000);

  it('lie where one value carries everything; masks come in beside, and what has no weights goes along', async () => {
    const model = await typed(RESIDUAL);
    expect(told(segmentsOf(model, new Set(['a', 'b', 'c', 'head'])))).to.deep.equal([
      ' → one: a',
      'one → soft: b c',
      'soft → logits: head',
    ]);
    expect(told(segmentsOf(model, new Set(['b', 'c'])))).to.deep.equal([' → logits: b c']);
    expect(blockModel(model, segmentsOf(model, new Set(['a', 'b']))[1]!).beside).to.deep.equal(['ids']);
  });

  it('leave together what shares a weight, and whole what has other ways around', async () => {
    const shared = await typed(`<ir_version: 10, opset_import: ["": 21]>
      g (float[2,4] x) => (float[2,4] y)
      <float[4,4] a = ["fill": "normal:1"], float[4,4] b = ["fill": "normal:2"], float[4,4] c = ["fill": "normal:3"]> {
        p = MatMul(x, a)
        q = MatMul(p, b)
        r = MatMul(q, a)
        y = MatMul(r, c)
      }`);
    expect(told(segmentsOf(shared, new Set(['a', 'b', 'c'])))).to.deep.equal([' → r: a b', 'r → y: c']);
    const around = await typed(`<ir_version: 10, opset_import: ["": 21]>
      g (float[2,4] x) => (float[2,4] y)
      <float[4,4] a = ["fill": "normal:1"], float[4,4] b = ["fill": "normal:2"], float[4,4] c = ["fill": "normal:3"]> {
        p = MatMul(x, a)
        q = MatMul(p, b)
        r = MatMul(q, c)
        y = Add(r, p)
      }`);
    expect(told(segmentsOf(around, new Set(['a', 'b', 'c'])))).to.deep.equal([' → p: a', 'p → y: b c']);
    expect(told(segmentsOf(around, new Set(['b', 'c'])))).to.deep.equal([' → y: b c']);
  });

  it('come to the same as the whole, block after block', async () => {
    const decoder = await trainableModel(
      llama({
        ...{ width: 16, layers: 3, heads: 2, keyHeads: 1 },
        ...{ inner: 24, vocabulary: 20, positions: 8 },
        dtype: 'float',
      }),
      { B: 2, T: 5 },
    );
    const signals = await trainableModel(readModel(join(MODELS, 'signal-transformer', 'model.onnx')), {
      N: 2,
    });
    const shapes = await trainableModel(readModel(join(MODELS, 'shapes-cnn', 'model.onnx')), { N: 2 });
    for (const [model, wanted] of [
      [decoder, [7, 7, 7, 1]],
      [signals, [7, 6, 6, 1]],
      [shapes, [1, 1, 1, 1, 2, 1, 1]],
    ] as const) {
      const weights = gridWeights(model, { bits: 4 }).map(({ name }) => name);
      const blocks = blocksOf(model, weights, 1);
      expect(blocks.map((each) => each.weights.length)).to.deep.equal(wanted);
      const [input] = model.graph.inputs;
      const shape = input!.shape as number[];
      const value =
        input!.dtype === 'int64' ? Tensor.ints([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], shape) : waves(shape);
      const feed = { [input!.name]: value };
      const whole = (await run(model, feed))[model.graph.outputs[0]!.name]!;
      expect((await chained(model, blocks, feed)).toFloat32()).to.deep.equal(whole.toFloat32());
      expect(blocksOf(model, weights, 2)).to.have.length(
        Math.ceil((wanted.length - (wanted[0] > 1 ? 1 : 0)) / 2) + (wanted[0] > 1 ? 1 : 0),
      );
    }
  });
});

describe("a block's step", function () {
  this.timeout(30_000);

  it('asks for the answers that are given, in shares of their squares, or for those of the float block', async () => {
    const model = await typed(RESIDUAL);
    const [first, second] = segmentsOf(model, new Set(['a', 'b', 'c', 'head']));
    const ids = Tensor.ints([1, 8, 3, 0, 2, 5], [2, 3]);
    const inner = blockModel(model, second!);
    const from = waves([2, 3, 4]);
    const answer = (await run(inner.model, { [inner.from!]: from, ids }))[inner.to]!;
    const weights = [{ name: 'b', pace: {} }];
    const optimizer = { kind: 'adamw' } as const;
    const values = new Map([
      ['weight/b', [...model.graph.initializers].find(({ name }) => name === 'b')!.constant!],
    ]);
    const answers = blockStep(inner, { kind: 'answers', unit: 4 }, { weights, optimizer });
    const off = answer.toFloat32().map((each) => each + 2);
    const wrong = Tensor.floats(off, answer.shape);
    const lossOf = (feed: Record<string, Tensor>, step = answers) =>
      heldOutLoss(step, values, [feed], { threads: 1 });
    expect(await lossOf({ [inner.from!]: from, ids, [TEACHER]: answer })).to.equal(0);
    // Everywhere 2 away: a mean square of 4, which is the unit.
    expect(await lossOf({ [inner.from!]: from, ids, [TEACHER]: wrong })).to.be.closeTo(1, 1e-5);
    const taught = blockStep(inner, { kind: 'inputs', loss: { kind: 'distill' } }, { weights, optimizer });
    expect(await lossOf({ [inner.from!]: from, ids, [TEACHER]: from }, taught)).to.equal(0);
    expect(
      await lossOf({ [inner.from!]: from, ids, [TEACHER]: waves([2, 3, 4], 2) }, taught),
    ).to.be.greaterThan(0.01);
    expect(blockModel(model, first!).from).to.equal(undefined);
  });
});

describe('what runs between blocks', () => {
  it('is the same in memory and in a file, which does not stay', () => {
    for (const inMemory of [true, false]) {
      const store = new BatchStore(inMemory);
      for (const batch of [2, 0, 1]) store.put(batch, waves([3, 5], batch + 1));
      for (const batch of [0, 1, 2]) {
        expect(store.get(batch).shape).to.deep.equal([3, 5]);
        expect(store.get(batch).toFloat32()).to.deep.equal(waves([3, 5], batch + 1).toFloat32());
      }
      expect(() => store.put(3, waves([2, 5])))
        .to.throw(QuantcError)
        .with.property('code', 'E_FINETUNE_BLOCKS');
      const { folder } = store;
      expect(folder === undefined).to.equal(inMemory);
      store.remove();
      expect(folder !== undefined && existsSync(folder)).to.equal(false);
    }
  });
});

describe('scales alone', function () {
  this.timeout(30_000);

  it('give the weight that integers stand for, and keep the integers whatever scales become', async () => {
    const model = await typed(`<ir_version: 10, opset_import: ["": 21]>
      g (float[3,10] x) => (float[3,6] y) <float[10,6] w = ["fill": "normal:1"]> { y = MatMul(x, w) }`);
    const own = [...model.graph.initializers][0]!.constant!;
    const grids: Grid[] = [
      { low: -4, high: 3, scale: Tensor.floats([0.2, 0.3, 0.4, 0.5, 0.6, 0.7]), axis: 1 },
      {
        low: -4,
        high: 3,
        scale: Tensor.floats([0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        axis: 1,
        zeroPoint: Tensor.floats([-1, 0, 1, 0, 2, 0]),
      },
      // The last block of four is short.
      { low: -2, high: 1, scale: waves([3, 6]).with({}), axis: 0, blockSize: 4 },
      { low: -2, high: 1, scale: Tensor.scalar(0.4) },
    ];
    for (const raw of grids) {
      const scale = Tensor.floats(
        raw.scale.toFloat32().map((each) => Math.abs(each) + 0.1),
        raw.scale.shape,
      );
      const grid = { ...raw, scale };
      const settled = { name: 'w', weight: putOnGrid(own, grid).values, grid };
      const apart = scalesAlone(model, [settled]);
      const x = waves([3, 10]);
      const [y] = Object.values(await run(apart.model, { x }));
      const put = scalesAlone(model, []).model;
      const block = blockModel(put, { to: put.graph.outputs[0]! }, new Map([['w', settled.weight]]));
      const [wanted] = Object.values(await run(block.model, { x }));
      expect(y!.toFloat32()).to.deep.equal(wanted!.toFloat32());
      const learnt = [...apart.model.graph.initializers].find(({ name }) => name === apart.scales.get('w'))!
        .constant!;
      // Twice as far would be off the grid, were it rounded again.
      const grown = Tensor.floats(
        learnt.toFloat32().map((each) => each * 2.5),
        learnt.shape,
      );
      const after = rescaled(settled, grown);
      const factors = after.weight
        .toFloat32()
        .map((each, at) => each - 2.5 * settled.weight.toFloat32()[at]!);
      expect(Math.max(...factors.map(Math.abs))).to.be.lessThan(1e-5);
      expect([...putOnGrid(after.weight, after.grid).integers]).to.deep.equal([
        ...putOnGrid(own, grid).integers,
      ]);
    }
  });
});
