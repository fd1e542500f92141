import type { InferenceSession } from 'onnxruntime-web';
import { QuantcError } from '../errors/error.js';
import { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Type } from '../ir/type.js';
import type { NativeSession, Runtime, Settings } from './face.js';
import { withoutPast } from './first-run.js';
import { loadRuntime } from './load.js';
import { place } from './place.js';
import { releaseBuffers } from './release.js';
import { fromRuntime, toRuntime, typeOfMetadata } from './tensor.js';

/** How far ONNX Runtime may rewrite the graph. `off` computes what the file says, node by node. */
export type Optimization = 'off' | 'basic' | 'extended' | 'all';

/** Session configuration by ONNX Runtime's own keys, nested at their dots; values are strings. */
export interface ExtraOptions {
  readonly [key: string]: string | ExtraOptions;
}

export interface SessionOptions {
  /** Default `all`, as an application runs it. */
  readonly optimization?: Optimization;
  /** Threads inside a node; ONNX Runtime takes one a core when it is not said. */
  readonly threads?: number;
  /** Executors in order of preference; default the CPU's. */
  readonly providers?: readonly (string | { readonly name: string })[];
  /** E.g. `{ session: { x64quantprecision: '1' } }` for `session.x64quantprecision`. */
  readonly extra?: ExtraOptions;
  /** Prefix of the file that profiling writes; see `profile.ts`. */
  readonly profile?: string;
  /** Where ONNX Runtime writes the graph as it will run it. */
  readonly optimizedPath?: string;
}

/** One input or output: the type is absent for sequences, maps and optionals, which cannot cross into JavaScript. */
export interface Port {
  readonly name: string;
  readonly type: Type | undefined;
}

const LEVELS = { off: 'disabled', basic: 'basic', extended: 'extended', all: 'all' } as const;

/**
 * Opens a session on a model, on encoded bytes, or on a file. A model too large for one protobuf message, or for
 * being held twice, goes through a temporary file.
 * @throws QuantcError E_RUNTIME_MISSING without ONNX Runtime, E_RUNTIME_LOAD when it refuses the model.
 */
export async function openSession(
  model: Model | Uint8Array | string,
  options: SessionOptions = {},
): Promise<Session> {
  const runtime = await loadRuntime();
  const file = typeof model === 'string' ? model : model instanceof Model ? model.file : undefined;
  const placed = model instanceof Model ? await place(model) : { source: model, remove: undefined };
  try {
    const native = await runtime.create(placed.source, settingsOf(options));
    return new Session(runtime, native, file, placed.remove);
  } catch (cause) {
    placed.remove?.();
    if (cause instanceof QuantcError) throw cause;
    throw new QuantcError('E_RUNTIME_LOAD', `ONNX Runtime refuses the model: ${messageOf(cause)}`, {
      place: { file },
      cause,
    });
  }
}

function settingsOf(options: SessionOptions): Settings {
  return {
    graphOptimizationLevel: LEVELS[options.optimization ?? 'all'],
    // What goes wrong is thrown as well; the log would only clutter the terminal.
    logSeverityLevel: 4,
    ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
    ...(options.providers ? { executionProviders: options.providers } : {}),
    ...(options.extra ? { extra: options.extra } : {}),
    ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
    ...(options.optimizedPath ? { optimizedModelFilePath: options.optimizedPath } : {}),
  };
}

/** A loaded model, ready to run. Holds native memory of about the weights' size until {@link release}. */
export class Session {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly #runtime: Runtime;
  readonly #native: NativeSession;
  readonly #file: string | undefined;
  readonly #cleanUp: (() => void) | undefined;
  #released = false;

  /** @internal Made by {@link openSession}. */
  constructor(runtime: Runtime, native: NativeSession, file?: string, cleanUp?: () => void) {
    this.#runtime = runtime;
    this.#native = native;
    this.#file = file;
    this.#cleanUp = cleanUp;
    const port = (each: InferenceSession.ValueMetadata): Port => ({
      name: each.name,
      type: typeOfMetadata(each),
    });
    this.inputs = native.inputMetadata.map(port);
    this.outputs = native.outputMetadata.map(port);
  }

  /**
   * Runs the model once.
   * @param feeds a tensor an input, by name; names that the model does not have are refused. A decoder's cache may be
   * left out, with its mask and positions: then nothing is past (see `first-run.ts`).
   * @param wanted which outputs to compute and return; all when it is not said.
   * @param into tensors whose memory ONNX Runtime writes these outputs to, and which are then returned; they must have
   * the very shapes that the run gives.
   * @throws QuantcError E_RUNTIME_FEED for a missing or unknown input, E_RUNTIME_DTYPE for a dtype that cannot
   * cross, E_RUNTIME_RUN when ONNX Runtime fails.
   */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    wanted?: readonly string[],
    into?: ReadonlyMap<string, Tensor>,
  ): Promise<Record<string, Tensor>> {
    const native = this.#convert(feeds);
    const fetches: Record<string, ReturnType<typeof toRuntime> | null> = {};
    for (const name of wanted ?? this.outputs.map((output) => output.name)) {
      const place = into?.get(name);
      fetches[name] = place ? toRuntime(this.#runtime, name, place) : null;
    }
    try {
      const results = await this.#native.run(native, fetches);
      const tensors: Record<string, Tensor> = {};
      const copies: ArrayBuffer[] = [];
      for (const [name, result] of Object.entries(results)) {
        const place = into?.get(name);
        tensors[name] = place ?? fromRuntime(name, result);
        // What was written to its place is answered once more, as a copy that nobody wants.
        if (place && fetches[name]!.data !== result.data)
          copies.push((result.data as Float32Array).buffer as ArrayBuffer);
      }
      if (copies.length > 0) releaseBuffers(copies);
      return tensors;
    } catch (cause) {
      throw new QuantcError('E_RUNTIME_RUN', `ONNX Runtime fails to run the model: ${messageOf(cause)}`, {
        place: { file: this.#file },
        cause,
      });
    }
  }

  /**
   * Converts feeds once for many runs of the same data, so that a clock around the run sees the kernels alone.
   * @returns a function that runs the model and drops the results.
   */
  prepare(feeds: Readonly<Record<string, Tensor>>): () => Promise<void> {
    const native = this.#convert(feeds);
    return async () => {
      await this.#native.run(native);
    };
  }

  #convert(given: Readonly<Record<string, Tensor>>): InferenceSession.FeedsType {
    const feeds = withoutPast(this.inputs, given);
    const native: Record<string, ReturnType<typeof toRuntime>> = {};
    const known = new Set(this.inputs.map((input) => input.name));
    for (const input of this.inputs) {
      const tensor = feeds[input.name];
      if (tensor === undefined) throw this.#feedError(`no tensor is given for input "${input.name}"`);
      native[input.name] = toRuntime(this.#runtime, input.name, tensor);
    }
    // onnxruntime-node would pass over a name that it does not know, overridable initializers included.
    const stranger = Object.keys(feeds).find((name) => !known.has(name));
    if (stranger !== undefined) throw this.#feedError(`the model takes no input "${stranger}"`);
    return native;
  }

  #feedError(message: string): QuantcError {
    return new QuantcError('E_RUNTIME_FEED', message, {
      place: { file: this.#file },
      hint: `The model's inputs are ${this.inputs.map((input) => `"${input.name}"`).join(', ') || 'none'}.`,
    });
  }

  /** Closes the profile's file, for a session opened with `profile`. */
  endProfiling(): void {
    this.#native.endProfiling();
  }

  /** Gives the native memory back. Further calls do nothing. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#native.release();
    this.#cleanUp?.();
  }
}

/** Opens a session, hands it on, and releases it whatever happens. */
export async function withSession<T>(
  model: Model | Uint8Array | string,
  options: SessionOptions,
  use: (session: Session) => Promise<T> | T,
): Promise<T> {
  const session = await openSession(model, options);
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

/** ONNX Runtime's message on one line, without its source paths and C++ signatures. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text
    .replace(/^.*?ERROR_MESSAGE: /s, '')
    .replace(/\s+/g, ' ')
    .replace(/\S*?[\w.-]+\.(?:cc|h):\d+ .*?\)(?: const)? (?=[A-Z])/g, '')
    .trim();
}
