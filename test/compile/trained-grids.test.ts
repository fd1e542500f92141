/** Models that come with the grids they were trained on: compiled, they hold the integers and scales of the training. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packGiven, planGiven } from '../../passes/quantize-weights-nbits/given.js';
import type { Plan } from '../../passes/quantize-weights-nbits/plan.js';
import { finetune } from '../../src/compile/finetune/finetune.js';
import { type CompileRequest, compile } from '../../src/compile.js';
import { QuantcError } from '../../src/errors/error.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import type { Target } from '../../src/target/target.js';
import { resolveTargets } from '../../targets/index.js';

const MODELS = join(import.meta.dirname, '../../models');
const DATA = join(MODELS, 'signal-transformer');

describe('grids that came with a model', function () {
  this.timeout(120_000);
  let folder: string;
  let trained: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-trained-'));
    trained = join(folder, 'trained.onnx');
    await finetune({
      ...{ model: join(DATA, 'model.onnx'), calib: DATA, out: trained, bits: 3, freeze: 'none' },
      ...{ steps: 6, rate: 3e-4, batch: 8, threads: 1, protect: ['v@0'] },
    });
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const compiled = (model: string, more: Partial<CompileRequest> = {}) =>
    compile({
      ...{ model, targets: ['cpu-x64'], precision: 'int4', calib: DATA, out: join(folder, 'dist') },
      ...{ proofSamples: 4, cache: false },
      ...more,
    });

  const refused = async (work: Promise<unknown>): Promise<string> => {
    const error = await work.catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(QuantcError);
    return (error as QuantcError).code;
  };

  it('are stored as they are, so that the compiled model answers as the trained one', async () => {
    const [report] = await compiled(trained);
    for (const { sqnr } of report!.proof.outputs) expect(sqnr).to.be.greaterThan(30);
    expect(report!.notes.map(({ code }) => code)).to.include('grids');
    const kept = report!.ledger.filter(({ reason }) => reason?.startsWith('kept in 16 bits'));
    expect(kept).to.have.length(1);
    // Without its grids, weights are rounded anew.
    const alone = join(folder, 'alone.onnx');
    cpSync(trained, alone);
    const [other] = await compiled(alone, { weightMethod: 'rtn', calib: undefined });
    expect(other!.proof.outputs[0]!.sqnr).to.be.lessThan(report!.proof.outputs[0]!.sqnr!);
  });

  it('are refused where they are damaged, another model’s, or asked for without their zero points', async () => {
    expect(await refused(compiled(trained, { symmetricWeights: true }))).to.equal('E_GRIDS_SYMMETRIC');
    const foreign = join(folder, 'foreign.onnx');
    cpSync(join(DATA, 'model.onnx'), foreign);
    for (const end of ['grids.json', 'grids.npz'])
      cpSync(join(folder, `trained.${end}`), join(folder, `foreign.${end}`));
    expect(await refused(compiled(foreign))).to.equal('E_GRIDS_FOREIGN');
    const manifest = readFileSync(join(folder, 'trained.grids.json'), 'utf8');
    writeFileSync(join(folder, 'foreign.grids.json'), manifest.slice(0, -20));
    expect(await refused(compiled(foreign))).to.equal('E_GRIDS_READ');
  });

  it('are packed with the fewest bits that hold them, a scale a column in every block, or in blocks of their own', () => {
    const [target] = resolveTargets(['cpu-x64']) as [Target];
    const plan: Plan = { target, form: 'MatMulNBits', choice: { bits: 4 }, blockSize: 32 };
    const numbers = Int8Array.from({ length: 80 }, (_, at) => (at % 4) - 1 - (at % 2));
    const integers = Tensor.of('int8', [40, 2], numbers);
    const { graph } = readModel(join(DATA, 'model.onnx'));
    const node = graph.nodes().next().value!;
    const product = { node, weight: node.outputs[0]!, tensor: integers, axis: 0, turned: false } as const;
    const zeroPoint = Tensor.of('int8', [2], Int8Array.from([1, 2]));
    const grid = {
      bits: 2,
      low: -2,
      high: 2,
      axis: 1,
      scale: Tensor.floats([0.5, 0.25]),
      integers,
      zeroPoint,
    };
    const own = planGiven(plan, grid, 40)!;
    expect(own.choice.bits).to.equal(2);
    const { bytes, blockSize } = packGiven(product, grid, own);
    const blocks = Math.ceil(40 / blockSize);
    const [scales, bytesOfColumn] = [new Float32Array(bytes.scale.buffer), (blocks * blockSize) / 4];
    for (let column = 0; column < 2; column++) {
      for (let k = 0; k < 40; k++) {
        const byte = bytes.q[column * bytesOfColumn + Math.floor(k / 4)]!;
        const packed = (byte >> ((k % 4) * 2)) & 3;
        expect(packed).to.equal(numbers[k * 2 + column]! + [1, 2][column]!);
        expect(scales[column * blocks + Math.floor(k / blockSize)]).to.equal([0.5, 0.25][column]);
      }
    }
    const inBlocks = {
      ...grid,
      bits: 3,
      axis: 0,
      blockSize: 16,
      scale: Tensor.floats(new Float32Array(6), [3, 2]),
    };
    expect(planGiven(plan, inBlocks, 40)!).to.deep.include({ blockSize: 16 });
    expect(planGiven(plan, { ...inBlocks, blockSize: 20 }, 40)).to.equal(undefined);
  });
});
