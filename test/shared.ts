/**
 * Where the models and the operator suite lie that several projects share. They are too large to ship here, so a
 * test that needs them asks for a path and skips loudly when there is none.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const told = new Set<string>();

/**
 * Path of something in the shared folder: `QUANTC_SHARED` where set, else `../shared` beside the checkout.
 * Answers `undefined`, and says so once on the console, when it is absent.
 */
export function sharedPath(...parts: string[]): string | undefined {
  const root = process.env['QUANTC_SHARED'] ?? resolve(import.meta.dirname, '..', '..', 'shared');
  const path = join(root, ...parts);
  if (existsSync(path)) return path;
  if (!told.has(path)) {
    told.add(path);
    console.warn(
      `SKIPPED: ${parts.join('/') || 'the shared folder'} is absent; set QUANTC_SHARED to test it`,
    );
  }
  return undefined;
}
