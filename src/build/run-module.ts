/**
 * Runs a TypeScript or JavaScript module that says what to build. What it was translated to is kept, and a config that
 * asks quantc for nothing but `defineConfig` is given that alone: neither a translator nor the compiler is loaded then.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { createJiti, type JitiOptions, type TransformOptions } from 'jiti';
import { digestBytes } from '../compile/file-digest.js';
import { QuantcError } from '../errors/error.js';
import { definePlugin } from '../plugin/plugin.js';
import type { QuantcConfig } from './config.js';

/** What configs ask for most. */
const FACE: Readonly<Record<string, unknown>> = {
  defineConfig: (config: QuantcConfig) => config,
  definePlugin,
  QuantcError,
};

/** What a loader asks of any module. */
const ASKED_OF_ANY = ['default', 'then', '__esModule'];

/** What jiti puts into a module that it could not translate, to throw when it is run. */
const UNTRANSLATED = '__JITI_ERROR__';

const OPTIONS = { fsCache: false, moduleCache: true, tryNative: false } as const satisfies JitiOptions;

export interface RunModule {
  /** The default export, or all there are where there is none. */
  readonly exported: unknown;
  /** What was run: modules, and of packages that were asked for, the `package.json` with their version. */
  readonly loaded: readonly string[];
}

/** What each module loaded when it was run last: that may have changed since. */
const loadedBy = new Map<string, readonly string[]>();

/** @param folder in which translations are kept; undefined keeps none */
export async function runModule(file: string, folder: string | undefined): Promise<RunModule> {
  const { cache } = createRequire(import.meta.url);
  const loaded = new Set<string>();
  const transform = keptIn(folder, file, loaded);
  const run = async (options: JitiOptions): Promise<unknown> => {
    const known = new Set(loadedBy.get(file));
    for (const name of Object.keys(cache))
      if (known.has(name) || isBelow(dirname(file), name)) delete cache[name];
    loaded.clear();
    const before = new Set(Object.keys(cache));
    try {
      return await createJiti(file, { ...OPTIONS, ...options, transform }).import(file, { default: true });
    } finally {
      for (const name of Object.keys(cache)) if (!before.has(name) && !isOfPackage(name)) loaded.add(name);
      loadedBy.set(file, [...loaded]);
    }
  };
  let asked = false;
  const ask = <T>(key: string | symbol, answer: T): T => {
    if (typeof key === 'string' && !(key in FACE) && !ASKED_OF_ANY.includes(key)) asked = true;
    return answer;
  };
  const quantc = new Proxy(FACE, {
    get: (face, key) => ask(key, Reflect.get(face, key)),
    has: (face, key) => ask(key, Reflect.has(face, key)),
    ownKeys: (face) => ask('*', Reflect.ownKeys(face)),
  });
  let exported: unknown;
  try {
    exported = await run({ virtualModules: { quantc } });
  } catch (error) {
    if (!asked) throw error;
  }
  // It wants more of quantc: it is run again, with all of it, and with the very one that runs it, wherever that lies.
  if (asked) exported = await run({ virtualModules: { quantc: { ...(await import('../index.js')) } } });
  return { exported, loaded: [...loaded] };
}

/** Of the project itself: packages of a bundler that is under way stay as they are. */
const isBelow = (folder: string, name: string): boolean =>
  name.startsWith(`${folder}${sep}`) && !isOfPackage(name);

const isOfPackage = (name: string): boolean => name.includes(`${sep}node_modules${sep}`);

/** Packages that a text imports, as far as their versions can be found from where it lies. */
function manifestsOf(source: string, file: string): string[] {
  const names = [
    ...source.matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*['"]((?:@[\w.-]+\/)?\w[\w.-]*)/g),
  ];
  return names.flatMap(([, name]) => {
    if (name === 'quantc' || isBuiltin(name!)) return [];
    for (let at = dirname(file); at !== dirname(at); at = dirname(at)) {
      const manifest = join(at, 'node_modules', name!, 'package.json');
      if (existsSync(manifest)) return [manifest];
    }
    return [];
  });
}

/** Translates as jiti does, or takes what it gave for the same text under the same name. */
function keptIn(
  folder: string | undefined,
  file: string,
  loaded: Set<string>,
): NonNullable<JitiOptions['transform']> {
  const require = createRequire(import.meta.url);
  const { version } = require('jiti/package.json') as { readonly version: string };
  const translate = (options: TransformOptions): string => createJiti(file, OPTIONS).transform(options);
  return (options) => {
    const { filename = file, source } = options;
    for (const each of [filename, ...manifestsOf(source, filename)]) loaded.add(each);
    if (folder === undefined) return { code: translate(options) };
    const place = join(folder, 'modules', digestBytes(JSON.stringify([version, options])));
    const kept = read(place);
    if (kept !== undefined) return { code: kept };
    const code = translate(options);
    if (!code.includes(UNTRANSLATED)) write(place, code);
    return { code };
  };
}

/** @returns undefined where nothing is kept, or it is damaged */
function read(place: string): string | undefined {
  let content: string;
  try {
    content = readFileSync(place, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return undefined;
  }
  const code = content.slice(content.indexOf('\n') + 1);
  return content === sealed(code) ? code : undefined;
}

/** What cannot be kept is translated again. */
function write(place: string, code: string): void {
  const own = `${place}.${process.pid}`;
  try {
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(own, sealed(code));
    renameSync(own, place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

const sealed = (code: string): string => `${digestBytes(code)}\n${code}`;
