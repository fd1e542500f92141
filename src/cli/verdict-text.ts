/** What a provider takes, for people. */
import type { ProviderVerdict, RuleBreak } from '../target/verdict.js';
import { columns } from './columns.js';
import { counted } from './quantity.js';
import { colours, heading } from './terminal.js';

/** Nodes of a rule that are named before the rest is counted. */
const NAMED = 3;
/** Partitions that are listed. */
const LISTED = 8;

/** `qnn takes 120 of 121 nodes (99.2 %) in 2 partitions`, without the name of the provider. */
export function coverageText({ nodes, taken, coverage, partitions }: ProviderVerdict): string {
  const text = `takes ${taken} of ${counted(nodes, 'node')} (${percent(coverage)}) in ${counted(partitions.length, 'partition')}`;
  return taken === nodes && partitions.length <= 1 ? colours.green(text) : colours.yellow(text);
}

/** Never 100 % unless it is all. */
export function percent(share: number): string {
  const shown = share < 1 ? Math.min(99.9, Math.floor(1000 * share) / 10) : 100;
  return `${shown} %`;
}

/** Partitions, and every rule that is broken: by whom, how, where it stands and what mends it. */
export function verdictText(verdict: ProviderVerdict): string {
  const { provider, partitions, breaks } = verdict;
  const parts = [`${heading(provider)} ${coverageText(verdict)}`];
  if (partitions.length > 1) {
    const shown = partitions.slice(0, LISTED).map(({ nodes, first, last }) => {
      const range = first === last ? first : `${first} … ${last}`;
      return [`${nodes}`, range];
    });
    const more = partitions.length - shown.length;
    parts.push(
      heading('Partitions'),
      columns([...shown, ...(more > 0 ? [['', `and ${more} more`]] : [])], [0]),
    );
  }
  if (breaks.length > 0) parts.push(heading(`What ${provider} leaves`), brokenText(breaks));
  return parts.join('\n');
}

function brokenText(breaks: readonly RuleBreak[]): string {
  const rules = new Map<string, RuleBreak[]>();
  for (const each of breaks) {
    if (!rules.has(each.rule)) rules.set(each.rule, []);
    rules.get(each.rule)!.push(each);
  }
  return [...rules.values()]
    .sort((a, b) => b.length - a.length)
    .map((members) => {
      const [{ rule, source, mend }] = members as [RuleBreak];
      return [
        `  ${colours.bold(rule)}: ${counted(members.length, 'node')}`,
        ...(rule.endsWith('/operator') ? operators(members) : examples(members)),
        `    mended by: ${mend ?? 'nothing here'}`,
        `    source: ${source}`,
      ].join('\n');
    })
    .join('\n');
}

function examples(members: readonly RuleBreak[]): string[] {
  const lines = members.slice(0, NAMED).map(({ node, op, reason }) => `    ${op} ${node}: ${reason}`);
  return members.length > NAMED ? [...lines, `    and ${members.length - NAMED} more`] : lines;
}

/** Operators that there are no builders for, the most frequent first. */
function operators(members: readonly RuleBreak[]): string[] {
  const byOperator = new Map<string, string[]>();
  for (const { op, node } of members) byOperator.set(op, [...(byOperator.get(op) ?? []), node]);
  return [...byOperator]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(
      ([op, nodes]) =>
        `    no builder for ${op}: ${nodes.slice(0, NAMED).join(', ')}${nodes.length > NAMED ? `, and ${nodes.length - NAMED} more` : ''}`,
    );
}
