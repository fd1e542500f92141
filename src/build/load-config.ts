/** Finds a config and reads it. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { cacheFolder, defaultCacheFolder } from '../compile/cache-folder.js';
import { QuantcError } from '../errors/error.js';
import type { QuantcConfig } from './config.js';
import { signOrigins } from './origin.js';
import type { RunModule } from './run-module.js';
import { checkConfig } from './schema.js';

/** Names that a config has, in order of preference. */
const NAMES = ['ts', 'mts', 'js', 'mjs', 'json'].map((ending) => `quantc.config.${ending}`);

export interface LoadedConfig {
  readonly config: QuantcConfig;
  /** Absolute path. */
  readonly file: string;
  /** The config, every module that it loads, and the manifests of packages: what it says may depend on each. */
  readonly sources: readonly string[];
  /** Folder in which what was built is kept; undefined keeps nothing. */
  readonly kept: string | undefined;
}

/**
 * Loads a config: TypeScript or JavaScript whose default export it is, or JSON. It is run: it is the user's own code.
 * @param path of the file; default the nearest `quantc.config.*` in this folder or above
 * @throws QuantcError E_CONFIG_ABSENT, E_CONFIG_LOAD when it throws or exports nothing, E_CONFIG_KEY
 */
export async function loadConfig(path?: string): Promise<LoadedConfig> {
  const file = path === undefined ? (nearestConfig(process.cwd()) ?? absent()) : resolve(path);
  if (!existsSync(file)) {
    throw new QuantcError('E_CONFIG_ABSENT', `there is no ${path}`, { kind: 'usage', place: { file } });
  }
  let run: RunModule;
  try {
    const { runModule } = await import('./run-module.js');
    run = await runModule(file, defaultCacheFolder(dirname(file)));
  } catch (cause) {
    if (cause instanceof QuantcError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new QuantcError('E_CONFIG_LOAD', `it cannot be loaded: ${why}`, {
      kind: 'usage',
      place: { file },
      cause,
    });
  }
  const { exported, loaded } = run;
  if (typeof exported !== 'object' || exported === null || Object.keys(exported).length === 0) {
    throw new QuantcError('E_CONFIG_LOAD', 'it exports no config', {
      kind: 'usage',
      place: { file },
      hint: "Export one as the default: `export default defineConfig({ models: { net: 'net.onnx' } })`.",
    });
  }
  const config = checkConfig(exported, file);
  const sources = [...new Set([file, ...loaded])].sort();
  if (config.plugins !== undefined) await signOrigins(config.plugins, sources);
  const wanted = config.cache === false ? false : config.cache && resolve(dirname(file), config.cache);
  return { config, file, sources, kept: cacheFolder(wanted) };
}

/** The config in a folder, or in the nearest one above that has one. */
export function nearestConfig(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const found = NAMES.map((name) => join(at, name)).find((file) => existsSync(file));
    if (found !== undefined || at === dirname(at)) return found;
  }
}

function absent(): never {
  throw new QuantcError('E_CONFIG_ABSENT', 'there is no quantc.config.ts here or in a folder above', {
    kind: 'usage',
    hint: 'Write one, or name it with --config.',
  });
}
