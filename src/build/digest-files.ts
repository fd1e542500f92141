/** What files hold, as digests: two builds are the same when all that they read is. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { digestFile } from '../compile/file-digest.js';
import type { Computed } from './remembered.js';

/** Every file below a folder, or the one that a path names, in an order that depends on names alone. */
export function filesBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => statSync(file).isFile())
    .sort();
}

/**
 * SHA-256 over names and contents of all that data at a path may read: the folder, and what a `data.json` in it names
 * outside. An absent path is a digest, too: what reads it says what is wrong.
 */
export async function digestData(path: string): Promise<Computed<string>> {
  const hash = createHash('sha256');
  if (!existsSync(path)) return { value: hash.update('absent').digest('hex'), files: [path] };
  const folder = statSync(path).isDirectory() ? path : join(path, '..');
  const outside = named(path, folder);
  const files = [...filesBelow(path), ...outside.filter((each) => existsSync(each)).flatMap(filesBelow)];
  for (const file of files)
    hash.update(`${relative(folder, file).split(sep).join('/')}\0${await digestFile(file)}\n`);
  // A folder changes when a file comes or goes.
  const folders = [path, ...outside].flatMap(foldersBelow);
  return { value: hash.digest('hex'), files: [...new Set([...files, ...folders, ...outside])] };
}

/** A folder and every folder below it; none where there is no folder. */
export const foldersBelow = (path: string): string[] =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory()
    ? [
        path,
        ...readdirSync(path, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => join(entry.parentPath, entry.name)),
      ]
    : [];

/** What the description names beyond the folder that was walked, as far as its texts can be names: some are not there. */
function named(path: string, folder: string): string[] {
  const description = path.endsWith('.json') ? path : join(path, 'data.json');
  if (!existsSync(description)) return [];
  const inside = `${resolve(path)}${sep}`;
  return stringsIn(textOrNothing(description))
    .map((each) => resolve(folder, each))
    .filter((each) => !each.startsWith(inside) && each !== resolve(path));
}

/** A file that is no JSON names nothing; that it is none, its reader says. */
function textOrNothing(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}
