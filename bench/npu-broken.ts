/**
 * Graphs that break one rule each of what mobile providers demand: what is said of each as it stands, and what becomes
 * of it when it is compiled.
 *   npx tsx bench/npu-broken.ts [--targets npu-qnn,npu-coreml] [--rules pool,resize] [--out folder]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeModel, verdictOf } from '../src/index.js';
import { createEngine } from '../src/runtime/engine.js';
import { resolveTargets } from '../targets/index.js';
import { modelOf } from '../test/npu/broken/case.js';
import { casesFor } from '../test/npu/broken/cases.js';
import { compiled, type Outcome } from '../test/npu/broken/outcome.js';

const { values: options } = parseArgs({
  options: {
    targets: { type: 'string', default: 'npu' },
    rules: { type: 'string' },
    out: { type: 'string' },
  },
});
const wanted = options.rules?.split(',');
const scratch = mkdtempSync(join(tmpdir(), 'quantc-broken-'));

function told(rule: string, { verdict, error, passes }: Outcome): string {
  if (error !== undefined) return `error ${error}`;
  const { taken, nodes, breaks } = verdict!;
  if (taken === nodes) return `mended (${[...passes].join(', ') || 'nothing changed'})`;
  const rules = [...new Set(breaks.map((each) => each.rule))];
  return rules.includes(rule) ? `refused: ${rule}` : `refused by others: ${rules.join(', ')}`;
}

try {
  for (const target of resolveTargets(options.targets.split(','))) {
    for (const { rule, broken, float } of casesFor(target)) {
      if (wanted && !wanted.some((each) => rule.includes(each))) continue;
      const model = modelOf(broken);
      if (options.out !== undefined) {
        mkdirSync(join(options.out, target.name), { recursive: true });
        writeFileSync(
          join(options.out, target.name, `${rule.replace('/', '-')}.onnx`),
          encodeModel(modelOf(broken)),
        );
      }
      await createEngine().inferTypes(model);
      const asIs = new Set(verdictOf(model, target.provider!).breaks.map((each) => each.rule));
      const after = told(rule, await compiled(broken, target, join(scratch, 'model.onnx')));
      const mend = target.provider!.rules.find(({ id }) => id === rule)?.mend ?? '-';
      const row = [
        target.name,
        `as it stands: ${[...asIs].join(' ')}`,
        `mend: ${mend}`,
        `compiled: ${after}`,
      ];
      if (float !== undefined)
        row.push(`from float: ${told(rule, await compiled(float, target, join(scratch, 'model.onnx')))}`);
      console.log(row.join(' | '));
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
