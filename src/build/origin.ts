/** Says of plugins which sources they were made of. */
import { digestBytes, digestFile } from '../compile/file-digest.js';
import { setOrigin } from '../plugin/origin.js';
import type { QuantcPlugin } from '../plugin/plugin.js';

/** @param sources every file that the module with the plugins was loaded from */
export async function signOrigins(
  plugins: readonly QuantcPlugin[],
  sources: readonly string[],
): Promise<void> {
  const digest = digestBytes((await Promise.all(sources.map(digestFile))).join());
  for (const each of plugins) if (typeof each === 'object' && each !== null) setOrigin(each, digest);
}
