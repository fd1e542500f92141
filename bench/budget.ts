/**
 * A budget search on a hard model, against both uniform choices: all integers and all float. The first run searches, the
 * second is to come from the cache.
 *   npx tsx bench/budget.ts [--model yolox-nano] [--budget 'sqnr>=12dB and latency<=1x and size<=0.35x'] [--cache folder]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { figureText } from '../src/compile/budget/figures.js';
import { compile } from '../src/compile.js';
import { QuantcError } from '../src/index.js';
import { sharedPath } from '../test/shared.js';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'yolox-nano' },
    budget: { type: 'string', default: 'sqnr>=12dB and latency<=1x and size<=0.35x' },
    cache: { type: 'string' },
  },
});
const folder = sharedPath('models', options.model);
if (folder === undefined) process.exit(0);
const root = mkdtempSync(join(tmpdir(), 'quantc-budget-'));
try {
  for (const run of ['first', 'second']) {
    const start = performance.now();
    let mixes = 0;
    const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s, ${mixes} mixes compiled`;
    try {
      const [report] = await compile({
        model: join(folder, 'model.onnx'),
        calib: folder,
        eval: folder,
        budget: [options.budget],
        out: join(root, run),
        cache: options.cache ?? join(root, 'cache'),
        onEvent: ({ kind }) => {
          if (kind === 'attempt') mixes += 1;
        },
      });
      console.log(`${run} run: ${seconds()}`);
      const { mix, budget } = report!;
      for (const { point, figures } of budget!.tried) {
        const { integerNodes } = mix!.front[point]!;
        const mark = point === mix!.chosen ? '→' : ' ';
        console.log(`  ${mark} ${integerNodes} nodes in integers: ${figures.map(figureText).join('; ')}`);
      }
    } catch (error) {
      if (!(error instanceof QuantcError)) throw error;
      console.log(`${run} run: ${seconds()}\n${error.describe()}`);
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
