/** `finetune`: weights on their grids, nearer to the float model than rounding puts them. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openNpz } from '../../src/calibration/npy.js';
import { textsAsData } from '../../src/calibration/self-sampled.js';
import { feedsToTrain } from '../../src/compile/finetune/data.js';
import { type FinetuneReport, type FinetuneRequest, finetune } from '../../src/compile/finetune/finetune.js';
import { candidatesOf, floatsOf } from '../../src/compile/finetune/plan.js';
import { trainableModel } from '../../src/compile/finetune/trainable.js';
import { QuantcError } from '../../src/errors/error.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { parseModel } from '../../src/text/parse.js';
import { fittedGrid, putOnGrid, towards } from '../../src/training/fit-grid.js';

const MODELS = join(import.meta.dirname, '../../models');

describe('finetune', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-finetune-'));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (name: string, out: string, more: Partial<FinetuneRequest> = {}): Promise<FinetuneReport> =>
    finetune({
      model: join(MODELS, name, 'model.onnx'),
      calib: join(MODELS, name),
      out: join(folder, out, 'trained.onnx'),
      ...{ bits: 3, freeze: 'none', steps: 12, rate: 5e-4, batch: 8, threads: 1 },
      ...more,
    });

  it('brings a convolutional network nearer to itself, on grids that it tells', async () => {
    const report = await run('shapes-cnn', 'cnn');
    expect(report.heldOut.after).to.be.lessThan(0.7 * report.heldOut.before);
    expect(report.curve).to.have.length(12);
    expect(readdirSync(join(folder, 'cnn')).sort()).to.deep.equal([
      'trained.curve.svg',
      'trained.grids.json',
      'trained.grids.npz',
      'trained.onnx',
    ]);
    const { graph } = readModel(join(folder, 'cnn', 'trained.onnx'));
    // The batch stays open though training fixed it.
    expect(graph.inputs[0]!.shape).to.deep.equal(['N', 3, 32, 32]);
    const arrays = openNpz(join(folder, 'cnn', 'trained.grids.npz'));
    const { weights } = JSON.parse(readFileSync(join(folder, 'cnn', 'trained.grids.json'), 'utf8')) as {
      weights: { name: string; index: number; axis: number; low: number; high: number }[];
    };
    expect(weights).to.have.length(report.weights.length);
    for (const { name, index, axis, low, high } of weights) {
      const found = [...graph.initializers].find((value) => value.name === name)!.constant!;
      const scale = arrays.get(`${index}.scale`)!;
      const scales = scale.rows(0, scale.shape[0]!).toFloat32();
      const integers = arrays.get(`${index}.integers`)!;
      const numbers = integers.rows(0, integers.shape[0]!).toNumbers();
      const inner = found.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
      const wanted = numbers.map((each, at) =>
        Math.fround(each * scales[Math.floor(at / inner) % scales.length]!),
      );
      expect(Array.from(found.toFloat32()), name).to.deep.equal(wanted.map((each) => each + 0));
      expect(Math.max(...numbers)).to.be.at.most(high);
      expect(Math.min(...numbers)).to.be.at.least(low);
      const of = (channel: number) =>
        numbers.filter((_, at) => Math.floor(at / inner) % scales.length === channel);
      for (let channel = 0; channel < scales.length; channel++)
        expect(Math.max(...of(channel)) - Math.min(...of(channel)), name).to.be.at.most(7);
    }
  });

  it('trains a transformer in blocks, tries what to freeze, and goes on from checkpoints to the same bytes', async () => {
    const options = { freeze: 'auto', blockSize: 16, steps: 5 } as const;
    const whole = await run('signal-transformer', 'whole', options);
    expect(whole.trials.map(({ freeze }) => freeze)).to.deep.equal(['none', 'ov', 'qkv', 'top-gradient']);
    expect(whole.trials.map(({ heldOut }) => heldOut)).to.include(
      Math.min(...whole.trials.map(({ heldOut }) => heldOut)),
    );
    expect(whole.heldOut.after).to.be.lessThan(whole.heldOut.before);
    const controller = new AbortController();
    let steps = 0;
    const stopped = await run('signal-transformer', 'parted', {
      ...options,
      checkpoint: join(folder, 'run'),
      signal: controller.signal,
      onStep: () => {
        if (++steps === 7) controller.abort();
      },
    }).catch((error: unknown) => error);
    expect((stopped as QuantcError).code).to.equal('E_FINETUNE_STOPPED');
    expect(() => readdirSync(join(folder, 'parted'))).to.throw();
    const resumed = await run('signal-transformer', 'parted', {
      ...options,
      checkpoint: join(folder, 'run'),
    });
    expect(resumed).to.deep.equal(whole);
    for (const file of readdirSync(join(folder, 'whole'))) {
      const [one, other] = ['whole', 'parted'].map((each) => readFileSync(join(folder, each, file)));
      expect(one!.equals(other!), file).to.equal(true);
    }
  });

  it('holds values and outputs of attention at their grid points', async () => {
    const report = await run('signal-transformer', 'ov', { freeze: 'ov', steps: 2 });
    for (const { roles, frozen } of report.weights)
      expect(frozen).to.equal(roles.includes('o') || roles.includes('v'));
    expect(report.weights.some(({ frozen }) => frozen)).to.equal(true);
  });

  it('starts from what another method left, and holds frozen weights there', async () => {
    const name = 'signal-transformer';
    const student = await trainableModel(readModel(join(MODELS, name, 'model.onnx')), { N: 8 });
    const candidates = candidatesOf(student, { bits: 3 });
    const moved = candidates.map(({ name: weight, weight: own, grid }) => {
      const halved = own.toFloat32().map((each) => each * 0.9);
      return [weight, { values: putOnGrid(Tensor.floats(halved, own.shape), grid).values, grid }] as const;
    });
    const start = new Map(moved);
    const report = await run(name, 'start', { freeze: 'ov', steps: 2, rate: 1e-4, start });
    const { graph } = readModel(join(folder, 'start', 'trained.onnx'));
    for (const { name: weight, frozen } of report.weights) {
      if (!frozen) continue;
      const written = [...graph.initializers].find((value) => value.name === weight)!.constant!;
      expect(written.toFloat32(), weight).to.deep.equal(start.get(weight)!.values.toFloat32());
    }
  });

  it('trains a decoder without data, on texts that it draws from itself', async () => {
    const path = join(folder, 'decoder.onnx');
    const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
      g (int64[B,T] ids) => (float[B,T,16] logits)
      <float[16,8] table = ["fill": "normal:5"], float[8,16] head = ["fill": "normal:6"]> {
        x = Gather(table, ids)
        h = Tanh(x)
        logits = MatMul(h, head)
      }`);
    await writeModel(model, path);
    const out = join(folder, 'drawn', 'trained.onnx');
    const options = { bits: 2, freeze: 'none', steps: 30, rate: 1e-3, batch: 4, threads: 1 } as const;
    const report = await finetune({ model: path, out, ...options });
    expect(report.heldOut.after).to.be.lessThan(report.heldOut.before);
    expect(report.weights.map(({ name }) => name)).to.deep.equal(['head']);
  });

  it('refuses what cannot be', async () => {
    const refused = async (work: Promise<unknown>): Promise<string> => {
      const error = await work.catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(QuantcError);
      return (error as QuantcError).code;
    };
    expect(await refused(run('shapes-cnn', 'no', { freeze: 'ov' }))).to.equal('E_FINETUNE_FREEZE');
    expect(await refused(run('shapes-cnn', 'no', { batch: 100_000 }))).to.equal('E_FINETUNE_DATA');
    expect(await refused(run('shapes-cnn', 'no', { calib: undefined }))).to.equal('E_FINETUNE_DATA');
    expect(await refused(run('shapes-cnn', 'no', { bits: 17 }))).to.equal('E_TRAINING_GRID');
    expect(await refused(run('shapes-cnn', 'no', { rate: 0.3, steps: 3 }))).to.equal('E_FINETUNE_WORSE');
    mkdirSync(join(folder, 'no'), { recursive: true });
    expect(readdirSync(join(folder, 'no'))).to.deep.equal([]);
  });
});

describe('what finetuning starts from', () => {
  it('fits scales with less error than the whole range has', () => {
    const weight = Tensor.floats(
      Float32Array.from({ length: 64 }, (_, at) => (at === 5 ? 4 : Math.sin(at * 12.9898) * 0.8)),
      [16, 4],
    );
    for (const form of [
      { bits: 3, axis: 1 },
      { bits: 3, axis: 0, blockSize: 8 },
      { bits: 4, axis: 0, blockSize: 5 },
    ]) {
      const grid = fittedGrid(weight, form);
      const error = (values: Tensor) =>
        values.toFloat32().reduce((sum, each, at) => sum + (each - weight.toFloat32()[at]!) ** 2, 0);
      const whole = new Float32Array(grid.scale.count).fill(4 / grid.high);
      const plain = { ...grid, scale: Tensor.floats(whole, grid.scale.shape) };
      expect(error(putOnGrid(weight, grid).values)).to.be.lessThan(error(putOnGrid(weight, plain).values));
    }
  });

  it('begins near the float weight, where it rounds to what it was given', () => {
    const grid = {
      ...{ low: -2, high: 1, axis: 1 },
      ...{ scale: Tensor.floats([0.5, 1]), zeroPoint: Tensor.floats([-1, 0]) },
    };
    const origin = Tensor.floats([0.2, 3, -0.7, 0.6, 0.9, -2.9], [3, 2]);
    const given = putOnGrid(Tensor.floats([0.5, 1, -0.5, 0, 1, -2], [3, 2]), grid).values;
    const begun = towards(origin, given, grid);
    expect([...putOnGrid(begun, grid).values.toFloat32()]).to.deep.equal([...given.toFloat32()]);
    const shown = [...begun.toFloat32()].map((each) => Number(each.toFixed(3)));
    expect(shown).to.deep.equal([0.35, 1, -0.5, 0.3, 0.9, -2]);
  });

  it('lets gains learn along, and tables and weights of 16 bits where that is asked for', () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
      g (int64[2,3] ids) => (float[2,3,16] logits)
      <float[16,8] table = ["fill": "normal:1"], float[8] gain = ["fill": "normal:2"], float[8] shift = ["fill": "normal:3"],
       float[8,16] head = ["fill": "normal:4"], float[8] unread = ["fill": "normal:5"]> {
        x = Gather(table, ids)
        h = LayerNormalization(x, gain, shift)
        logits = MatMul(h, head)
        other = LayerNormalization(x, unread)
      }`);
    expect(floatsOf(model, model)).to.deep.equal(['gain', 'shift']);
    expect(floatsOf(model, model, new Set(['head']))).to.deep.equal(['table', 'gain', 'shift', 'head']);
  });

  it('goes through all samples each epoch, in another order, and reads those of several sets', async () => {
    const how = { ids: 'x', dtype: 'int64', words: 99, texts: 8, length: 1 } as const;
    const textsOf = (from: number) =>
      textsAsData({ tokens: Int32Array.from({ length: 8 }, (_, at) => from + at), length: 1 }, how, ['x']);
    const feeds = await feedsToTrain([textsOf(0), textsOf(50)], 2);
    expect([feeds.samples, feeds.batches, feeds.heldOutSamples]).to.deep.equal([12, 6, 4]);
    expect(feeds.heldOut.map((feed) => feed['x']!.toNumbers())).to.deep.equal([
      [6, 7],
      [56, 57],
    ]);
    const epochs: number[][] = [];
    for (const epoch of [0, 1, 2]) {
      const seen: number[] = [];
      for (let at = 0; at < 6; at++) {
        const { x } = await feeds.batchOf(1, 6 * epoch + at);
        expect(x!.shape).to.deep.equal([2, 1]);
        seen.push(...x!.toNumbers());
      }
      epochs.push(seen);
    }
    const all = [0, 1, 2, 3, 4, 5, 50, 51, 52, 53, 54, 55];
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).to.deep.equal(all);
    expect(new Set(epochs.map(String)).size).to.equal(3);
    expect((await feeds.batchOf(1, 7))['x']!.toNumbers()).to.deep.equal(epochs[1]!.slice(2, 4));
  });
});
