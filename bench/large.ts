/**
 * Time and memory of compiling a large model with external data, beside copying its files. Every run is a process of
 * its own, runs of all kinds take turns, and files are in the page cache.
 *
 *   npm run build && npx tsx bench/large.ts <folder> [megabytes=1024] [repeats=5]
 *
 * The folder should lie on the disk to be judged; the model is made there when it is absent and then kept.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { makeLarge } from '../models/make-large.js';

const WIDTH = 2048;

interface Run {
  readonly milliseconds: number;
  /** Peak resident memory of the process; absent for a copy. */
  readonly peak?: number;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

function timed(action: () => number | undefined): Run {
  const start = performance.now();
  const peak = action();
  return { milliseconds: performance.now() - start, peak };
}

const compile = (precision: string, model: string, output: string, threads: number): number =>
  Number(
    execFileSync(process.execPath, [
      join(import.meta.dirname, 'large-run.mjs'),
      precision,
      model,
      output,
      String(threads),
    ]),
  );

async function main(folderName: string, megabytes: number, repeats: number): Promise<void> {
  const folder = resolve(folderName);
  const path = join(folder, 'large.onnx');
  if (!existsSync(path)) {
    console.log(`making ${path}`);
    await makeLarge(folder, megabytes * 2 ** 20, WIDTH);
  }
  const files = readdirSync(folder).filter((name) => name.startsWith('large.onnx'));
  const bytes = files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  const out = join(folder, 'out');
  const threads = availableParallelism();
  const output = join(out, 'large.onnx');
  const kinds: Record<string, () => number | undefined> = {
    copy: () => void execFileSync('cp', [...files.map((name) => join(folder, name)), out]),
    canonicalize: () => compile('float', path, output, threads),
    'canonicalize, 1 thread': () => compile('float', path, output, 1),
    'int8-dynamic': () => compile('int8-dynamic', path, output, threads),
    'int8-dynamic, 1 thread': () => compile('int8-dynamic', path, output, 1),
  };
  const bare = compile('none', path, output, 1);
  const runs: Record<string, Run[]> = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
  // The first round warms the page cache and is not counted.
  for (let round = 0; round <= repeats; round++) {
    for (const [kind, action] of Object.entries(kinds)) {
      mkdirSync(out, { recursive: true });
      const run = timed(action);
      if (round > 0) runs[kind]!.push(run);
      rmSync(out, { recursive: true });
    }
  }
  const copy = median(runs['copy']!.map((run) => run.milliseconds));
  console.log(`${(bytes / 1e6).toFixed(0)} MB, ${threads} processors, median of ${repeats}`);
  console.log(`bare node: ${(bare / 2 ** 20).toFixed(0)} MiB`);
  for (const [kind, all] of Object.entries(runs)) {
    const times = all.map((run) => run.milliseconds);
    const peaks = all.flatMap((run) => run.peak ?? []);
    const memory =
      peaks.length > 0 ? `, ${((Math.max(...peaks) - bare) / 2 ** 20).toFixed(0)} MiB above node` : '';
    const ratio = (median(times) / copy).toFixed(2);
    console.log(
      `${kind.padEnd(24)} ${median(times).toFixed(0)} ms (least ${Math.min(...times).toFixed(0)}), ${ratio}× copy${memory}`,
    );
  }
}

const [folder, megabytes = '1024', repeats = '5'] = process.argv.slice(2);
if (folder === undefined) {
  console.log('usage: npx tsx bench/large.ts <folder> [megabytes=1024] [repeats=5]');
  process.exitCode = 2;
} else await main(folder, Number(megabytes), Number(repeats));
