/**
 * What a session must be told so that a provider takes the file that was made for it, in the words of each binding. Names
 * and values are those of ONNX Runtime 1.30 (include/onnxruntime/core/providers, js/common/lib/inference-session.ts), and
 * of onnxruntime-react-native 1.24.3 (js/react_native/cpp/SessionUtils.cpp).
 */
import type { ProviderTable } from '../target/provider.js';

export type Provider = ProviderTable['provider'];

/** Options of a provider in JavaScript: what stands in `executionProviders`. */
export type JavaScriptProvider = { readonly name: string } & Readonly<
  Record<string, string | number | boolean>
>;

export interface ProviderSettings {
  /** Under which C++, Python, Java and Swift add it. */
  readonly name: string;
  /** Options by name, as `AppendExecutionProvider` takes them; NNAPI has flags instead. */
  readonly options: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** Session configuration that goes with it. */
  readonly session: Readonly<Record<string, string>>;
  /** Threads of ONNX Runtime's own pool, where the provider has one of its own. */
  readonly intraOpNumThreads?: number;
  /** For onnxruntime-node and onnxruntime-web builds that have the provider. */
  readonly javascript: JavaScriptProvider;
  /** For onnxruntime-react-native; absent where its builds cannot be told what the provider needs. */
  readonly reactNative?: JavaScriptProvider;
}

/** COREML_FLAG_CREATE_MLPROGRAM and COREML_FLAG_ONLY_ALLOW_STATIC_INPUT_SHAPES. */
const ML_PROGRAM_STATIC = 0x10 | 0x08;

const SETTINGS: Readonly<Partial<Record<Provider, (half: boolean) => ProviderSettings>>> = {
  coreml: () => ({
    name: 'CoreMLExecutionProvider',
    options: {
      ModelFormat: 'MLProgram',
      MLComputeUnits: 'ALL',
      RequireStaticInputShapes: '1',
      EnableOnSubgraphs: '0',
    },
    session: {},
    javascript: { name: 'coreml', coreMlFlags: ML_PROGRAM_STATIC },
    reactNative: { name: 'coreml', coreMlFlags: ML_PROGRAM_STATIC },
  }),
  nnapi: (half) => ({
    name: 'NnapiExecutionProvider',
    options: {},
    flags: half ? ['CPU_DISABLED', 'USE_FP16'] : ['CPU_DISABLED'],
    session: {},
    javascript: { name: 'nnapi', cpuDisabled: true, ...(half && { useFP16: true }) },
    reactNative: { name: 'nnapi', cpuDisabled: true, ...(half && { useFP16: true }) },
  }),
  xnnpack: () => ({
    name: 'XnnpackExecutionProvider',
    options: { intra_op_num_threads: '4' },
    session: { 'session.intra_op.allow_spinning': '0' },
    intraOpNumThreads: 1,
    javascript: { name: 'xnnpack' },
    reactNative: { name: 'xnnpack' },
  }),
  qnn: (half) => ({
    name: 'QNNExecutionProvider',
    options: {
      backend_type: 'htp',
      htp_performance_mode: 'burst',
      htp_graph_finalization_optimization_mode: '3',
      offload_graph_io_quantization: '0',
      ...(half && { enable_htp_fp16_precision: '1' }),
    },
    session: {},
    javascript: { name: 'qnn', backendType: 'htp', enableFp16Precision: true },
  }),
};

/**
 * @param half arithmetic of the file is float, so that 16 bits may stand for it where the provider asks
 * @returns undefined for what is no execution provider of ONNX Runtime
 */
export const providerSettings = (provider: Provider, half: boolean): ProviderSettings | undefined =>
  SETTINGS[provider]?.(half);
