/** What a user keeps out of quantization, from patterns. */
import { QuantcError } from '../errors/error.js';
import type { Model, Node } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Proof } from '../report/report.js';
import type { Exclusion } from '../target/plan.js';
import type { Target } from '../target/target.js';

/**
 * Nodes whose name or opType matches a pattern stay float; `*` stands for any characters.
 * @throws QuantcError E_EXCLUDE_NOTHING for a pattern that matches no node: a misspelt one would do nothing, silently.
 */
export function exclusionOf(model: Model, patterns: readonly string[]): Exclusion {
  const tests = patterns.map((pattern) => ({
    pattern,
    test: new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`, 's'),
  }));
  const takes = (test: RegExp, node: Node): boolean => test.test(node.label) || test.test(node.opType);
  const all = [...model.graphs()].flatMap((graph) => [...graph.nodes()]);
  for (const { pattern, test } of tests) {
    if (all.some((node) => takes(test, node))) continue;
    const examples = all.slice(0, 5).map((node) => node.label);
    throw new QuantcError('E_EXCLUDE_NOTHING', `the pattern "${pattern}" matches no node`, {
      kind: 'usage',
      hint: `Names are those of the canonical model, as in: ${examples.join(', ')}; \`quantc explain --all\` shows all of them.`,
    });
  }
  return (node) => {
    const found = tests.find(({ test }) => takes(test, node));
    return found && `kept float by the pattern "${found.pattern}"`;
  };
}

/**
 * The target, asked for activations of 16 bits at the nodes that match a pattern.
 * @throws QuantcError E_EXCLUDE_NOTHING for a pattern that matches no node
 */
export function widened(target: Target, model: Model, patterns: readonly string[] = []): Target {
  if (patterns.length === 0) return target;
  const wants = exclusionOf(model, patterns);
  const { wantsWide } = target.activation;
  const isWide = (node: Node): boolean | string => wantsWide?.(node) || wants(node) !== undefined;
  const activation = { ...target.activation, wantsWide: isWide };
  return { ...target, activation };
}

/**
 * Keeps nodes float whose kernel an earlier proof did not find, and notes that it does: one row of the table that the
 * executor knows better is no reason to give up the rest.
 */
export function withoutBroken(exclude: Exclusion, broken: Proof['broken'], ledger: Ledger): Exclusion {
  if (broken.length === 0) return exclude;
  const byNode = new Map(broken.map((each) => [each.node, each]));
  const [{ node, promised, found }] = broken as [Proof['broken'][number]];
  const others = broken.length > 1 ? ` and ${broken.length - 1} more` : '';
  ledger.note(
    'warning',
    'W_PROOF_BROKEN',
    `${node}${others} stay float: the executor ran ${node} as ${found || 'another kernel'}, not as ${promised}`,
  );
  return (each) => {
    const known = byNode.get(each.label);
    return known
      ? `kept float: the executor runs it as ${known.found || 'another kernel'}, not as ${known.promised}`
      : exclude(each);
  };
}
