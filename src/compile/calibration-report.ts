/** What calibration saw, and on which grids values were put: as much of it as a report keeps. */
import type { Value } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Observation } from '../pipeline/pass.js';
import type { Sketch } from '../pipeline/sketch.js';
import type { CalibrationReport } from '../report/report.js';
import type { GridReach } from '../target/facts.js';

/** Histograms that a report keeps: those of the values whose layers lose most. */
const KEPT = 48;

/**
 * What calibration saw of one value, with the names that nodes have in the float model: the one that computes it, and
 * the one before, which tells the error where a kernel computes both.
 */
interface Seen {
  readonly nodes: readonly string[];
  readonly sketch: Sketch;
}

/** Keeps what calibration saw until it is known which values were quantized, and how much each loses. */
export class CalibrationRecord {
  readonly #seen = new Map<string, Seen>();

  /** Later observations of a value take the place of earlier ones. */
  add(seen: ReadonlyMap<Value, Observation>): void {
    for (const [value, { sketch }] of seen) {
      if (sketch === undefined) continue;
      const { producer } = value;
      const nodes = [producer, producer?.inputs[0]?.producer].flatMap((node) => node?.label ?? []);
      this.#seen.set(value.name, { nodes, sketch });
    }
  }

  /**
   * @param grids of the activations that were quantized, by the names of the values
   * @param ledger in which a proof noted what layers lose
   * @returns undefined where nothing was quantized that calibration saw
   */
  report(
    ranges: string,
    grids: ReadonlyMap<string, GridReach> | undefined,
    ledger: Ledger,
  ): CalibrationReport | undefined {
    const rowOf = new Map(ledger.rows.filter(({ graph }) => graph === '').map((row) => [row.node, row]));
    const found = [...(grids ?? [])].flatMap(([value, grid]) => {
      const seen = this.#seen.get(value);
      if (seen === undefined) return [];
      const rows = seen.nodes.map((node) => rowOf.get(node));
      const row = rows.find((each) => each?.sqnr !== undefined) ?? rows[0];
      const reach = { low: grid.min, high: grid.max, bits: grid.bits };
      return [{ value, ...(row && { node: row.node }), ...reach, sqnr: row?.sqnr, sketch: seen.sketch }];
    });
    if (found.length === 0) return undefined;
    const loss = (sqnr: number | undefined): number => sqnr ?? Number.POSITIVE_INFINITY;
    // Sorting keeps the order of the graph among equals.
    const worst = found.toSorted((a, b) =>
      loss(a.sqnr) < loss(b.sqnr) ? -1 : loss(a.sqnr) > loss(b.sqnr) ? 1 : 0,
    );
    return {
      ranges,
      values: found.length,
      histograms: worst.slice(0, KEPT).map(({ sqnr, ...rest }) => rest),
    };
  }
}
