/**
 * Compilations that end before their time: killed at any moment, out of disk space, or with nowhere to write. What they
 * leave behind must be whole, old or new; the next one must succeed and clean up. `QUANTC_KILLS=20` tries harder.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { largeModel } from '../../models/make-large.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';

const KILLS = Number(process.env['QUANTC_KILLS'] ?? 2);
const RUN = ['--import', 'tsx', join(import.meta.dirname, 'crash-run.ts')];

/** Mounts that nobody else sees, without being root. */
const OWN_MOUNTS = ['-rm'];

function noMounts(): boolean {
  const { status } = spawnSync('unshare', [...OWN_MOUNTS, 'mount', '-t', 'tmpfs', 'none', tmpdir()]);
  if (status !== 0) console.warn('SKIPPED: no file system can be mounted here to be full');
  return status !== 0;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
  readonly milliseconds: number;
}

/** Runs a process to its end, or to its killing so long after it said that it began. */
function ended(child: ChildProcess, killAfter?: number): Promise<Ended> {
  let begun = performance.now();
  let errors = '';
  let timer: NodeJS.Timeout | undefined;
  child.stderr?.on('data', (piece) => {
    errors += piece;
  });
  child.stdout?.once('data', () => {
    begun = performance.now();
    if (killAfter !== undefined) timer = setTimeout(() => child.kill('SIGKILL'), killAfter);
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, errors, milliseconds: performance.now() - begun });
    });
  });
}

describe('compile: ended before its time', function () {
  this.timeout(300_000);
  let folder: string;
  let model: string;
  let out: string;
  let duration = 0;
  /** Digest of each output file by what made it. */
  const whole: Record<string, Record<string, string>> = {};

  const compiled = (method: string, to = out) => spawn(process.execPath, [...RUN, model, to, method]);

  /** What a user sees in the folder, by digest; the report tells times and is left out. */
  const seen = (at: string): Record<string, string> =>
    Object.fromEntries(
      readdirSync(at)
        .filter((name) => !name.startsWith('.') && !name.endsWith('.json'))
        .map((name) => [
          name,
          createHash('sha256')
            .update(readFileSync(join(at, name)))
            .digest('hex'),
        ]),
    );

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-crash-'));
    model = join(folder, 'in', 'm.onnx');
    out = join(folder, 'out');
    mkdirSync(join(folder, 'in'));
    await writeModel(largeModel(2, 256), model, { externalData: 'always' });
    for (const method of ['rtn', 'mse']) {
      const { code, errors, milliseconds } = await ended(compiled(method));
      expect(code, errors).to.equal(0);
      duration = milliseconds;
      whole[method] = seen(out);
    }
    expect(Object.keys(whole['rtn']!)).to.have.length.above(2);
    expect(whole['rtn']).to.not.deep.equal(whole['mse']);
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Every model that stands there is one that was written whole, with its own data. */
  function expectWhole(): void {
    const now = seen(out);
    for (const name of Object.keys(now).filter((each) => each.endsWith('.onnx'))) {
      // With all weights outside, models of two makers may be the same bytes: their data tell them apart.
      const maker = Object.values(whole).find((files) =>
        Object.entries(files).every(([file, digest]) => now[file] === digest),
      );
      expect(maker, `${name} stands beside data of another`).to.not.equal(undefined);
      readModel(join(out, name));
    }
  }

  it('killed at any moment, leaves what was there or what it made, and the next one cleans up', async () => {
    let killed = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      // Spread over the whole run, with the end, where files change places, as likely as any other part.
      const moment = duration * ((kill + Math.random()) / KILLS);
      const { signal } = await ended(compiled(kill % 2 === 0 ? 'mse' : 'rtn'), moment);
      if (signal === 'SIGKILL') killed += 1;
      expectWhole();
    }
    expect(killed, 'none was caught while it ran').to.be.above(0);
    expect((await ended(compiled('mse'))).code).to.equal(0);
    expect(seen(out)).to.deep.equal(whole['mse']);
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).to.deep.equal([]);
  });

  it('on a full disk, says so and leaves what was there', async function () {
    if (process.platform === 'win32') this.skip();
    const before = seen(out);
    // A limit on the size of files stands for the disk's: writes beyond it fail in the same places.
    const limited = `trap '' XFSZ; ulimit -f 400; exec "$0" "$@"`;
    const child = spawn('bash', ['-c', limited, process.execPath, ...RUN, model, out, 'rtn']);
    const { code, errors } = await ended(child);
    expect(code).to.equal(2);
    expect(JSON.parse(errors).code).to.match(/^E_(ONNX|TENSOR)_WRITE$/);
    expect(seen(out)).to.deep.equal(before);
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).to.deep.equal([]);
    expect((await ended(compiled('rtn'))).code).to.equal(0);
    expect(seen(out)).to.deep.equal(whole['rtn']);
  });

  /** A compilation into a file system that it has for itself; `left` is what lies there afterwards. */
  async function within(mount: string) {
    const place = join(folder, 'disk');
    mkdirSync(place, { recursive: true });
    const script = `${mount} || exit 99; at=$1; shift; "$0" "$@"; code=$?; ls -A "$at" >&3; exit $code`;
    const args = [...OWN_MOUNTS, 'bash', '-c', script, process.execPath, place, ...RUN, model, place, 'rtn'];
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    let left = '';
    child.stdio[3]!.on('data', (piece) => {
      left += piece;
    });
    const end = await ended(child);
    return { ...end, left: left.split('\n').filter((name) => name !== '') };
  }

  it('on a file system that is full, says so and leaves nothing, wherever it happened', async function () {
    if (noMounts()) return this.skip();
    const names = Object.keys(whole['rtn']!);
    const total = names.reduce((sum, name) => sum + statSync(join(out, name)).size, 0);
    let ran = 0;
    // About 1, it is full when the report is written, or not at all.
    for (const share of KILLS > 2 ? [0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 1, 1.05, 2] : [0.5, 1]) {
      const kilobytes = Math.ceil((total * share) / 4096) * 4;
      const { code, errors, left } = await within(`mount -t tmpfs -o size=${kilobytes}k none "$1"`);
      if (code === 0) {
        ran += 1;
        expect(left).to.include.members(names);
        continue;
      }
      expect(code, errors).to.equal(2);
      expect(JSON.parse(errors).code, errors).to.match(/^E_(ONNX_WRITE|TENSOR_WRITE|OUT_FOLDER)$/);
      expect(left).to.deep.equal([]);
    }
    if (KILLS > 2) expect(ran, 'room for all was not enough').to.be.above(0);
  });

  it('where nothing may be written, says so', async function () {
    if (noMounts()) return this.skip();
    const mount = 'mount -t tmpfs -o size=4k none "$1" && mount -o remount,ro "$1"';
    const { code, errors, left } = await within(mount);
    expect(code, errors).to.equal(2);
    expect(JSON.parse(errors)).to.include({ code: 'E_OUT_FOLDER', kind: 'usage' });
    expect(left).to.deep.equal([]);
  });

  it('with a file where the folder should be, says so and makes nothing', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, 'x');
    const { code, errors } = await ended(compiled('rtn', join(file, 'out')));
    expect(code).to.equal(2);
    expect(JSON.parse(errors).code).to.equal('E_OUT_FOLDER');
    expect(readFileSync(file, 'utf8')).to.equal('x');
    expect(existsSync(join(folder, 'file', 'out'))).to.equal(false);
  });
});
