/**
 * Memory of training whole beside training block by block: decoders of equal layers, the same data and settings, each
 * training in a process of its own whose peak (resident memory, all told) is read when it ends.
 *
 *   npx tsx bench/block-memory.ts [--layers 2,4,8] [--width 384] [--steps 3] [--batch 4] [--length 32]
 *
 * Told are MiB at the peak, the seconds of a step (median), and what --max-memory takes a training for.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeLlama } from '../models/make-llama.js';
import { encodeNpy } from '../src/calibration/npy.js';
import { SeededRandom } from '../src/calibration/random.js';
import { finetune } from '../src/compile/finetune/finetune.js';
import { QuantcError } from '../src/errors/error.js';
import { Tensor } from '../src/ir/tensor.js';
import { row } from './language-models.js';

const VOCABULARY = 512;
const SAMPLES = 64;
const MODES = ['nothing', 'whole', 'blocks', 'blocks + scales'] as const;
type Mode = (typeof MODES)[number];

/** What a child tells of itself. */
interface Told {
  readonly peak: number;
  readonly step: number;
  readonly estimate: string;
}

async function child(folder: string, mode: Mode, steps: number, batch: number): Promise<void> {
  const request = {
    ...{ model: join(folder, 'llama.onnx'), calib: join(folder, 'input_ids.npy') },
    ...({
      out: join(folder, 'trained.onnx'),
      bits: 3,
      freeze: 'none',
      startFrom: 'rtn',
      rate: 1e-4,
    } as const),
    ...{ steps, batch, threads: 2 },
    ...(mode.startsWith('blocks') && { blocks: { scaleSteps: mode === 'blocks' ? 0 : steps } }),
  } as const;
  // What a limit of one byte says is the estimate.
  const refusal = await finetune({ ...request, maxMemory: 1 }).catch((error: unknown) => error);
  const estimate = refusal instanceof QuantcError ? (/about (\d+) MiB/.exec(refusal.message)?.[1] ?? '') : '';
  const times: number[] = [];
  let [at, phase] = [0, ''];
  if (mode !== 'nothing') {
    const onStep = (_: unknown, now: string): void => {
      // What lies between two steps of one phase is a step; blocks alone count, not what comes behind them.
      if (now === phase && now !== 'scales') times.push(performance.now() - at);
      [at, phase] = [performance.now(), now];
    };
    await finetune({ ...request, onStep }).catch((error: unknown) => {
      // Random weights on random text need not get better.
      if (!(error instanceof QuantcError) || error.code !== 'E_FINETUNE_WORSE') throw error;
    });
  }
  const told: Told = {
    peak: process.resourceUsage().maxRSS / 1024,
    step: (times.sort((a, b) => a - b)[times.length >> 1] ?? 0) / 1000,
    estimate,
  };
  console.log(JSON.stringify(told));
}

const WIDTHS = [8, 18, 10, 12, 12];

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      layers: { type: 'string', default: '2,4,8' },
      width: { type: 'string', default: '384' },
      steps: { type: 'string', default: '3' },
      batch: { type: 'string', default: '4' },
      length: { type: 'string', default: '32' },
    },
  });
  const [width, length] = [Number(options.width), Number(options.length)];
  console.log(row(['layers', 'training', 'peak MiB', 'estimate', 's a step'], WIDTHS));
  for (const layers of options.layers.split(',').map(Number)) {
    const folder = mkdtempSync(join(tmpdir(), 'quantc-block-memory-'));
    try {
      await makeLlama(folder, {
        ...{ width, layers, heads: 4, keyHeads: 4, inner: 3 * width, vocabulary: VOCABULARY },
        ...{ positions: 2 * length, dtype: 'float' },
      });
      const random = new SeededRandom(1);
      const tokens = Array.from({ length: SAMPLES * length }, () => random.integer(VOCABULARY));
      writeFileSync(join(folder, 'input_ids.npy'), encodeNpy(Tensor.ints(tokens, [SAMPLES, length])));
      for (const mode of MODES) {
        const { stdout, stderr, status } = spawnSync(
          process.execPath,
          [
            ...process.execArgv,
            fileURLToPath(import.meta.url),
            ...['child', folder, mode, options.steps, options.batch],
          ],
          { encoding: 'utf8' },
        );
        if (status !== 0) throw new Error(stderr);
        const { peak, step, estimate } = JSON.parse(stdout) as Told;
        console.log(
          row([layers, mode, peak.toFixed(0), estimate, step === 0 ? '' : step.toFixed(3)], WIDTHS),
        );
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'child') await child(rest[0]!, rest[1] as Mode, Number(rest[2]), Number(rest[3]));
else await main();
