/** What of an installation works, found out by using it, and the one line that mends what does not. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';
import { writeModel } from '../onnx/write.js';
import { engineFacts, MEND_NATIVE } from '../runtime/load.js';
import { withSession } from '../runtime/session.js';
import { webgpuNative } from '../runtime/webgpu/native.js';
import { swiftShaderMissing } from '../runtime/webgpu/packs.js';
import { parseModel } from '../text/parse.js';
import { cacheFolder } from './cache-folder.js';

/** One thing that was looked at. */
export interface Finding {
  readonly what: string;
  /** `broken` is what compiling needs and lacks; `absent` is what it can do without, slower or in part. */
  readonly state: 'works' | 'absent' | 'broken';
  readonly text: string;
  /** What to do about it. */
  readonly mend?: string;
}

/** y = x + x: each executor either does that or does nothing. */
const TWICE = `<ir_version: 10, opset_import: ["" : 21]>
twice (float[2] x) => (float[2] y)
{
  y = Add (x, x)
}`;

/** Looks at everything, in a few seconds. Throws nothing that it can tell instead. */
export async function checkup(cache?: string | false): Promise<Finding[]> {
  return [await engine(), await webgpu(), browser(), pictures(), kept(cache)];
}

async function engine(): Promise<Finding> {
  const what = 'engine';
  try {
    const { engine, version, reason } = await engineFacts();
    const y = await withSession(parseModel(TWICE), {}, async (session) =>
      (await session.run({ x: Tensor.floats([1, 2], [2]) }))['y']!.toFloat32(),
    );
    const name = `onnxruntime-${engine === 'native' ? 'node' : 'web'} ${version}`;
    if (y[1] !== 4) return { what, state: 'broken', text: `${name} adds 2 and 2 to ${y[1]}` };
    if (engine === 'native')
      return { what, state: 'works', text: `${name}, native, ${process.platform}-${process.arch}` };
    const text = `${name}, WebAssembly on one thread, slower: ${reason}`;
    // Who asked for it is not told how to be rid of it.
    return process.env['QUANTC_ENGINE'] === 'wasm'
      ? { what, state: 'works', text }
      : { what, state: 'absent', text, mend: MEND_NATIVE };
  } catch (error) {
    return told(what, 'broken', error);
  }
}

async function webgpu(): Promise<Finding> {
  const what = 'webgpu';
  const folder = mkdtempSync(join(tmpdir(), 'quantc-doctor-'));
  try {
    const file = join(folder, 'twice.onnx');
    await writeModel(parseModel(TWICE), file, {});
    const loaded = await webgpuNative.open(file, { strict: 'required', timeout: 30_000 });
    const y = (await loaded.run({ x: Tensor.floats([1, 2], [2]) }))['y']!.toFloat32();
    await loaded.release();
    if (y[1] !== 4) return { what, state: 'absent', text: `${webgpuNative.name} adds 2 and 2 to ${y[1]}` };
    return { what, state: 'works', text: webgpuNative.name };
  } catch (error) {
    return told(what, 'absent', error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function browser(): Finding {
  const what = 'browser';
  const missing = swiftShaderMissing();
  if (missing !== undefined) {
    const mend = /binaries/.test(missing)
      ? {}
      : { mend: 'npm install --save-dev @sparticuz/chromium@143.0.4' };
    return { what, state: 'absent', text: `${missing}: only needed to try models in one`, ...mend };
  }
  return { what, state: 'works', text: 'headless Chromium, with onnxruntime-web' };
}

const pictures = (): Finding =>
  installed('sharp')
    ? { what: 'pictures', state: 'works', text: 'sharp' }
    : {
        what: 'pictures',
        state: 'absent',
        text: 'sharp is not installed: PNG and JPEG are read without it, slower',
        mend: 'npm install --save-dev sharp',
      };

function kept(wanted: string | false | undefined): Finding {
  const what = 'cache';
  try {
    const folder = cacheFolder(wanted);
    if (folder === undefined) return { what, state: 'absent', text: 'nothing is kept' };
    const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
    const sizes = files.map((name) => statSync(join(folder, name), { throwIfNoEntry: false }));
    const bytes = sizes.reduce((sum, facts) => sum + (facts?.isFile() ? facts.size : 0), 0);
    return { what, state: 'works', text: `${folder}, ${(bytes / 1e6).toFixed(1)} MB` };
  } catch (error) {
    return told(what, 'broken', error);
  }
}

function told(what: string, state: Finding['state'], error: unknown): Finding {
  if (!(error instanceof QuantcError)) throw error;
  return { what, state, text: `${error.message} (${error.code})`, ...(error.hint && { mend: error.hint }) };
}

function installed(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return false;
    throw error;
  }
}
