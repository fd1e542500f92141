/** LiteRT's own WebAssembly runtime in Node: runs `.tflite` files, on XNNPACK and the reference kernels behind it. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';

interface Deletable {
  delete(): void;
}
interface List extends Deletable {
  size(): number;
  get(index: number): never;
  push_back(value: number): void;
}
interface RankedType extends Deletable {
  elementType(): { value: number };
  layout(): Deletable & { dimensions(): List };
  bytes(): number;
}
interface TensorBuffer extends Deletable {
  lock(mode: unknown): number;
  unlock(): void;
  packedSize(): number;
  tensorType(): RankedType;
}
interface Signature extends Deletable {
  inputNames(): List;
  outputNames(): List;
}
interface WasmModel extends Deletable {
  getSignature(index: number): Signature;
  getInputTensorType(signature: number, index: number): RankedType;
}
interface CompiledModel extends Deletable {
  run(signature: number, inputs: readonly TensorBuffer[]): TensorBuffer[] | Promise<TensorBuffer[]>;
}
interface Wasm {
  HEAPU8: Uint8Array;
  _malloc(size: number): number;
  _free(at: number): void;
  setupLogging(): void;
  LiteRtEnvironment: { create(device: null): unknown };
  loadModel(environment: unknown, at: number, size: number): WasmModel;
  compileModel(
    environment: unknown,
    model: WasmModel,
    options: object,
  ): CompiledModel | Promise<CompiledModel>;
  LiteRtTensorBuffer: {
    createManaged(environment: unknown, kind: unknown, type: RankedType, bytes: number): TensorBuffer;
  };
  LiteRtTensorBufferType: { HOST_MEMORY: unknown };
  LiteRtTensorBufferLockMode: { READ: unknown; WRITE: unknown };
}

const ARRAYS: Readonly<Record<number, new (buffer: ArrayBuffer) => LiteRtArray>> = {
  1: Float32Array,
  2: Int32Array,
  3: Uint8Array,
  4: BigInt64Array,
  9: Int8Array,
};
export type LiteRtArray = Float32Array | Int32Array | Uint8Array | BigInt64Array | Int8Array;

export interface LiteRtTensor {
  readonly shape: readonly number[];
  readonly data: LiteRtArray;
}

export interface LiteRtSession {
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  run(feeds: Readonly<Record<string, LiteRtArray>>): Promise<Record<string, LiteRtTensor>>;
  release(): void;
}

let loading: Promise<{ wasm: Wasm; environment: unknown; said: string[] }> | undefined;

/** The module is made for browsers and for Node, but lies in a package of ES modules as a script. */
async function load() {
  const folder = join(dirname(createRequire(import.meta.url).resolve('@litertjs/core')), '..', 'wasm');
  // Node 20 lacks relaxed SIMD, which the other builds are made of.
  const file = join(folder, 'litert_wasm_compat_internal.js');
  const module = { exports: {} as (options: object) => Promise<Wasm> };
  const names = ['require', 'module', 'exports', '__filename', '__dirname'];
  const script = compileFunction(readFileSync(file, 'utf8'), names, { filename: file });
  script(createRequire(import.meta.url), module, module.exports, file, folder);
  const said: string[] = [];
  const say = (line: string) => said.push(line);
  const wasmBinary = readFileSync(file.replace(/js$/, 'wasm'));
  const wasm = await module.exports({ wasmBinary, print: say, printErr: say });
  wasm.setupLogging();
  return { wasm, environment: wasm.LiteRtEnvironment.create(null), said };
}

function listed<T>(list: List): T[] {
  const all = Array.from({ length: list.size() }, (_, index) => list.get(index) as T);
  list.delete();
  return all;
}

/** Loads a file's bytes. @throws Error with what the runtime said, when it does not take them */
export async function openLiteRt(bytes: Uint8Array): Promise<LiteRtSession> {
  loading ??= load();
  const { wasm, environment, said } = await loading;
  const at = wasm._malloc(bytes.length);
  wasm.HEAPU8.set(bytes, at);
  said.length = 0;
  const attempt = async <T>(what: () => T | Promise<T>): Promise<T> => {
    try {
      return await what();
    } catch (cause) {
      throw new Error(`LiteRT: ${said.filter((line) => !line.startsWith('INFO')).join('\n') || cause}`, {
        cause,
      });
    }
  };
  const model = await attempt(() => wasm.loadModel(environment, at, bytes.length));
  const options = { accelerator: 'wasm', cpuOptions: { numThreads: 1 }, gpuOptions: {}, webNNOptions: {} };
  const compiled = await attempt(() => wasm.compileModel(environment, model, options));
  const signature = model.getSignature(0);
  const names = {
    inputs: listed<string>(signature.inputNames()),
    outputs: listed<string>(signature.outputNames()),
  };
  const shapeOf = (type: RankedType): number[] => listed<number>(type.layout().dimensions());
  const inputs = names.inputs.map((name, index) => ({
    name,
    shape: shapeOf(model.getInputTensorType(0, index)),
  }));
  const read = (buffer: TensorBuffer): LiteRtTensor => {
    const type = buffer.tensorType();
    const from = buffer.lock(wasm.LiteRtTensorBufferLockMode.READ);
    const copy = wasm.HEAPU8.slice(from, from + buffer.packedSize());
    buffer.unlock();
    return { shape: shapeOf(type), data: new ARRAYS[type.elementType().value]!(copy.buffer) };
  };
  return {
    inputs,
    run: (feeds) =>
      attempt(async () => {
        const buffers = names.inputs.map((name, index) => {
          const data = feeds[name]!;
          const type = model.getInputTensorType(0, index);
          if (type.bytes() !== data.byteLength)
            throw new Error(`${name} takes ${type.bytes()} bytes, not ${data.byteLength}`);
          const kind = wasm.LiteRtTensorBufferType.HOST_MEMORY;
          const buffer = wasm.LiteRtTensorBuffer.createManaged(environment, kind, type, type.bytes());
          const to = buffer.lock(wasm.LiteRtTensorBufferLockMode.WRITE);
          wasm.HEAPU8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), to);
          buffer.unlock();
          return buffer;
        });
        const outputs = await compiled.run(0, buffers);
        const results = outputs.map((each, index) => [names.outputs[index]!, read(each)] as const);
        for (const each of [...buffers, ...outputs]) each.delete();
        return Object.fromEntries(results);
      }),
    release() {
      signature.delete();
      compiled.delete();
      model.delete();
      wasm._free(at);
    },
  };
}
