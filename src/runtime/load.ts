import { QuantcError } from '../errors/error.js';

/** The native module, as TypeScript sees it. Only this folder knows it. */
export type Runtime = typeof import('onnxruntime-node');

let loading: Promise<Runtime> | undefined;

/**
 * Loads ONNX Runtime the first time that somebody needs it, so that commands which do not (`--help`, `print`) start fast.
 * @throws QuantcError E_RUNTIME_MISSING when the package is not installed or has no binary for this platform.
 */
export function loadRuntime(): Promise<Runtime> {
  loading ??= importRuntime();
  return loading;
}

/** The version of ONNX Runtime, for keys of answers that its kernels decide. @throws QuantcError E_RUNTIME_MISSING */
export async function runtimeVersion(): Promise<string> {
  const { versions } = (await loadRuntime()).env;
  return versions.node ?? versions.common;
}

async function importRuntime(): Promise<Runtime> {
  try {
    const module = (await import('onnxruntime-node')) as Runtime & { default?: Runtime };
    const runtime = module.default ?? module;
    // The environment's logger is made once a process and writes to stderr; only failures matter, and those are thrown.
    if (runtime.env.logLevel === undefined || runtime.env.logLevel === 'warning')
      runtime.env.logLevel = 'fatal';
    return runtime;
  } catch (cause) {
    throw new QuantcError(
      'E_RUNTIME_MISSING',
      `ONNX Runtime cannot be loaded on ${process.platform}-${process.arch}: ${firstLine(cause)}`,
      {
        kind: 'usage',
        hint: 'Run `npm install onnxruntime-node@1.30.0 --ignore-scripts` (its install script only fetches GPU files).',
        cause,
      },
    );
  }
}

/** The first line of whatever was thrown. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]!.trim();
}
