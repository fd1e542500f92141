/** Typed bindings among the outputs of a compilation, or made later of what a report or a manifest tells. */
import { basename, dirname, extname } from 'node:path';
import type { BoundModel } from '../codegen/bound-model.js';
import type { TargetReport } from '../report/report.js';
import { VERSION } from '../report/version.js';
import { bindModels, type CompiledFile } from './bind-model.js';
import { type BindingsSettings, declaredRuntimes } from './declared-runtimes.js';
import type { CompileRequest } from './request.js';
import type { Staging } from './staging.js';

/** A module's name among the outputs, and its text. */
export interface BindingsModule {
  readonly path: string;
  readonly text: string;
}

/**
 * Modules of models, with the packages that they import.
 * @param folder whose package says what is imported, where the settings do not
 * @throws QuantcError E_BINDINGS_TYPE
 */
export async function bindingsModules(
  models: readonly BoundModel[],
  { runtimes }: BindingsSettings,
  folder: string,
): Promise<BindingsModule[]> {
  const { bindingsText } = await import('../codegen/bindings.js');
  const options = { runtimes: runtimes ?? declaredRuntimes(folder), maker: `quantc ${VERSION}` };
  return Promise.all(
    models.map(async (model) => ({ path: `${model.name}.ts`, text: await bindingsText(model, options) })),
  );
}

/** What a report says of one compiled file. @param folder where it lies */
export function compiledFile(report: TargetReport, folder: string): CompiledFile {
  const { target, shape, precision, files, bytesAfter, session, provider } = report;
  return {
    ...{ target: shape === undefined ? target : `${target}.${shape}`, precision, folder, session },
    ...(provider !== undefined && { provider }),
    ...{ files: files.map(({ path }) => path), bytes: bytesAfter },
  };
}

/**
 * Writes `<model>.ts` among the outputs of a compilation, where it is asked for.
 * @returns names of the modules
 * @throws as {@link bindingsModules}
 */
export async function writeBindings(
  { bindings, model, out = 'dist' }: Pick<CompileRequest, 'bindings' | 'model' | 'out'>,
  reports: readonly TargetReport[],
  staging: Staging,
): Promise<string[]> {
  if (!bindings) return [];
  const folder = dirname(staging.path(basename(model)));
  const files = reports.map((report) => compiledFile(report, folder));
  const bound = bindModels(basename(model, extname(model)), basename(model), files);
  const settings = bindings === true ? {} : bindings;
  const modules = await bindingsModules(bound, settings, out);
  for (const { path, text } of modules) await staging.write(path, text, [model]);
  return modules.map(({ path }) => path);
}
