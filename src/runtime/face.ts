/** What this folder uses of ONNX Runtime, alike for the native build and for WebAssembly. */
import type { InferenceSession, Tensor } from 'onnxruntime-web';

/** Which build of ONNX Runtime computes: machine code for this platform, or WebAssembly. */
export type EngineKind = 'native' | 'wasm';

export type Settings = InferenceSession.SessionOptions;

/** A session as {@link Session} uses it. */
export interface NativeSession
  extends Pick<InferenceSession, 'inputMetadata' | 'outputMetadata' | 'endProfiling' | 'release'> {
  /** @param fetches the outputs to compute; a tensor's memory is what its output is written to */
  run(
    feeds: InferenceSession.FeedsType,
    fetches?: InferenceSession.NullableOnnxValueMapType,
  ): Promise<InferenceSession.OnnxValueMapType>;
}

/** ONNX Runtime, of either build. Only this folder knows that there are two. */
export interface Runtime {
  readonly engine: EngineKind;
  readonly version: string;
  readonly Tensor: typeof Tensor;
  /** @param source an encoded model, or the path of one with its external data beside it */
  create(source: Uint8Array | string, settings: Settings): Promise<NativeSession>;
}
