/** What changed from one report to another, figure by figure, for whoever reviews a change. */
import type { LedgerRow } from '../pipeline/ledger.js';
import { formatBytes, formatDecibels } from './amounts.js';
import type { Report, TargetReport } from './report.js';

/** One figure of one model and target. */
export interface Change {
  readonly what: string;
  readonly before: string;
  readonly after: string;
  /** Whether the later is worse; undefined where neither is better than the other. */
  readonly worse?: boolean;
}

/** What became of a model for a target. */
export interface TargetChange {
  readonly model: string;
  readonly target: string;
  readonly state: 'added' | 'removed' | 'changed' | 'same';
  readonly figures: readonly Change[];
  /** Nodes whose precision is another, by their names. */
  readonly nodes: readonly Change[];
}

const keyOf = ({ model, target, shape = '' }: TargetReport): string => `${model} ${target} ${shape}`;

/** In the order of the later report; what it no longer has comes last. */
export function difference(before: Report, after: Report): TargetChange[] {
  const old = new Map(before.targets.map((each) => [keyOf(each), each]));
  const now = new Set(after.targets.map(keyOf));
  const blank = { figures: [], nodes: [] };
  return [
    ...after.targets.map((report) => {
      const earlier = old.get(keyOf(report));
      const name = { model: report.model, target: titleOf(report) };
      return earlier
        ? { ...name, ...changeOf(earlier, report) }
        : { ...name, state: 'added' as const, ...blank };
    }),
    ...before.targets
      .filter((report) => !now.has(keyOf(report)))
      .map((report) => ({
        model: report.model,
        target: titleOf(report),
        state: 'removed' as const,
        ...blank,
      })),
  ];
}

export const titleOf = ({ target, shape }: TargetReport): string =>
  shape === undefined ? target : `${target}, ${shape}`;

function changeOf(before: TargetReport, after: TargetReport): Omit<TargetChange, 'model' | 'target'> {
  const figures = figuresOf(before, after).filter((each) => each.before !== each.after);
  const nodes = nodesOf(before.ledger, after.ledger);
  return { state: figures.length + nodes.length > 0 ? 'changed' : 'same', figures, nodes };
}

function figuresOf(before: TargetReport, after: TargetReport): Change[] {
  const [was, is] = [before.proof, after.proof];
  const figures: Change[] = [
    { what: 'precision', before: before.precision, after: after.precision },
    {
      what: 'size',
      before: formatBytes(before.bytesAfter),
      after: formatBytes(after.bytesAfter),
      worse: after.bytesAfter > before.bytesAfter,
    },
    { what: 'proof', before: was.status, after: is.status, worse: is.status !== 'passed' },
  ];
  if (was.evaluation && is.evaluation && was.evaluation.metric === is.evaluation.metric) {
    const { metric } = is.evaluation;
    const [then, now] = [was.evaluation.quantized, is.evaluation.quantized];
    const text = (value: number) =>
      metric === 'top1' ? `${(100 * value).toFixed(2)} %` : String(Number(value.toPrecision(4)));
    const worse = metric === 'perplexity' ? now > then : now < then;
    figures.push({ what: metric, before: text(then), after: text(now), worse });
  }
  for (const output of is.outputs) {
    const earlier = was.outputs.find(({ name }) => name === output.name);
    if (earlier === undefined) continue;
    figures.push({
      what: `output ${output.name}`,
      before: formatDecibels(earlier.sqnr),
      after: formatDecibels(output.sqnr),
      worse: (output.sqnr ?? Number.POSITIVE_INFINITY) < (earlier.sqnr ?? Number.POSITIVE_INFINITY),
    });
  }
  if (before.verdict && after.verdict) {
    const text = ({ taken, nodes, partitions }: NonNullable<TargetReport['verdict']>) =>
      `${taken} of ${nodes} nodes, ${partitions.length} partitions`;
    const worse =
      after.verdict.coverage < before.verdict.coverage ||
      after.verdict.partitions.length > before.verdict.partitions.length;
    figures.push({
      what: after.verdict.provider,
      before: text(before.verdict),
      after: text(after.verdict),
      worse,
    });
  }
  return figures;
}

function nodesOf(before: readonly LedgerRow[], after: readonly LedgerRow[]): Change[] {
  const key = ({ graph, node }: LedgerRow): string => (graph === '' ? node : `${graph}/${node}`);
  const old = new Map(before.map((row) => [key(row), row]));
  return after.flatMap((row) => {
    const earlier = old.get(key(row));
    return earlier && earlier.precision !== row.precision
      ? [{ what: key(row), before: earlier.precision, after: row.precision }]
      : [];
  });
}

/** Nodes that the text lists before it counts. */
const LISTED = 20;

/** As Markdown, for a comment on a change. */
export function differenceText(changes: readonly TargetChange[]): string {
  if (changes.every(({ state }) => state === 'same')) return 'Nothing changed.\n';
  const parts = changes
    .filter(({ state }) => state !== 'same')
    .map(({ model, target, state, figures, nodes }) => {
      const title = `### ${model} → ${target}${state === 'changed' ? '' : `: ${state}`}`;
      const rows = figures.map(
        ({ what, before, after, worse }) =>
          `| ${cell(what)} | ${cell(before)} | ${cell(after)} | ${worse ? 'worse' : ''} |`,
      );
      const table = rows.length > 0 ? ['', '| | before | after | |', '|---|---|---|---|', ...rows] : [];
      const list = nodes
        .slice(0, LISTED)
        .map(({ what, before, after }) => `- \`${what}\`: ${before} → ${after}`);
      const more = nodes.length > LISTED ? [`- and ${nodes.length - LISTED} more nodes`] : [];
      return [title, ...table, ...(list.length > 0 ? ['', ...list, ...more] : [])].join('\n');
    });
  return `${parts.join('\n\n')}\n`;
}

/** Names are whatever a model says: nothing of them ends a cell or a line. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
