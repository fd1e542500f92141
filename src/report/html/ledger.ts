/** The ledger as data for the page's script. Words stand once for all targets, and rows name them by their numbers. */
import type { LedgerRow } from '../../pipeline/ledger.js';
import { html, type Markup } from './markup.js';

const COLUMNS = ['node', 'operator', 'precision', 'kernel', 'dB', 'bytes before', 'bytes after', 'why'];
/** Columns that hold numbers, and not those of words. */
export const NUMBERS = [4, 5, 6];

export interface LedgerTable {
  readonly columns: readonly string[];
  readonly numbers: readonly number[];
  readonly words: readonly string[];
  /** By the id of a section; a row a list, of numbers of words or of numbers. */
  readonly rows: Readonly<Record<string, readonly (readonly (number | null)[])[]>>;
}

/** @param all ledgers by the ids of their sections */
export function ledgerTable(all: ReadonlyMap<string, readonly LedgerRow[]>): LedgerTable {
  const known = new Map<string, number>();
  const numberOf = (word: string): number => {
    const found = known.get(word) ?? known.size;
    known.set(word, found);
    return found;
  };
  const rows: Record<string, (number | null)[][]> = {};
  for (const [id, ledger] of all) rows[id] = ledger.map((row) => cells(row, numberOf));
  return { columns: COLUMNS, numbers: NUMBERS, words: [...known.keys()], rows };
}

function cells(row: LedgerRow, numberOf: (word: string) => number): (number | null)[] {
  const {
    node,
    graph,
    opType,
    precision,
    kernel,
    sqnr,
    bytesBefore,
    bytesAfter,
    reason,
    suggestion,
    plugin,
  } = row;
  return [
    numberOf(graph === '' ? node : `${graph}/${node}`),
    numberOf(opType),
    numberOf(precision),
    numberOf(kernel ?? ''),
    typeof sqnr === 'number' && Number.isFinite(sqnr) ? Number(sqnr.toPrecision(4)) : null,
    bytesBefore ?? null,
    bytesAfter ?? null,
    numberOf([plugin && `by plugin ${plugin}`, reason, suggestion?.text].filter(Boolean).join('; ')),
  ];
}

/** Where the script writes the rows of one ledger. */
export function ledgerPlace(rows: readonly LedgerRow[], id: string): Markup {
  const precisions = [...new Set(rows.map(({ precision }) => precision))];
  const buttons = precisions.map((each) => html`<button type="button" value="${each}">${each}</button>`);
  return html`<div data-ledger="${id}"><div class="search"><input type="search" placeholder="node, operator, reason …  ( / )" aria-label="search the nodes">${buttons}<button type="button" value="">all</button><span class="count" aria-live="polite"></span></div><div class="scroll" tabindex="0"><table><thead><tr></tr></thead><tbody></tbody></table></div></div>`;
}
