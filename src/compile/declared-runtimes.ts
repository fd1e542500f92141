/** Which packages of ONNX Runtime bindings import by themselves: named, or those that the app's package depends on. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { RUNTIMES, type RuntimeName } from '../codegen/bound-model.js';
import { QuantcError } from '../errors/error.js';

/** What modules are like that bind a compiled model. */
export interface BindingsSettings {
  /** Packages of ONNX Runtime that they import where they are given none; default those that the package declares. */
  readonly runtimes?: readonly RuntimeName[];
}

/** @throws QuantcError E_BINDINGS_RUNTIME listing those there are */
export const parseRuntimes = (names: readonly string[]): RuntimeName[] =>
  names.map((name) => {
    if (Object.hasOwn(RUNTIMES, name)) return name as RuntimeName;
    throw new QuantcError('E_BINDINGS_RUNTIME', `there is no package "${name}" of ONNX Runtime`, {
      kind: 'usage',
      hint: `There are ${Object.keys(RUNTIMES).join(', ')}.`,
    });
  });

/** Packages of ONNX Runtime that the nearest package above a folder depends on. */
export function declaredRuntimes(from: string): RuntimeName[] {
  for (let at = resolve(from); ; at = dirname(at)) {
    const file = join(at, 'package.json');
    if (existsSync(file)) {
      const declared = dependenciesOf(file);
      return (Object.keys(RUNTIMES) as RuntimeName[]).filter((name) => declared.has(name));
    }
    if (at === dirname(at)) return [];
  }
}

/** @throws QuantcError E_BINDINGS_PACKAGE when it is no JSON */
function dependenciesOf(file: string): Set<string> {
  try {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(file, 'utf8')) as Record<
      string,
      object
    >;
    return new Set([...Object.keys(dependencies ?? {}), ...Object.keys(devDependencies ?? {})]);
  } catch (cause) {
    throw new QuantcError('E_BINDINGS_PACKAGE', `it cannot be read: ${(cause as Error).message}`, {
      kind: 'usage',
      place: { file },
      hint: 'Say which packages of ONNX Runtime the bindings import: --runtime onnxruntime-web.',
      cause,
    });
  }
}
