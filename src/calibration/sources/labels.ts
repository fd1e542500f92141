/** The class of each sample: from an array, from a list of names, or from the folders that the samples lie in. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { QuantcError } from '../../errors/error.js';
import { dtypeFacts } from '../../ir/dtype.js';
import { elementCount } from '../../ir/type.js';
import type { LabelEntry } from '../manifest.js';
import { openNpy } from '../npy.js';
import type { RowSource } from '../rows.js';

/** What labels are read for. */
export interface Labelled {
  /** Folder that files are named relative to. */
  readonly root: string;
  readonly count: number;
  /** The source whose samples have files of their own, where there is one. */
  readonly rows: RowSource | undefined;
}

/**
 * Integer labels, one a sample.
 * - an .npy of integers; a .txt or .csv with a label a line, or with a file's name before it; a .json with a list, or
 *   with an object from file names to labels;
 * - `{ "folders": … }`: the place of the sample's folder among the sorted ones, or in the list.
 *
 * @throws QuantcError E_DATA_LABELS, E_DATA_READ, E_NPY_*
 */
export function readLabels(entry: LabelEntry, to: Labelled): Int32Array {
  if (typeof entry !== 'string') return fromFolders(entry.folders, to);
  const path = resolve(to.root, entry);
  const lower = path.toLowerCase();
  if (lower.endsWith('.json')) return fromJson(path, to);
  if (lower.endsWith('.txt') || lower.endsWith('.csv')) return fromLines(path, to);
  const array = openNpy(path);
  const { kind } = dtypeFacts(array.dtype);
  if (
    elementCount(array.shape) !== to.count ||
    array.shape[0] !== to.count ||
    (kind !== 'int' && kind !== 'uint')
  ) {
    throw wrong(path, `labels are ${array.dtype}[${array.shape}] for ${to.count} samples`);
  }
  return Int32Array.from(array.rows(0, to.count).toNumbers());
}

const wrong = (file: string, why: string, hint = 'Labels are integers, one a sample.'): QuantcError =>
  new QuantcError('E_DATA_LABELS', why, { place: { file }, hint });

const isLabel = (x: unknown): x is number => Number.isInteger(x) && Math.abs(x as number) < 2 ** 31;

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new QuantcError('E_DATA_READ', `cannot read ${file}`, { place: { file }, cause });
  }
}

function fromJson(file: string, to: Labelled): Int32Array {
  let json: unknown;
  try {
    json = JSON.parse(read(file));
  } catch (cause) {
    if (cause instanceof QuantcError) throw cause;
    throw wrong(file, `not JSON: ${(cause as Error).message}`);
  }
  if (Array.isArray(json)) return inOrder(json, file, to);
  if (json === null || typeof json !== 'object') throw wrong(file, 'neither a list nor an object of labels');
  return byName(new Map(Object.entries(json)), file, to);
}

function fromLines(file: string, to: Labelled): Int32Array {
  const lines = read(file)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => /^(?:(.*?)[\s,]+)?(-?\d+)\s*$/.exec(line.trim()) ?? [line, undefined, undefined]);
  const strange = lines.find(([, , label]) => label === undefined)?.[0];
  if (strange !== undefined) throw wrong(file, `"${strange.slice(0, 60)}" ends in no label`);
  const labels = lines.map(([, , label]) => Number(label));
  if (lines.every(([, name]) => name === undefined)) return inOrder(labels, file, to);
  return byName(new Map(lines.map(([, name = ''], i) => [name, labels[i]!])), file, to);
}

function inOrder(labels: readonly unknown[], file: string, { count }: Labelled): Int32Array {
  if (labels.length !== count || !labels.every(isLabel))
    throw wrong(file, `${labels.length} labels for ${count} samples`);
  return Int32Array.from(labels);
}

function byName(labels: ReadonlyMap<string, unknown>, file: string, { rows, count }: Labelled): Int32Array {
  if (rows?.fileOf === undefined) throw wrong(file, 'labels go by file names, but samples have none');
  return Int32Array.from({ length: count }, (_, row) => {
    const name = rows.fileOf!(row);
    // The name alone is enough, where it is listed without its folder.
    const label = labels.get(name) ?? labels.get(name.slice(name.lastIndexOf('/') + 1));
    if (!isLabel(label)) throw wrong(file, `it has no label for ${name}`);
    return label;
  });
}

function fromFolders(classes: 'sorted' | readonly string[], { root, rows, count }: Labelled): Int32Array {
  const file = rows?.file ?? root;
  if (rows?.fileOf === undefined) throw wrong(file, 'labels go by folders, but samples lie in none');
  const folders = Array.from({ length: count }, (_, row) => {
    const name = rows.fileOf!(row);
    if (!name.includes('/')) throw wrong(file, `${name} lies in no sub-folder`, 'A folder for each class.');
    return name.slice(0, name.indexOf('/'));
  });
  const known = classes === 'sorted' ? [...new Set(folders)].sort((a, b) => (a < b ? -1 : 1)) : classes;
  const numbers = new Map(known.map((name, i) => [name, i]));
  return Int32Array.from(folders, (folder) => {
    const label = numbers.get(folder);
    if (label === undefined)
      throw wrong(file, `the folder "${folder}" is none of the classes ${known.join(', ')}`);
    return label;
  });
}
