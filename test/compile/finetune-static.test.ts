/** `finetune` with a target: a student on the grids of integer kernels, and a compiled model that answers as it does. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { augmented } from '../../src/compile/finetune/augment.js';
import { type FinetuneReport, type FinetuneRequest, finetune } from '../../src/compile/finetune/finetune.js';
import { compile } from '../../src/compile.js';
import { QuantcError } from '../../src/errors/error.js';
import { Tensor } from '../../src/ir/tensor.js';

const MODEL = join(import.meta.dirname, '../../models/shapes-cnn');

describe('finetune for static integers', function () {
  this.timeout(120_000);
  let folder: string;
  let report: FinetuneReport;
  const run = (out: string, more: Partial<FinetuneRequest> = {}): Promise<FinetuneReport> =>
    finetune({
      model: join(MODEL, 'model.onnx'),
      calib: MODEL,
      out: join(folder, out, 'trained.onnx'),
      ...{ bits: 3, static: 'cpu-x64', freeze: 'auto', steps: 8, rate: 3e-4, batch: 16, threads: 1 },
      ...{ augment: ['flip', 'shift'] as const },
      ...more,
    });
  const integers = () =>
    compile({
      model: join(folder, 'whole', 'trained.onnx'),
      targets: ['cpu-x64'],
      out: join(folder, 'out'),
      eval: MODEL,
      cache: false,
      threads: 1,
    });
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-static-'));
    report = await run('whole');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('comes nearer to the float model', () => {
    expect(report.static?.grids).to.be.greaterThan(5);
    expect(report.freeze).to.equal('none');
    expect(report.heldOut.after).to.be.lessThan(report.heldOut.before);
  });

  it('is compiled without samples to integers that answer as it does, weights stored in 4 bits', async () => {
    const [compiled] = await integers();
    expect(compiled!.precision).to.equal('int8');
    expect(compiled!.proof.status).to.equal('passed');
    expect(compiled!.proof.kernels['QLinearConv']).to.be.greaterThan(3);
    expect(compiled!.proof.outputs[0]!.sqnr).to.be.greaterThan(20);
    expect(compiled!.bytesAfter).to.be.lessThan(0.25 * compiled!.bytesBefore);
    expect(compiled!.notes.some(({ code }) => code === 'W_CALIBRATION_SYNTHETIC')).to.equal(false);
  });

  it('goes on from checkpoints to the same bytes', async () => {
    const controller = new AbortController();
    let steps = 0;
    const checkpoint = join(folder, 'run');
    const onStep = (): void => {
      if (++steps === 4) controller.abort();
    };
    const stopped = await run('parted', { checkpoint, signal: controller.signal, onStep }).catch(
      (e: unknown) => e,
    );
    expect((stopped as QuantcError).code).to.equal('E_FINETUNE_STOPPED');
    await run('parted', { checkpoint });
    for (const file of ['trained.onnx', 'trained.grids.json', 'trained.grids.npz']) {
      const [one, other] = ['whole', 'parted'].map((each) => readFileSync(join(folder, each, file)));
      expect(one!.equals(other!), file).to.equal(true);
    }
  });

  it('refuses grids that are damaged, or of another model', async () => {
    const file = join(folder, 'whole', 'trained.grids.json');
    const text = readFileSync(file, 'utf8');
    const codeOf = async (changed: string): Promise<string> => {
      writeFileSync(file, changed);
      const error = await integers().catch((thrown: unknown) => thrown);
      writeFileSync(file, text);
      return error instanceof QuantcError ? error.code : String(error);
    };
    const manifest = JSON.parse(text) as { activations: { name: string; scale: number }[] };
    const { activations } = manifest;
    const changed = (first: object) =>
      JSON.stringify({
        ...manifest,
        activations: [{ ...activations[0], ...first }, ...activations.slice(1)],
      });
    expect(await codeOf(text.slice(0, -40))).to.equal('E_GRIDS_READ');
    expect(await codeOf(changed({ scale: -1 }))).to.equal('E_GRIDS_READ');
    expect(await codeOf(changed({ name: 'nobody' }))).to.equal('E_GRIDS_FOREIGN');
  });

  it('refuses what integer kernels have no form for', async () => {
    const codeOf = async (more: Partial<FinetuneRequest>): Promise<string> =>
      ((await run('no', more).catch((thrown: unknown) => thrown)) as QuantcError).code;
    expect(await codeOf({ blockSize: 16 })).to.equal('E_FINETUNE_STATIC');
    expect(await codeOf({ startFrom: 'gptq' })).to.equal('E_FINETUNE_STATIC');
    expect(await codeOf({ bits: 1 })).to.equal('E_FINETUNE_STATIC');
    expect(await codeOf({ static: 'webgpu' })).to.equal('E_FINETUNE_TARGET');
  });

  it('moves pictures the same way every time, and no others', () => {
    const picture = Tensor.floats(
      Float32Array.from({ length: 128 }, (_, at) => at),
      [1, 2, 8, 8],
    );
    const all = [0, 1, 2, 3].map((step) =>
      augmented({ x: picture }, ['flip', 'shift'], 1, step)['x']!.toNumbers(),
    );
    const again = augmented({ x: picture }, ['flip', 'shift'], 1, 2)['x']!.toNumbers();
    expect(again).to.deep.equal(all[2]);
    expect(new Set(all.map(String)).size).to.be.greaterThan(1);
    expect(() => augmented({ x: Tensor.floats([1, 2]) }, ['flip'], 1, 0)).to.throw(QuantcError);
  });
});
