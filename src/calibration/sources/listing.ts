/** Files below a folder, in an order that depends on their names alone. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { QuantcError } from '../../errors/error.js';

/**
 * Paths of the files below a folder whose names end in one of these (lower case, with their dots), relative to it and
 * with slashes, sorted by code units. Hidden files and folders are passed over, links are followed; a file is its own
 * listing, as the path ''.
 * @throws QuantcError E_DATA_READ when it cannot be read, E_DATA_EMPTY when there is no such file
 */
export function listFiles(path: string, endings: readonly string[], what: string): string[] {
  const found: string[] = [];
  // Folders that are being walked: a link to one of them would lead round in a circle.
  const entered = new Set<string>();
  const walk = (folder: string, prefix: string): void => {
    const real = realpathSync(folder);
    if (entered.has(real)) return;
    entered.add(real);
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const at = join(folder, entry.name);
      const kind = entry.isSymbolicLink() ? statSync(at) : entry;
      if (kind.isDirectory()) walk(at, `${prefix}${entry.name}/`);
      else if (kind.isFile() && endsIn(entry.name, endings)) found.push(prefix + entry.name);
    }
    entered.delete(real);
  };
  try {
    if (statSync(path).isFile()) return [''];
    walk(path, '');
  } catch (cause) {
    throw new QuantcError('E_DATA_READ', `cannot read ${path}: ${(cause as Error).message}`, {
      place: { file: path },
      cause,
    });
  }
  if (found.length === 0) {
    throw new QuantcError('E_DATA_EMPTY', `there is no ${what} below it`, {
      place: { file: path },
      hint: `Files ending in ${endings.join(', ')} are taken.`,
    });
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

/** True when a name ends so, in whatever case. */
export const endsIn = (name: string, endings: readonly string[]): boolean =>
  endings.some((ending) => name.toLowerCase().endsWith(ending));
