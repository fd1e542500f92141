/** A training that was stopped or killed goes on as if it had not been. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { QuantcError } from '../../src/errors/error.js';
import { type TrainingResult, train } from '../../src/training/loop.js';
import { STEPS, smallStep, smallTraining } from './small.js';

const bytesOf = (result: TrainingResult): string[] =>
  [...result.trainedWeights, ...result.trainedScales].map(
    ([name, tensor]) => `${name} ${Buffer.from(tensor.bytes()).toString('hex')}`,
  );

describe('a training that goes on', function () {
  this.timeout(60_000);
  let folder: string;
  let whole: TrainingResult;
  before(async () => {
    whole = await train(await smallStep(), smallTraining());
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-training-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** Stops after so many steps. */
  async function stopped(after: number): Promise<TrainingResult> {
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => {
      if (step + 1 === after) controller.abort();
    };
    return train(await smallStep(), { ...smallTraining(folder), signal: controller.signal, onStep });
  }

  const expectWhole = (result: TrainingResult): void => {
    expect(result.curve).to.deep.equal(whole.curve);
    expect(bytesOf(result)).to.deep.equal(bytesOf(whole));
  };

  it('gives the same with checkpoints and without', async () => {
    expectWhole(await train(await smallStep(), smallTraining(folder)));
    expect(readdirSync(folder)).to.deep.equal([`step-${STEPS}`]);
  });

  it('stops when told, and goes on to the same curve and bytes, twice', async () => {
    const first = await stopped(1 + Math.floor(Math.random() * (STEPS - 2)));
    expect(first.done).to.equal(false);
    await stopped(STEPS - 1);
    expectWhole(await train(await smallStep(), smallTraining(folder)));
    // Once done, there is nothing left to do.
    expectWhole(await train(await smallStep(), smallTraining(folder)));
  });

  it('goes on from the last whole checkpoint when its process is killed', async () => {
    const script = join(import.meta.dirname, 'train-and-tell.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const last = Math.floor(Math.random() * (STEPS - 4)) + 3;
    const reached = await new Promise<number>((resolve) => {
      let seen = -1;
      child.stdout.on('data', (text: Buffer) => {
        seen = Number(text.toString().trim().split('\n').at(-1));
        if (seen >= last) child.kill('SIGKILL');
      });
      child.on('close', () => resolve(seen));
    });
    expect(reached).to.be.within(last, STEPS - 1);
    expectWhole(await train(await smallStep(), smallTraining(folder)));
  });

  it('passes over a checkpoint that is damaged, and over one half written', async () => {
    await stopped(7);
    const [name] = readdirSync(folder);
    const file = readdirSync(join(folder, name!)).find((each) => each.endsWith('.npy'))!;
    const bytes = readFileSync(join(folder, name!, file));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(folder, name!, file), bytes);
    mkdirSync(join(folder, '.staging'));
    mkdirSync(join(folder, 'step-9'));
    writeFileSync(join(folder, 'step-9', 'state.json'), '{"key": ');
    expectWhole(await train(await smallStep(), smallTraining(folder)));
    expect(readdirSync(folder)).to.deep.equal([`step-${STEPS}`]);
  });

  it('refuses the checkpoint of another training', async () => {
    await stopped(4);
    const options = smallTraining(folder);
    const other = { ...options, rate: () => 0.01 };
    const refusal = await train(await smallStep(), other).catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(QuantcError);
    expect((refusal as QuantcError).code).to.equal('E_TRAINING_RESUME');
  });
});
