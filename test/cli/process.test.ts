import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { watchProgress } from '../../src/cli/progress.js';
import { type Workspace, workspace } from './workspace.js';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

/** The command in a process of its own, in pipes. */
const start = (...words: string[]): ChildProcess =>
  spawn(process.execPath, ['--import', 'tsx/esm', MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });

function ended(
  child: ChildProcess,
): Promise<{ code: number | null; signal: string | null; out: string; err: string }> {
  let [out, err] = ['', ''];
  child.stdout!.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr!.on('data', (chunk) => {
    err += String(chunk);
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, out, err }));
  });
}

describe('quantc, in a process of its own', () => {
  let at: Workspace;
  before(() => {
    at = workspace();
  });
  after(() => at.remove());

  it('prints help at once, and ends with the exit code of its failure', async () => {
    const [help, failed] = await Promise.all([
      ended(start('--help')),
      ended(start('compile', 'absent.onnx')),
    ]);
    expect([help.code, help.err]).to.deep.equal([0, '']);
    expect(help.out).to.include('Usage: quantc');
    expect([failed.code, failed.out]).to.deep.equal([2, '']);
    expect(failed.err).to.include('E_ONNX_READ');
  });

  it('compiles silently in a pipe but for its summary, and ends by itself', async () => {
    const run = await ended(start('compile', at.model, '--out', at.path('piped'), '--threads', '2'));
    expect([run.code, run.err]).to.deep.equal([0, '']);
    expect(run.out).to.include('int8-dynamic').and.not.to.include('\u001b');
  });

  it('takes its unfinished files with it when it is interrupted', async () => {
    const child = start('compile', at.model, '--out', at.path('stopped'), '--calib', at.data);
    const end = ended(child);
    while (!readdirSync(at.folder).includes('stopped') && child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill('SIGINT');
    const { code, signal } = await end;
    expect([code, signal]).to.deep.equal([null, 'SIGINT']);
    expect(readdirSync(at.folder)).not.to.include('stopped');
  });
});

describe('progress', () => {
  const drawn = async (isTTY: boolean): Promise<string> => {
    const stream = new PassThrough();
    const terminal = Object.assign(stream, {
      isTTY,
      columns: 80,
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    });
    const progress = await watchProgress(terminal as unknown as NodeJS.WriteStream, 1);
    progress.onEvent({ kind: 'stage', target: 'cpu-x64', stage: 'calibrate' });
    progress.onEvent({ kind: 'share', target: 'cpu-x64', stage: 'calibrate', share: 0.5 });
    progress.stop();
    return String(stream.read() ?? '');
  };

  it('draws on a terminal and not elsewhere', async () => {
    expect(await drawn(true)).to.include('calibrating');
    expect(await drawn(false)).to.equal('');
  });
});
