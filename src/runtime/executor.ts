/** Executors other than ONNX Runtime's CPU in this process: where a model is run as those who get it will run it. */
import type { DType } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import type { Feed } from './compare.js';
import type { ExtraOptions, Port } from './session.js';

/** One kernel that ran, and on which of ONNX Runtime's execution providers. */
export interface PlacedNode {
  /** Name of the node in the graph that ran; ONNX Runtime calls a nameless one by its operator and index. */
  readonly name: string;
  readonly opType: string;
  /** Position in the file of the main graph's nodes; fused nodes have positions beyond the file's. */
  readonly index: number;
  /** E.g. `WebGpuExecutionProvider`. */
  readonly provider: string;
}

/** A model that an executor has loaded. */
export interface LoadedModel {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** True when the session was made with falling back to the CPU forbidden. */
  readonly strict: boolean;
  /** @throws QuantcError E_EXECUTOR_RUN when it fails, E_EXECUTOR_LOST when the executor died or hung */
  run(feeds: Feed): Promise<Record<string, Tensor>>;
  /** Lets the model go; answers with every kernel that ran and where, unless the executor cannot tell. */
  release(): Promise<readonly PlacedNode[] | undefined>;
}

export interface ExecutionOptions {
  /** Session configuration by ONNX Runtime's keys, nested at their dots. */
  readonly extra?: ExtraOptions;
  /**
   * `required`: fail where a node would fall back to the CPU. `preferred`: forbid it, and allow it only when the session
   * cannot be made otherwise. `off`: allow it. Default `preferred`.
   */
  readonly strict?: Strictness;
  /** Milliseconds after which loading or a run counts as hung. Default ten minutes. */
  readonly timeout?: number;
}
export type Strictness = 'required' | 'preferred' | 'off';

/** A place where models run. */
export interface Executor {
  /** For reports, e.g. `WebGPU, native on SwiftShader`. */
  readonly name: string;
  /**
   * Loads an .onnx file (external data beside it included).
   * @throws QuantcError E_EXECUTOR_ABSENT when there is none here, E_EXECUTOR_RUN when the model is refused,
   * E_EXECUTOR_LOST when the executor died or hung; the calling process lives on.
   */
  open(file: string, options?: ExecutionOptions): Promise<LoadedModel>;
  close(): Promise<void>;
}

/** What running a model on every feed gave. */
export interface Execution {
  /** Outputs by name, a record a feed, in the order of the feeds. */
  readonly outputs: readonly Readonly<Record<string, Tensor>>[];
  readonly strict: boolean;
  readonly nodes?: readonly PlacedNode[];
}

/** Loads a model, runs it on every feed, and lets it go. */
export async function execute(
  executor: Executor,
  file: string,
  feeds: Iterable<Feed> | AsyncIterable<Feed>,
  options?: ExecutionOptions,
): Promise<Execution> {
  const loaded = await executor.open(file, options);
  const outputs: Record<string, Tensor>[] = [];
  try {
    for await (const feed of feeds) outputs.push(await loaded.run(feed));
  } catch (error) {
    await loaded.release().catch(() => undefined);
    throw error;
  }
  const nodes = await loaded.release();
  return { outputs, strict: loaded.strict, ...(nodes && { nodes }) };
}

/** Opens with falling back forbidden where the options say so, and once more without where they let it. */
export async function openStrictly<T>(strict: Strictness, open: (strict: boolean) => Promise<T>): Promise<T> {
  if (strict === 'off') return open(false);
  try {
    return await open(true);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (strict === 'required' || !FALLBACK.test(message)) throw error;
    return open(false);
  }
}

/** Session configuration under which ONNX Runtime refuses a model that the CPU would take a part of. */
export function withoutFallback(extra: ExtraOptions = {}): ExtraOptions {
  const session = typeof extra['session'] === 'object' ? extra['session'] : {};
  return { ...extra, session: { ...session, disable_cpu_ep_fallback: '1' } };
}

/** How ONNX Runtime words it when a session that forbids falling back would have to. */
const FALLBACK = /assigned to the default CPU EP/;

/** A tensor as it crosses to another process. */
export interface WireTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const toWire = (tensor: Tensor): WireTensor => ({
  dtype: tensor.dtype,
  shape: tensor.shape,
  bytes: tensor.bytes(),
});

const fromWire = (name: string, { dtype, shape, bytes }: WireTensor): Tensor =>
  Tensor.of(dtype, shape, bytes, { name });

export type WireRecord = Readonly<Record<string, WireTensor>>;

export const toWireRecord = (record: Readonly<Record<string, Tensor>>): WireRecord =>
  Object.fromEntries(Object.entries(record).map(([name, tensor]) => [name, toWire(tensor)]));

export const fromWireRecord = (record: WireRecord): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(record).map(([name, tensor]) => [name, fromWire(name, tensor)]));
