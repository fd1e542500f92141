/** `finetune` block by block: nearer to the float model, the same bytes however it comes about, and refusals. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type FinetuneReport, type FinetuneRequest, finetune } from '../../src/compile/finetune/finetune.js';
import { QuantcError } from '../../src/errors/error.js';
import { writeModel } from '../../src/onnx/write.js';
import { parseModel } from '../../src/text/parse.js';

const MODELS = join(import.meta.dirname, '../../models');
/** Room for the largest block, and not for what runs between blocks. */
const LITTLE = 8 * 2 ** 20;

describe('finetune --blocks', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-blocks-test-'));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (name: string, out: string, more: Partial<FinetuneRequest> = {}): Promise<FinetuneReport> =>
    finetune({
      model: join(MODELS, name, 'model.onnx'),
      calib: join(MODELS, name),
      out: join(folder, out, 'trained.onnx'),
      ...{ bits: 3, freeze: 'none', startFrom: 'rtn', steps: 8, rate: 5e-4, batch: 16, threads: 1 },
      blocks: { scaleSteps: 4 },
      ...more,
    });

  const filesOf = (out: string): [string, string][] =>
    readdirSync(join(folder, out)).map((name) => [
      name,
      readFileSync(join(folder, out, name)).toString('base64'),
    ]);

  it('brings a transformer nearer to itself, layer after layer and then as a whole', async () => {
    const { blockwise, heldOut, curve, weights } = await run('signal-transformer', 'whole');
    const { blocks, scales } = blockwise!;
    expect(blocks.map((each) => each.weights.length)).to.deep.equal([7, 6, 6, 1]);
    expect(weights).to.have.length(20);
    for (const { heldOut: own, taken } of blocks) expect(own.after < own.before).to.equal(taken);
    expect(blocks.filter(({ taken }) => taken)).to.have.length.greaterThan(2);
    expect(curve.map(({ step }) => step)).to.deep.equal(Array.from({ length: 4 * 8 + 4 }, (_, at) => at));
    if ('skipped' in scales) throw new Error(scales.skipped);
    // What the last block loses is what the whole does: scales begin where it ended.
    const last = blocks.at(-1)!;
    const reached = last.taken ? last.heldOut.after : last.heldOut.before;
    expect(scales.heldOut.before).to.be.closeTo(reached, 1e-4 * reached);
    expect(heldOut.after).to.equal(scales.taken ? scales.heldOut.after : reached);
    expect(heldOut.after).to.be.lessThan(0.9 * heldOut.before);
    const manifest = JSON.parse(readFileSync(join(folder, 'whole', 'trained.grids.json'), 'utf8'));
    expect(manifest.blockwise).to.deep.equal(blockwise);
    // How far off the whole was, block after block told, is what training of the whole tells.
    const all = await run('signal-transformer', 'all', { steps: 1, blocks: undefined });
    expect(heldOut.before).to.be.closeTo(all.heldOut.before, 1e-4 * heldOut.before);
  });

  it('goes on where it was stopped, in a block or among the scales, to the same bytes', async () => {
    const checkpoint = join(folder, 'run');
    for (const after of [13, 33]) {
      const controller = new AbortController();
      let steps = 0;
      const stopped = await run('signal-transformer', 'parted', {
        checkpoint,
        signal: controller.signal,
        onStep: () => {
          // What a run before has done is not done again.
          if (++steps === after - (after === 33 ? 13 : 0)) controller.abort();
        },
      }).catch((error: unknown) => error);
      expect((stopped as QuantcError).code).to.equal('E_FINETUNE_STOPPED');
    }
    expect(readdirSync(checkpoint).sort()).to.deep.equal([
      'block-1',
      'block-2',
      'block-3',
      'block-4',
      'scales',
    ]);
    await run('signal-transformer', 'parted', { checkpoint });
    expect(filesOf('parted')).to.deep.equal(filesOf('whole'));
    const other = await run('signal-transformer', 'parted', { checkpoint, seed: 2 }).catch(
      (error: unknown) => error,
    );
    expect((other as QuantcError).code).to.equal('E_TRAINING_RESUME');
  });

  it('keeps to little memory: values between blocks in files, to the same bytes; the whole is refused', async () => {
    const alone = await run('signal-transformer', 'alone', { blocks: { scaleSteps: 0 } });
    expect(alone.blockwise!.scales).to.have.property('skipped');
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('quantc-blocks-'));
    await run('signal-transformer', 'little', { blocks: { scaleSteps: 0 }, maxMemory: LITTLE });
    expect(filesOf('little')).to.deep.equal(filesOf('alone'));
    const left = readdirSync(tmpdir()).filter((name) => name.startsWith('quantc-blocks-'));
    expect(left.filter((name) => !before.includes(name))).to.deep.equal([]);
    for (const [blocks, maxMemory, hint] of [
      [undefined, LITTLE, '--blocks'],
      [{}, 2 ** 20, '--batch'],
    ] as const) {
      const refusal = await run('signal-transformer', 'no', { blocks, maxMemory }).catch(
        (error: unknown) => error,
      );
      expect((refusal as QuantcError).code).to.equal('E_FINETUNE_MEMORY');
      expect((refusal as QuantcError).hint).to.include(hint);
    }
  });

  it('starts from GPTQ, holds what is frozen there, and has layers in 8 bits that integers of 8 bits hold', async () => {
    const { weights } = await run('signal-transformer', 'kept', {
      ...{ startFrom: 'auto', freeze: 'qkv', protect: ['down:int8'], steps: 4 },
      blocks: { layers: 2, scaleSteps: 2 },
    });
    for (const { roles, frozen } of weights)
      expect(frozen, roles.join()).to.equal(roles.some((role) => ['q', 'k', 'v'].includes(role)));
    const manifest = JSON.parse(readFileSync(join(folder, 'kept', 'trained.grids.json'), 'utf8')) as {
      weights: { bits: number; low: number; high: number }[];
    };
    expect(manifest.weights.filter(({ bits }) => bits === 8)).to.have.length.greaterThan(1);
    for (const { low, high } of manifest.weights) {
      expect(low).to.be.at.least(-128);
      expect(high).to.be.at.most(127);
    }
  });

  it('trains a convolutional network, and as one block what cannot be cut', async () => {
    const shapes = await run('shapes-cnn', 'cnn', { blocks: { layers: 3, scaleSteps: 0 }, steps: 6 });
    expect(shapes.blockwise!.blocks.map((each) => each.weights.length)).to.deep.equal([3, 4, 1]);
    expect(shapes.heldOut.after).to.be.lessThan(shapes.heldOut.before);
    const path = join(folder, 'decoder.onnx');
    await writeModel(
      parseModel(`<ir_version: 10, opset_import: ["": 21]>
        g (int64[B,T] ids) => (float[B,T,16] logits)
        <float[16,8] table = ["fill": "normal:5"], float[8,16] head = ["fill": "normal:6"]> {
          x = Gather(table, ids)
          logits = MatMul(x, head)
        }`),
      path,
    );
    const out = join(folder, 'drawn', 'trained.onnx');
    const one = { model: path, out, calib: undefined, bits: 2, steps: 30, rate: 1e-3, batch: 4 };
    const { blockwise } = await run('', '', one);
    expect(blockwise!.blocks.map(({ weights }) => weights)).to.deep.equal([['head']]);
  });

  it('refuses what goes with the whole alone, and what got no better', async () => {
    const refused = async (more: Partial<FinetuneRequest>): Promise<string> => {
      const error = await run('shapes-cnn', 'no', more).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(QuantcError);
      return (error as QuantcError).code;
    };
    expect(await refused({ static: 'cpu' })).to.equal('E_FINETUNE_BLOCKS');
    expect(await refused({ augment: ['flip'] })).to.equal('E_FINETUNE_BLOCKS');
    expect(await refused({ freeze: 'top-gradient' })).to.equal('E_FINETUNE_BLOCKS');
    expect(await refused({ freeze: 'ov' })).to.equal('E_FINETUNE_FREEZE');
    // Every block is worse and left as it began: nothing is gained.
    expect(await refused({ rate: 0.5, steps: 3 })).to.equal('E_FINETUNE_WORSE');
    mkdirSync(join(folder, 'no'), { recursive: true });
    expect(readdirSync(join(folder, 'no'))).to.deep.equal([]);
  });
});
