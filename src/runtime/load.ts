import { isMainThread } from 'node:worker_threads';
import { QuantcError } from '../errors/error.js';
import type { NativeSession, Runtime } from './face.js';

/** What was loaded, and why it is not the native build if it is not. */
export interface EngineFacts extends Pick<Runtime, 'engine' | 'version'> {
  readonly reason?: string;
}

/** What brings the native build into an installation: its install script, which only fetches GPU files, is left out. */
export const MEND_NATIVE =
  'echo onnxruntime-node-install=skip>> .npmrc && npm install onnxruntime-node@1.30.0';

/** Forces one of the builds; for tests, and for who wants what WebAssembly computes. */
const CHOICE = 'QUANTC_ENGINE';

let loading: Promise<Runtime> | undefined;
let facts: EngineFacts | undefined;
let announce = (text: string): void => process.emitWarning(text, { code: 'QUANTC_WASM' });

/**
 * Loads ONNX Runtime the first time that somebody needs it, so that commands which do not (`--help`, `print`) start fast:
 * the native build, or the WebAssembly build where that is missing or does not load, which is announced once.
 * @throws QuantcError E_RUNTIME_MISSING when neither loads, E_RUNTIME_ENGINE for a bad value of QUANTC_ENGINE.
 */
export function loadRuntime(): Promise<Runtime> {
  loading ??= load();
  return loading;
}

/** Which build is in use; loads it. @throws QuantcError as {@link loadRuntime} */
export async function engineFacts(): Promise<EngineFacts> {
  await loadRuntime();
  return facts!;
}

/** Sets who is told, in one line, that the WebAssembly build stands in; it is a warning of the process otherwise. */
export function onFallback(tell: (text: string) => void): void {
  announce = tell;
}

/** The version of ONNX Runtime and its build, for keys of answers that its kernels decide. @throws QuantcError E_RUNTIME_MISSING */
export async function runtimeVersion(): Promise<string> {
  const { engine, version } = await loadRuntime();
  return engine === 'native' ? version : `${version}-${engine}`;
}

/** How reports call ONNX Runtime's CPU kernels, of the build that was loaded. */
export const cpuName = (): string =>
  facts?.engine === 'wasm' ? 'ONNX Runtime CPU (WebAssembly)' : 'ONNX Runtime CPU';

async function load(): Promise<Runtime> {
  const choice = process.env[CHOICE] || undefined;
  if (choice !== undefined && choice !== 'native' && choice !== 'wasm') {
    throw new QuantcError('E_RUNTIME_ENGINE', `${CHOICE} is "${choice}"`, {
      kind: 'usage',
      hint: `Set it to native or wasm, or leave it out: then it is native where that works.`,
    });
  }
  let reason = `${CHOICE}=wasm asks for it`;
  if (choice !== 'wasm') {
    try {
      const runtime = await nativeRuntime();
      facts = { engine: 'native', version: runtime.version };
      return runtime;
    } catch (cause) {
      reason = `onnxruntime-node does not load on ${process.platform}-${process.arch}: ${firstLine(cause)}`;
      if (choice === 'native') throw missing(reason, cause);
    }
  }
  try {
    const { wasmRuntime } = await import('./wasm/runtime.js');
    const runtime = await wasmRuntime();
    facts = { engine: 'wasm', version: runtime.version, reason };
    if (isMainThread && choice === undefined) announce(`ONNX Runtime runs as WebAssembly, slower: ${reason}`);
    return runtime;
  } catch (cause) {
    throw missing(`${reason}; onnxruntime-web does not load: ${firstLine(cause)}`, cause);
  }
}

const missing = (reason: string, cause: unknown): QuantcError =>
  new QuantcError('E_RUNTIME_MISSING', `ONNX Runtime cannot be loaded: ${reason}`, {
    kind: 'usage',
    hint: `Run \`${MEND_NATIVE}\`.`,
    cause,
  });

async function nativeRuntime(): Promise<Runtime> {
  type Native = typeof import('onnxruntime-node');
  const module = (await import('onnxruntime-node')) as Native & { default?: Native };
  const native = module.default ?? module;
  // The environment's logger is made once a process and writes to stderr; only failures matter, and those are thrown.
  if (native.env.logLevel === undefined || native.env.logLevel === 'warning') native.env.logLevel = 'fatal';
  const { versions } = native.env;
  return {
    engine: 'native',
    version: versions.node ?? versions.common,
    Tensor: native.Tensor,
    async create(source, settings) {
      const made =
        typeof source === 'string'
          ? await native.InferenceSession.create(source, settings)
          : await native.InferenceSession.create(source, settings);
      return made as NativeSession;
    },
  };
}

/** The first line of whatever was thrown. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]!.trim();
}
