/** Where answers are kept between compilations. */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { QuantcError } from '../errors/error.js';

/**
 * The folder that a request asks for: its own, the default where it says nothing, none for `false`.
 * @throws QuantcError E_CACHE_FOLDER when a folder that was asked for cannot be made or written to
 */
export function cacheFolder(wanted: string | false | undefined): string | undefined {
  if (wanted === false) return undefined;
  if (wanted === undefined) return defaultCacheFolder();
  const folder = resolve(wanted);
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new QuantcError('E_CACHE_FOLDER', `nothing can be kept there: ${(cause as Error).message}`, {
      kind: 'usage',
      place: { file: folder },
      hint: 'Choose another folder with --cache, or keep nothing with --no-cache.',
      cause,
    });
  }
  return folder;
}

/**
 * `node_modules/.cache/quantc` of the nearest package above a folder that has its packages installed, as build tools
 * have it; else the user's own cache folder.
 */
export function defaultCacheFolder(from = process.cwd()): string {
  for (let at = resolve(from); ; at = dirname(at)) {
    const installed = join(at, 'node_modules');
    if (existsSync(join(at, 'package.json')) && existsSync(installed))
      return join(installed, '.cache', 'quantc');
    if (at === dirname(at)) return join(userCacheFolder(), 'quantc');
  }
}

function userCacheFolder(): string {
  const { env, platform } = process;
  if (platform === 'win32') return env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches');
  return env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
}
