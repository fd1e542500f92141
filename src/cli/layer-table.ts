/** Layers with how they lie to the float model's, and what would help them. */
import type { LedgerRow } from '../pipeline/ledger.js';
import { columns } from './columns.js';
import { formatDecibels } from './quantity.js';
import { heading } from './terminal.js';

export type LayerRow = Pick<
  LedgerRow,
  'sqnr' | 'cosine' | 'saturation' | 'rangeUse' | 'suggestion' | 'opType'
> & {
  readonly name: string;
};

/**
 * A line a layer; below, what would help them: for an error that comes in, what would help where it begins.
 * @param all every layer, whatever is shown of them
 */
export function layerTable(rows: readonly LayerRow[], all: readonly LayerRow[] = rows): string {
  const table = columns(
    [
      ['', '', 'SQNR', 'cosine', 'cut off', 'steps used'].map(heading),
      ...rows.map(({ name, opType, sqnr, cosine, saturation, rangeUse }) => [
        name,
        opType,
        formatDecibels(sqnr),
        cosine === undefined ? '' : cosine.toFixed(5),
        share(saturation),
        share(rangeUse),
      ]),
    ],
    [2, 3, 4, 5],
  );
  const helped = new Map<string, string>();
  for (const { name, suggestion } of rows) {
    const origin = suggestion?.origin;
    const own = origin === undefined ? suggestion : all.find((row) => row.name === origin)?.suggestion;
    const told = own ?? suggestion;
    if (told !== undefined) helped.set(own === undefined ? name : (origin ?? name), told.text);
  }
  return helped.size === 0 ? table : `${table}\n${heading('What would help')}\n${columns([...helped])}`;
}

const share = (x: number | undefined): string =>
  x === undefined ? '' : `${x >= 0.1 ? Math.round(x * 100) : Number((x * 100).toPrecision(2))} %`;
