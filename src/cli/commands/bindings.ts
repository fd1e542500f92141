import { readFileSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { type BuildManifest, MANIFEST_NAME, type ManifestTarget } from '../../build/manifest.js';
import type { BoundModel, RuntimeName } from '../../codegen/bound-model.js';
import { bindModels } from '../../compile/bind-model.js';
import { parseRuntimes } from '../../compile/declared-runtimes.js';
import { Staging } from '../../compile/staging.js';
import { bindingsModules, compiledFile } from '../../compile/write-bindings.js';
import { QuantcError } from '../../errors/error.js';
import { readReport } from '../../report/read-report.js';
import { collectNames } from '../option.js';
import { print } from '../terminal.js';

interface Options {
  readonly out?: string;
  readonly runtime?: readonly RuntimeName[];
}

export function make(): Command {
  return new Command('quantc bindings')
    .description(
      'Writes a TypeScript module for each compiled model that a report or a manifest tells of: its inputs and outputs ' +
        'as types with names, shapes and element types, and createSession, which opens the file that suits the device. ' +
        'The module needs nothing but a package of ONNX Runtime.',
    )
    .argument('<report or manifest>', 'what `quantc compile` or `quantc build` wrote, beside the models')
    .option('--out <folder>', 'folder for the modules (default: beside the report or manifest)')
    .option(
      '--runtime <names>',
      'packages that the modules import by themselves, with commas between: onnxruntime-web, onnxruntime-node, onnxruntime-react-native (default: those that the nearest package.json names)',
      (value: string) => parseRuntimes(collectNames(value)),
    )
    .addHelpText(
      'after',
      `
Examples
  quantc bindings dist/quantc.report.json --out src/models
  quantc bindings public/models/manifest.json --out src/models --runtime onnxruntime-web`,
    )
    .action(run);
}

async function run(path: string, { out = dirname(path), runtime }: Options): Promise<void> {
  const models = basename(path) === MANIFEST_NAME ? ofManifest(path) : ofReport(path);
  const modules = await bindingsModules(models, { runtimes: runtime }, out);
  const staging = new Staging(out);
  try {
    for (const each of modules) await staging.write(each.path, each.text, []);
    staging.commit();
  } finally {
    staging.remove();
  }
  for (const each of modules) print(`${join(out, each.path)}\n`);
}

function ofReport(path: string): BoundModel[] {
  const { targets } = readReport(path);
  const folder = dirname(resolve(path));
  return [...new Set(targets.map(({ model }) => model))].flatMap((model) => {
    const own = targets.filter((each) => each.model === model);
    return bindModels(
      basename(model, extname(model)),
      model,
      own.map((each) => compiledFile(each, folder)),
    );
  });
}

/** @throws QuantcError E_MANIFEST_READ */
function ofManifest(path: string): BoundModel[] {
  const folder = dirname(resolve(path));
  return Object.entries(readManifest(path).models).flatMap(([name, targets]) =>
    bindModels(
      name,
      name,
      Object.entries(targets).map(
        ([target, { file, files, precision, bytes, session, provider }]: [string, ManifestTarget]) => ({
          ...{ target, folder, precision, bytes, session, ...(provider !== undefined && { provider }) },
          files: [file, ...files.map((each) => each.path).filter((each) => each !== file)],
        }),
      ),
    ),
  );
}

function readManifest(path: string): BuildManifest {
  let cause: unknown;
  try {
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as Partial<BuildManifest> | null;
    if (typeof manifest?.quantc === 'string' && typeof manifest.models === 'object')
      return manifest as BuildManifest;
  } catch (error) {
    cause = error;
  }
  throw new QuantcError('E_MANIFEST_READ', cause ? (cause as Error).message : 'it is no manifest of quantc', {
    place: { file: path },
    hint: 'Give the manifest.json that `quantc build` wrote.',
    cause,
  });
}
