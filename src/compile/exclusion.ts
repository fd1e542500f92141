/** What a user keeps out of quantization, from patterns. */
import { QuantcError } from '../errors/error.js';
import type { Model, Node } from '../ir/graph.js';
import type { Exclusion } from '../target/plan.js';

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
