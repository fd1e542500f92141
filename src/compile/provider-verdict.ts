/** What the provider of a target takes of a model, as a compilation or a judgement of somebody's file asks for it. */
import { constantsToInitializers } from '../../passes/constants-to-initializers.js';
import { inlineFunctions } from '../../passes/inline-functions.js';
import { QuantcError } from '../errors/error.js';
import { cloneModel } from '../ir/clone.js';
import { removeNode, replaceAllUses } from '../ir/edit.js';
import type { Model, Node } from '../ir/graph.js';
import { readModel } from '../onnx/read.js';
import type { Ledger } from '../pipeline/ledger.js';
import { runPipeline } from '../pipeline/run.js';
import { createEngine } from '../runtime/engine.js';
import type { Target } from '../target/target.js';
import { causeOf, type ProviderVerdict, verdictOf } from '../target/verdict.js';
import { type DimSizes, specialize } from './dims.js';

/**
 * Judges a finished model, which stays as it is.
 * @param names what nodes were called before they lost their names, by their first outputs
 * @returns undefined where the target is not a provider that takes graphs whole
 */
export async function verdictFor(
  model: Model,
  { provider }: Target,
  names: ReadonlyMap<string, string> = new Map(),
): Promise<ProviderVerdict | undefined> {
  if (provider === undefined) return undefined;
  const judged = cloneModel(model).model;
  await createEngine().inferTypes(judged);
  const nameOf = (node: Node): string =>
    names.get(node.outputs.find(({ isOmitted }) => !isOmitted)?.name ?? '') ?? node.label;
  return verdictOf(judged, provider, nameOf);
}

/**
 * Judges a file as it stands, whoever made it. Functions are inlined, Constant nodes become initializers, and what does
 * nothing (Identity, Dropout) is left out, as ONNX Runtime does before it asks a provider; nothing else is changed.
 * @param dims sizes for open dimensions
 * @throws QuantcError E_EXPLAIN_PROVIDER where the target is no such provider; as `readModel` and `specialize` do
 */
export async function judgeFile(
  path: string,
  target: Target,
  dims: DimSizes,
  ledger: Ledger,
): Promise<ProviderVerdict> {
  const model = readModel(path);
  specialize(model, dims, undefined, ledger);
  const passes = [inlineFunctions, constantsToInitializers];
  await runPipeline(model, passes, { engine: createEngine(), ledger });
  dropIdle(model);
  const verdict = await verdictFor(model, target);
  if (verdict !== undefined) return verdict;
  throw new QuantcError(
    'E_EXPLAIN_PROVIDER',
    `${target.name} runs every node that it has no kernel for beside the others: there is nothing to judge`,
    {
      kind: 'usage',
      hint: 'Judge a file for a mobile target, as --target npu; `quantc targets` lists them.',
    },
  );
}

/** Identity, and Dropout outside of training, give back what they read; where a value leaves the graph they stay. */
function dropIdle(model: Model): void {
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      const idle = node.is('Identity') || (node.is('Dropout') && node.inputs[2] === undefined);
      const [input] = node.inputs;
      const [output, mask] = node.outputs;
      if (!idle || input === undefined || output === undefined || output.isOutput) continue;
      if (mask && (mask.uses.length > 0 || mask.isOutput)) continue;
      replaceAllUses(output, input);
      removeNode(node);
    }
  }
}

/** As {@link verdictFor}. @throws QuantcError E_COVERAGE as {@link coverageRefusal} says, where `strict` */
export async function verdictWithin(
  strict: boolean | undefined,
  model: Model,
  target: Target,
  names?: ReadonlyMap<string, string>,
): Promise<ProviderVerdict | undefined> {
  const verdict = await verdictFor(model, target, names);
  const refusal = strict && coverageRefusal(target, verdict);
  if (refusal) throw refusal;
  return verdict;
}

/** E_COVERAGE, of kind `proof`, where the provider leaves a node. */
export function coverageRefusal(
  target: Target,
  verdict: ProviderVerdict | undefined,
): QuantcError | undefined {
  if (verdict === undefined || verdict.taken === verdict.nodes) return undefined;
  const { provider, taken, nodes, partitions } = verdict;
  const first = causeOf(verdict);
  const mend = first?.mend === undefined ? '' : `; ${first.mend} would mend it`;
  return new QuantcError(
    'E_COVERAGE',
    `${provider} takes ${taken} of ${nodes} nodes, in ${partitions.length} partition${partitions.length === 1 ? '' : 's'}: ` +
      `${first?.rule} is broken by ${first?.node} (${first?.op}), ${first?.reason}${mend}`,
    {
      kind: 'proof',
      place: { node: first?.node },
      hint: `Nothing was written. \`quantc explain --target ${target.name}\` lists every node that is left, and its rule.`,
    },
  );
}
