/** Typed bindings of what was built: a module for each model, or for several that are one to the app. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, relative, resolve, sep } from 'node:path';
import { type BindingsSettings, declaredRuntimes } from '../compile/declared-runtimes.js';
import { Staging } from '../compile/staging.js';
import type { BindingsModule } from '../compile/write-bindings.js';
import { QuantcError } from '../errors/error.js';
import type { TargetReport } from '../report/report.js';
import type { QuantcConfig } from './config.js';
import { type BuildJob, placeOf } from './job.js';
import type { Remembered } from './remembered.js';
import type { StoredFile } from './store.js';

/** The key `bindings` of a config. */
export interface BuildBindings extends BindingsSettings {
  /** Folder for the modules, relative to the config's; default beside each model's files. */
  readonly out?: string;
  /**
   * Models that one module binds, by its name: the same network compiled in several ways, as in
   * `{ classifier: ['classifier', 'classifier-fp16'] }`. Every other model has a module of its own.
   */
  readonly modules?: Readonly<Record<string, readonly string[]>>;
}

/** What was built of one model for one target, and where it lies. */
export interface BuiltModel {
  readonly job: BuildJob;
  readonly key: string;
  readonly folder: string;
  readonly build: { readonly reports: readonly TargetReport[] };
}

/** A module, and where it lies. */
export interface WrittenModule extends StoredFile {
  readonly text: string;
  /** It lies in a folder of its own, outside that of the outputs; its path is from there all the same. */
  readonly outside: boolean;
}

/**
 * Modules for what was built, as the config asks for them. Those that were made before of the same are remembered.
 * @param folder of the config
 * @param out folder of the outputs
 * @throws QuantcError E_BINDINGS_MODEL for a model that there is not, E_BINDINGS_TYPE
 */
export async function bindingsOf(
  done: readonly BuiltModel[],
  config: QuantcConfig,
  folder: string,
  out: string,
  remembered: Remembered,
): Promise<WrittenModule[]> {
  if (!config.bindings) return [];
  const { modules = {}, out: own, ...settings } = config.bindings === true ? {} : config.bindings;
  const grouped = new Set(Object.values(modules).flat());
  const strange = [...grouped].find((name) => !Object.hasOwn(config.models, name));
  if (strange !== undefined) {
    throw new QuantcError('E_BINDINGS_MODEL', `the config has no model "${strange}"`, {
      kind: 'usage',
      hint: `Models: ${Object.keys(config.models).join(', ')}.`,
    });
  }
  const single = [...new Set(done.map(({ job }) => job.name))].filter((name) => !grouped.has(name));
  const runtimes = settings.runtimes ?? declaredRuntimes(folder);
  const made: WrittenModule[] = [];
  for (const [name, models] of [
    ...Object.entries(modules),
    ...single.map((each) => [each, [each]] as const),
  ]) {
    const parts = done.filter(({ job }) => models.includes(job.name));
    // A build of some models leaves modules alone that bind others, too.
    if (!models.every((each) => parts.some(({ job }) => job.name === each))) continue;
    const facts = JSON.stringify([name, runtimes, parts.map(({ key, job }) => [key, job.name])]);
    const texts = await remembered.recall(`bindings ${digestOf(facts)}`, async () => ({
      value: await bind(name, parts, { runtimes }, folder),
      files: [],
    }));
    for (const { path, text } of texts) {
      const place = own === undefined ? placeOf(name, path) : relative(out, resolve(folder, own, path));
      const bytes = Buffer.byteLength(text);
      made.push({
        ...{ path: place.split(sep).join('/'), bytes, sha256: digestOf(text), text },
        outside: own !== undefined,
      });
    }
  }
  return made;
}

/** Puts modules in place that lie outside the outputs. @throws QuantcError E_OUT_FOLDER */
export async function placeOutside(modules: readonly WrittenModule[], out: string): Promise<void> {
  const outside = modules.filter((each) => each.outside);
  if (outside.length === 0) return;
  const folder = dirname(resolve(out, outside[0]!.path));
  const staging = new Staging(folder);
  try {
    for (const { path, text } of outside) {
      const file = resolve(out, path);
      if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
      await staging.write(basename(file), text, []);
    }
    staging.commit();
  } finally {
    staging.remove();
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

async function bind(
  name: string,
  parts: readonly BuiltModel[],
  settings: BindingsSettings,
  folder: string,
): Promise<BindingsModule[]> {
  const [{ bindModels }, { bindingsModules, compiledFile }] = await Promise.all([
    import('../compile/bind-model.js'),
    import('../compile/write-bindings.js'),
  ]);
  const taken = new Set<string>();
  const files = parts.flatMap((part) =>
    part.build.reports.map((report) => {
      const file = compiledFile(report, part.folder);
      // Two models of one module may be for the same target.
      const target = taken.has(file.target) ? `${file.target}.${part.job.name}` : file.target;
      taken.add(target);
      return { ...file, target, within: part.job.name };
    }),
  );
  const bound = bindModels(name, basename(parts[0]!.job.request.model), files);
  return bindingsModules(bound, settings, folder);
}
