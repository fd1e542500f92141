/**
 * What mobile providers take of real models, without data: of the file as it stands, with ONNX Runtime's own guess
 * beside it, and of what is compiled for each target.
 *   npx tsx bench/npu-verdict.ts [--models a,b] [--targets npu-qnn,npu-coreml] [--precision a8w8] [--checker]
 */
import { parseArgs } from 'node:util';
import { explain } from '../src/explain.js';
import {
  causeOf,
  type ProviderVerdict,
  QuantcError,
  suitabilityOf,
  usabilityOf,
  verdictOf,
} from '../src/index.js';
import { parsePrecision } from '../src/recipe.js';
import { resolveTargets } from '../targets/index.js';
import { usabilityLists } from '../targets/usability-lists.js';
import { constantsOf, optimized, SHARED_MODELS, sharedModel, sizesOf } from '../test/npu/shared-models.js';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string' },
    targets: { type: 'string', default: 'npu' },
    precision: { type: 'string', default: 'auto' },
    checker: { type: 'boolean', default: false },
  },
});
const wanted = options.models?.split(',');
const targets = resolveTargets(options.targets.split(','));

const share = ({ taken, nodes }: { readonly taken: number; readonly nodes: number }): string =>
  `${taken}/${nodes} ${((100 * taken) / Math.max(1, nodes)).toFixed(1)} %`;
const pieces = (verdict: ProviderVerdict): string => `${verdict.partitions.length} partition(s)`;
const firstBreak = (verdict: ProviderVerdict): string => {
  const first = causeOf(verdict);
  return first === undefined ? '' : `${first.rule}: ${first.op} ${first.node}, ${first.reason}`.slice(0, 140);
};

for (const name of SHARED_MODELS) {
  if (wanted && !wanted.some((part) => name.includes(part))) continue;
  const path = sharedModel(name);
  if (path === undefined) continue;
  const dims = await sizesOf(path);
  if (options.checker) {
    const open = await optimized(path);
    // Branches for other sizes keep some models from being loaded with sizes alone.
    const sized = Object.keys(dims).length === 0 ? open : await optimized(path, dims).catch(() => open);
    for (const list of usabilityLists) {
      const found = usabilityOf(open, list);
      const best = found.fixed ?? found.asIs;
      const row = [name, list.name, found.suitability, share({ taken: best.supported, nodes: best.nodes })];
      console.log([...row, `${best.partitions} partition(s)`, found.unsupported.join(' ')].join(' | '));
    }
    for (const { provider } of targets) {
      if (provider === undefined) continue;
      const verdict = verdictOf(sized, provider);
      const guess = suitabilityOf(verdict.coverage, verdict.partitions.length);
      console.log(
        [
          name,
          `${provider.provider} as it stands`,
          guess,
          share(verdict),
          pieces(verdict),
          firstBreak(verdict),
        ].join(' | '),
      );
    }
  }
  for (const target of targets) {
    const started = performance.now();
    let told: string[];
    try {
      const { verdict, precision } = await explain({
        model: path,
        target: target.name,
        dims,
        fix: constantsOf(path),
        precision: parsePrecision(options.precision),
      });
      told =
        verdict === undefined
          ? ['no provider']
          : [precision, share(verdict), pieces(verdict), firstBreak(verdict)];
    } catch (error) {
      if (!(error instanceof QuantcError)) throw error;
      told = [`${error.code}: ${error.message.slice(0, 120)}`];
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log([name, target.name, ...told, `${seconds} s`].join(' | '));
  }
}
