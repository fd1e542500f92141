/** Finds a config and reads it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve, sep } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { QuantcConfig } from './config.js';
import { checkConfig } from './schema.js';

/** Names that a config has, in order of preference. */
const NAMES = ['ts', 'mts', 'js', 'mjs', 'json'].map((ending) => `quantc.config.${ending}`);

export interface LoadedConfig {
  readonly config: QuantcConfig;
  /** Absolute path. */
  readonly file: string;
  /** The config and every module of the project that it loads: what it says may depend on each. */
  readonly sources: readonly string[];
}

/**
 * Loads a config: TypeScript or JavaScript whose default export it is, or JSON. It is run: it is the user's own code.
 * @param path of the file; default the nearest `quantc.config.*` in this folder or above
 * @throws QuantcError E_CONFIG_ABSENT, E_CONFIG_LOAD when it throws or exports nothing, E_CONFIG_KEY
 */
export async function loadConfig(path?: string): Promise<LoadedConfig> {
  const file = path === undefined ? nearestConfig() : resolve(path);
  if (!existsSync(file)) {
    throw new QuantcError('E_CONFIG_ABSENT', `there is no ${path}`, { kind: 'usage', place: { file } });
  }
  const require = createRequire(import.meta.url);
  // What it loads is loaded anew: a config that is watched has changed since.
  const before = new Set(Object.keys(require.cache).filter((name) => !isOf(dirname(file), name)));
  for (const name of Object.keys(require.cache)) if (!before.has(name)) delete require.cache[name];
  let exported: unknown;
  try {
    const { createJiti } = await import('jiti');
    // quantc itself is no TypeScript that wants reading: every module of it would be.
    const jiti = createJiti(file, {
      fsCache: false,
      moduleCache: true,
      tryNative: false,
      nativeModules: ['quantc'],
    });
    exported = await jiti.import(file, { default: true });
  } catch (cause) {
    if (cause instanceof QuantcError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new QuantcError('E_CONFIG_LOAD', `it cannot be loaded: ${why}`, {
      kind: 'usage',
      place: { file },
      cause,
    });
  }
  if (typeof exported !== 'object' || exported === null || Object.keys(exported).length === 0) {
    throw new QuantcError('E_CONFIG_LOAD', 'it exports no config', {
      kind: 'usage',
      place: { file },
      hint: "Export one as the default: `export default defineConfig({ models: { net: 'net.onnx' } })`.",
    });
  }
  const loaded = Object.keys(require.cache).filter(
    (name) => !before.has(name) && isOf(dirname(file), name) && !name.includes(`${sep}node_modules${sep}`),
  );
  return { config: checkConfig(exported, file), file, sources: [...new Set([file, ...loaded])].sort() };
}

const isOf = (folder: string, name: string): boolean => name.startsWith(`${folder}${sep}`);

/** @throws QuantcError E_CONFIG_ABSENT */
function nearestConfig(): string {
  for (let at = process.cwd(); ; at = dirname(at)) {
    const found = NAMES.map((name) => join(at, name)).find((file) => existsSync(file));
    if (found !== undefined) return found;
    if (at !== dirname(at)) continue;
    throw new QuantcError('E_CONFIG_ABSENT', 'there is no quantc.config.ts here or in a folder above', {
      kind: 'usage',
      hint: 'Write one, or name it with --config.',
    });
  }
}
