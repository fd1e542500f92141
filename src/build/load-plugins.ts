/** Plugins of the command line: modules of the user's own, which are run. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { defaultCacheFolder } from '../compile/cache-folder.js';
import { QuantcError } from '../errors/error.js';
import type { QuantcPlugin } from '../plugin/plugin.js';
import { signOrigins } from './origin.js';
import { runModule } from './run-module.js';

/**
 * Loads modules whose default export is a plugin or a list of them, in order. What is in them is checked where they
 * are plugged in.
 * @throws QuantcError E_PLUGIN_LOAD where a file is absent, throws, or has no default export
 */
export async function loadPlugins(paths: readonly string[]): Promise<QuantcPlugin[]> {
  const plugins: QuantcPlugin[] = [];
  for (const path of paths) {
    const file = resolve(path);
    if (!existsSync(file)) throw refused(file, `there is no ${path}`);
    const { exported, loaded } = await runModule(file, defaultCacheFolder(dirname(file))).catch((cause) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw refused(file, `it cannot be loaded: ${why}`, cause);
    });
    const given: unknown[] = Array.isArray(exported) ? exported : [exported];
    for (const each of given)
      if (typeof each !== 'object' || each === null || Object.keys(each).length === 0)
        throw refused(file, 'it exports no plugin');
    await signOrigins(given as QuantcPlugin[], [...new Set([file, ...loaded])].sort());
    plugins.push(...(given as QuantcPlugin[]));
  }
  return plugins;
}

const refused = (file: string, message: string, cause?: unknown): QuantcError =>
  new QuantcError('E_PLUGIN_LOAD', message, {
    ...{ kind: 'usage', place: { file }, cause },
    hint: "Export it as the default: `export default definePlugin({ name: 'my-plugin', passes: [...] })`.",
  });
