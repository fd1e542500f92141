/** The ledger of a compilation, for people. */
import type { LedgerRow } from '../pipeline/ledger.js';
import { columns } from './columns.js';
import { counted } from './quantity.js';
import { heading } from './terminal.js';

/** One line for each operator, kernel and reason, the most frequent first. */
export function grouped(rows: readonly LedgerRow[]): string {
  const taken = rows.filter(({ precision }) => precision !== 'float');
  const left = rows.filter(({ precision }) => precision === 'float');
  const parts: string[] = [];
  if (taken.length > 0) {
    parts.push(heading(`Taken: ${counted(taken.length, 'node')}`));
    parts.push(tally(taken.map((row) => [row.opType, row.precision, row.kernel ?? '', gist(row.reason)])));
  }
  if (left.length > 0) {
    parts.push(heading(`Left in float: ${counted(left.length, 'node')}`));
    parts.push(tally(left.map((row) => [row.opType, gist(row.reason)])));
  }
  return parts.join('\n');
}

/** A row a node, in graph order. */
export const everyNode = (rows: readonly LedgerRow[]): string =>
  columns([
    ['node', 'operator', 'precision', 'kernel', 'reason'].map(heading),
    ...rows.map((row) => [
      row.graph === '' ? row.node : `${row.graph}/${row.node}`,
      row.opType,
      row.precision,
      row.kernel ?? '',
      row.reason ?? '',
    ]),
  ]);

/** Equal rows once, led by how many they are. */
export function tally(rows: readonly (readonly string[])[]): string {
  const groups = new Map<string, { row: readonly string[]; count: number }>();
  for (const row of rows) {
    const key = row.join('\n');
    const group = groups.get(key) ?? { row, count: 0 };
    group.count += 1;
    groups.set(key, group);
  }
  const sorted = [...groups.values()].sort((a, b) => b.count - a.count);
  return columns(
    sorted.map(({ row, count }) => [`${count}`, ...row]),
    [0],
  );
}

/** A reason without what differs from node to node. */
const gist = (reason = ''): string =>
  reason
    .replace(/^absorbed into .*/s, 'absorbed into the node before it')
    .replace(/: (?:the region|quantizing) would lose .*/s, '');
