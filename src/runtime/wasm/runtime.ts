/**
 * ONNX Runtime as WebAssembly in Node, with the face that the native module has here: paths of models, external data,
 * outputs written to given memory, optimized graphs and profiles written to files. One thread computes.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { QuantcError } from '../../errors/error.js';
import { tensorsOf } from '../../onnx/external-layout.js';
import { readModel } from '../../onnx/read.js';
import type { NativeSession, Runtime, Settings } from '../face.js';
import { WasmFiles } from './files.js';

// TypeScript knows WebAssembly from the browser's library alone; this is the part used here.
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: object; module: object }>;
};

/** Node reads no larger files at once; and models take the memory of 4 GiB that WebAssembly has twice while they load. */
const LARGEST_BYTES = 2 ** 31 - 1;

/** Under this name the one line of a module that onnxruntime-web imports finds what to call. */
const FACTORY = Symbol.for('quantc.onnxruntime-web');
const MODULE = `data:text/javascript,export default (options) => globalThis[Symbol.for("${FACTORY.description}")](options)`;

type Factory = (options: object) => Promise<unknown>;

/** @throws whatever loading the package throws */
export async function wasmRuntime(): Promise<Runtime> {
  const module = await import('onnxruntime-web');
  const glue = (await import('onnxruntime-web/ort-wasm-simd-threaded.mjs' as string)) as { default: Factory };
  const binary = new URL(import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
  const files = new WasmFiles();
  (globalThis as Record<symbol, unknown>)[FACTORY] = (options: object) =>
    instantiated(glue.default, options, binary, files);
  module.env.wasm.wasmPaths = { mjs: MODULE, wasm: binary };
  // More threads than one would be threads of ours that Node does not end; calibration has lanes of its own.
  module.env.wasm.numThreads = 1;
  module.env.logLevel = 'fatal';
  let before: Promise<unknown> = Promise.resolve();
  return {
    engine: 'wasm',
    version: module.env.versions.web ?? module.env.versions.common,
    Tensor: module.Tensor,
    create(source, settings) {
      // One after the other: external data are handed over under their names, whosever they are.
      const made = before.then(async () => {
        const { bytes, externalData } = loaded(source);
        const options = { ...settings, ...(externalData.length > 0 && { externalData }) };
        const session = await module.InferenceSession.create(bytes, options);
        return faced(session, settings, files);
      });
      before = made.catch(() => undefined);
      return made;
    },
  };
}

function instantiated(glue: Factory, options: object, binary: URL, files: WasmFiles): Promise<unknown> {
  const { Worker } = globalThis as { Worker?: unknown };
  return new Promise((resolve, reject) => {
    const instantiateWasm = (
      imports: { readonly a: Record<string, unknown> },
      done: (instance: object, module: object) => void,
    ): void => {
      const instantiate = async () => {
        files.replace(imports.a);
        const { instance, module } = await WebAssembly.instantiate(
          readFileSync(fileURLToPath(binary)),
          imports,
        );
        done(instance, module);
      };
      instantiate().catch(reject);
    };
    glue({ ...options, instantiateWasm }).then(resolve, reject);
  }).finally(() => {
    // The glue makes Node's threads a global, which nobody asked for and by which others tell where they run.
    if (Worker === undefined) Reflect.deleteProperty(globalThis, 'Worker');
  });
}

/** The bytes of a model, and those of its external data under the names by which it asks for them. */
function loaded(source: Uint8Array | string): {
  bytes: Uint8Array;
  externalData: { path: string; data: Uint8Array }[];
} {
  if (typeof source !== 'string') return { bytes: source, externalData: [] };
  const folder = dirname(source);
  const beside = filesBeside(source);
  const read = (path: string): Uint8Array => {
    const { size } = statSync(path);
    if (size > LARGEST_BYTES) throw tooLarge(path, size);
    return readFileSync(path);
  };
  return {
    bytes: read(source),
    externalData: beside.map((name) => ({
      path: name.split(sep).join('/'),
      data: read(`${folder}${sep}${name}`),
    })),
  };
}

/** Files of external data, below the model's folder. */
function filesBeside(source: string): string[] {
  const names = new Set<string>();
  try {
    for (const { tensor } of tensorsOf(readModel(source)))
      if (tensor.source.kind === 'file') names.add(relative(dirname(source), tensor.source.path));
  } catch (error) {
    // Files of other formats have nothing beside them, and what is wrong with a file ONNX Runtime says itself.
    if (!(error instanceof QuantcError)) throw error;
  }
  names.delete(basename(source));
  return [...names];
}

const tooLarge = (file: string, size: number): QuantcError =>
  new QuantcError(
    'E_RUNTIME_WASM_SIZE',
    `${(size / 2 ** 30).toFixed(1)} GiB are more than ONNX Runtime takes as WebAssembly`,
    {
      kind: 'usage',
      place: { file },
      hint: 'Compile it where onnxruntime-node works; `quantc doctor` tells what it lacks here.',
    },
  );

/** What goes wrong is thrown as well. */
const QUIET = { logSeverityLevel: 4 } as const;

function faced(session: InferenceSession, settings: Settings, files: WasmFiles): NativeSession {
  return {
    inputMetadata: session.inputMetadata,
    outputMetadata: session.outputMetadata,
    async run(feeds, fetches) {
      if (fetches === undefined) return session.run(feeds, QUIET);
      const results = await session.run(feeds, Object.keys(fetches), QUIET);
      for (const [name, place] of Object.entries(fetches)) if (place) copyInto(name, place, results[name]!);
      return results;
    },
    endProfiling() {
      const told = files.catchOutput(() => session.endProfiling());
      writeFileSync(`${settings.profileFilePrefix}_wasm.json`, told);
    },
    release: () => session.release(),
  };
}

function copyInto(name: string, place: Tensor, result: Tensor): void {
  if (place.dims.join() !== result.dims.join())
    throw new Error(`output "${name}" is [${result.dims}], and its place is [${place.dims}]`);
  (place.data as Float32Array).set(result.data as Float32Array);
}
