/**
 * `QUANTC_TRACE` follows the passes on stderr: 1 says what each took and how much it changed, 2 also what it changed
 * and declined, 3 also writes the graph after each pass that changed it, as numbered text files.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { PassEvent } from '../pipeline/run.js';
import { printModel } from '../text/print.js';
import { counted } from './quantity.js';

export type PassWatcher = (event: PassEvent, model: Model) => void;

const write = (text: string): void => void process.stderr.write(`${text}\n`);

/** What the environment asks for; 0 is nothing. @throws QuantcError E_CLI_TRACE when it asks for something else */
export function traceLevel(): number {
  const level = process.env['QUANTC_TRACE'] ?? '';
  if (/^[0-3]?$/.test(level)) return Number(level);
  throw new QuantcError('E_CLI_TRACE', `QUANTC_TRACE is 1, 2 or 3, not "${level}"`, { kind: 'usage' });
}

/** The watcher that the environment asks for, for the passes of one target. @throws QuantcError E_CLI_TRACE */
export function passTracer(target: string): PassWatcher | undefined {
  const level = traceLevel();
  if (level === 0) return undefined;
  const dump = level === 3 ? dumper(target) : undefined;
  // Passes of the second pipeline count on from those of the first.
  let count = 0;
  return (event, model) => {
    const { pass, plugin, milliseconds, changed, changes, declines } = event;
    const told = [
      changed && changes.length === 0 ? 'changed' : '',
      changes.length > 0 ? counted(changes.length, 'change') : '',
      declines.length > 0 ? `${declines.length} declined` : '',
    ];
    const outcome = told.filter((each) => each !== '').join(', ') || '–';
    const name = plugin === undefined ? pass : `${pass} (${plugin})`;
    write(
      `${String(count).padStart(3, '0')} ${name.padEnd(28)} ${milliseconds.toFixed(1).padStart(8)} ms  ${outcome}`,
    );
    if (level > 1) {
      for (const change of changes) write(`      + ${change}`);
      for (const decline of declines) write(`      - ${decline}`);
    }
    if (changed) dump?.(count, pass, model);
    count += 1;
  };
}

/** Writes graphs into a folder of this target's own, which is printed. Bytes of constants are not asked for. */
function dumper(target: string): (index: number, pass: string, model: Model) => void {
  const root = process.env['QUANTC_TRACE_DIR'];
  const folder = root ? join(root, target) : mkdtempSync(join(tmpdir(), `quantc-trace-${target}-`));
  mkdirSync(folder, { recursive: true });
  write(`graphs after each pass that changes them: ${folder}`);
  return (index, pass, model) => {
    const file = join(folder, `${String(index).padStart(3, '0')}-${pass}.onnxtxt`);
    writeFileSync(file, printModel(model, { digest: false }));
  };
}
