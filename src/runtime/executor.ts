/** Executors other than ONNX Runtime's CPU in this process: where a model is run as those who get it will run it. */
import type { DType } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import type { Feed } from './compare.js';
import type { Port } from './session.js';

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

/** What running a model on an executor gave. */
export interface Execution {
  /** Outputs by name, a record a feed, in the order of the feeds. */
  readonly outputs: readonly Readonly<Record<string, Tensor>>[];
  /** True when the session was made with falling back to the CPU forbidden. */
  readonly strict: boolean;
  /** Every kernel that ran and where; absent where the executor cannot tell. */
  readonly nodes?: readonly PlacedNode[];
}

export interface ExecutionOptions {
  /** Session configuration by ONNX Runtime's keys, nested at their dots. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /**
   * `required`: fail where a node would fall back to the CPU. `preferred`: forbid it, and allow it only when the session
   * cannot be made otherwise. `off`: allow it. Default `preferred`.
   */
  readonly strict?: 'required' | 'preferred' | 'off';
  /** Milliseconds after which a run counts as hung. Default ten minutes. */
  readonly timeout?: number;
}

/** A place where models run. */
export interface Executor {
  /** For reports, e.g. `WebGPU, native (SwiftShader)`. */
  readonly name: string;
  /**
   * Loads an .onnx file (external data beside it included) and runs it on every feed.
   * @throws QuantcError E_EXECUTOR_RUN when the model is refused or fails, E_EXECUTOR_LOST when the executor died or
   * hung; the calling process lives on.
   */
  run(file: string, feeds: readonly Feed[], options?: ExecutionOptions): Promise<Execution>;
  close(): Promise<void>;
}

/** How ONNX Runtime words it when a session that forbids falling back would have to. */
export const FALLBACK = /assigned to the default CPU EP/;

/** A tensor as it crosses to another process. */
export interface WireTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export const toWire = (tensor: Tensor): WireTensor => ({
  dtype: tensor.dtype,
  shape: tensor.shape,
  bytes: tensor.bytes(),
});

export const fromWire = (name: string, { dtype, shape, bytes }: WireTensor): Tensor =>
  Tensor.of(dtype, shape, bytes, { name });

/** An execution that is over, in the form of a session that is asked for one feed after the other. */
export function replay(execution: Execution): {
  readonly outputs: readonly Port[];
  run(feed: Feed): Promise<Record<string, Tensor>>;
} {
  let at = 0;
  return {
    outputs: Object.keys(execution.outputs[0] ?? {}).map((name) => ({ name, type: undefined })),
    run: async () => execution.outputs[at++]!,
  };
}
