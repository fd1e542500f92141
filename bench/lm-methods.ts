/**
 * What each way of choosing integers loses on language models: divergence from the float model, perplexity and next-token
 * accuracy on held-out text, all weights of the layers (not the head, not tables) at few bits.
 *
 *   npx tsx bench/lm-methods.ts [stories260k|shakewiki-3.4m …] [--bits 4,3,2] [--block 0] [--windows 10]
 *       [--methods rtn,mse,hqq,awq,gptq,gptq-sequential,adaround]
 *
 * --block 0 is one scale and zero point a column, as executors without blocks have. Integers are simulated in float32; 3
 * bits have no kernels anywhere and would be stored as 4.
 */
import { parseArgs } from 'node:util';
import type { GridBits } from '../src/index.js';
import { heldOut, LANGUAGE_MODELS, openBench, row } from './language-models.js';
import { METHODS, made } from './lm-rounding.js';

const WIDTHS = [16, 6, 10, 12, 11, 10, 9];

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      bits: { type: 'string', default: '4,3,2' },
      block: { type: 'string', default: '0' },
      windows: { type: 'string', default: '10' },
      methods: { type: 'string', default: METHODS.join(',') },
    },
  });
  for (const name of positionals.length > 0 ? positionals : LANGUAGE_MODELS) {
    const bench = await openBench(name, { windows: Number(values.windows) });
    if (bench === undefined) {
      console.log(`${name} is not there`);
      continue;
    }
    const float = await heldOut(bench, (trials) => trials.measure(new Map(), true));
    const block = Number(values.block);
    console.log(
      `\n${name}: float perplexity ${float.perplexity!.toFixed(3)}, accuracy ${(100 * float.accuracy!).toFixed(2)} % on ${values.windows} windows; ` +
        `${block === 0 ? 'one scale a column' : `blocks of ${block}`}`,
    );
    console.log(row(['method', 'bits', 'KL', 'of mse', 'perplexity', 'accuracy', 'seconds'], WIDTHS));
    for (const bits of values.bits.split(',').map(Number) as GridBits[]) {
      let clipped = Number.NaN;
      for (const method of METHODS.filter((each) => values.methods.split(',').includes(each))) {
        const start = performance.now();
        const [on, weights] = await made(bench, method, bits, block);
        const seconds = (performance.now() - start) / 1000;
        const { noise, perplexity, accuracy } = await heldOut(on, (trials) => trials.measure(weights, true));
        if (method === 'mse') clipped = noise;
        const share = Number.isNaN(clipped) ? '' : `${((100 * noise) / clipped).toFixed(0)} %`;
        const percent = `${(100 * accuracy!).toFixed(2)} %`;
        console.log(
          row(
            [method, bits, noise.toFixed(4), share, perplexity!.toFixed(3), percent, seconds.toFixed(1)],
            WIDTHS,
          ),
        );
      }
    }
  }
}

await main();
