/** What is asked of a compilation, and what it tells while it runs. */
import type { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { PassEvent } from '../pipeline/run.js';
import type { QuantcPlugin } from '../plugin/plugin.js';
import type { Precision } from '../recipe-precisions.js';
import type { Target } from '../target/target.js';
import type { BindingsSettings } from './declared-runtimes.js';
import type { BindingName, FormatName } from './format-name.js';
import type { LayoutName } from './layout-name.js';
import type { NamedShapes } from './named-shapes.js';
import type { CompressionRequest } from './prune-request.js';
import type { RangeMethod } from './range-method.js';
import type { Specialization } from './specialize.js';
import type { WeightRequest } from './weight-request.js';

/** What to compile, for whom, and how. */
export interface CompileRequest extends WeightRequest, CompressionRequest, Specialization {
  /** Path of an .onnx file. It is never written to. */
  readonly model: string;
  /** Names of built-in targets or aliases (`cpu`), or targets of your own. Default `cpu`. */
  readonly targets?: readonly (string | Target)[];
  /** Several shapes: a graph each, `<model>.<target>.<shape>.onnx`, and one file of weights for all of a target's. */
  readonly shapes?: NamedShapes;
  /** Name of the shape that is compiled for, where there are several. */
  readonly shape?: string;
  /** Default `auto`. */
  readonly precision?: Precision;
  /** Data for calibration and for evaluation; see `openData`. */
  readonly calib?: string;
  readonly eval?: string;
  /** Folder for the outputs, made when absent. Default `dist`. */
  readonly out?: string;
  /**
   * What is written beside the .onnx file: `ort` adds files in ONNX Runtime's own format, and the operators that they
   * need. Default `onnx` alone.
   */
  readonly formats?: readonly FormatName[];
  /** The binding that the files are for, where it cannot load or feed all that others can. Default `any`. */
  readonly binding?: BindingName;
  /** How the outputs lie in it; default `flat`. */
  readonly layout?: LayoutName;
  /** Passes, targets, observers and algorithms of your own; see `definePlugin`. */
  readonly plugins?: readonly QuantcPlugin[];
  /** How activation ranges are chosen, by us or by an observer of a plugin; default `auto`. */
  readonly ranges?: RangeMethod | (string & {});
  /** Names of the algorithms that refine static int8; default those that `recipe.ts` marks so, `['none']` for none. */
  readonly algorithms?: readonly string[];
  /** Names or opTypes (with `*`) of nodes that stay float. A pattern that matches nothing is an error. */
  readonly exclude?: readonly string[];
  /**
   * Weights that keep 16 bits, or 8, whatever becomes of the others: by role (`ov`, `v+down@0-1:int8`), layer
   * (`layers:0,3`) or name; see `protection.ts`. A pattern that means nothing is an error.
   */
  readonly protect?: readonly string[];
  /** Nodes, by the patterns of `exclude`, whose activations get 16 bits, as far as the target has kernels for them. */
  readonly wide?: readonly string[];
  /** Gives a decoder inputs and outputs for the keys and values of earlier tokens. Default false. */
  readonly kvCache?: boolean;
  /** Positions to store angles for, where a decoder computes them as it goes. Default 4096. */
  readonly maxPositions?: number;
  /** Most bytes of one external data file; default the target's, else one file however large. */
  readonly dataBytes?: number;
  /** Bytes that the compilation may hold at once. Default 1 GiB. */
  readonly maxMemory?: number;
  /** Threads of every engine inside; the bytes do not depend on it. */
  readonly threads?: number;
  /** Samples of the calibration data that the proof compares outputs on. Default 16. */
  readonly proofSamples?: number;
  /**
   * Folder in which answers that took long are kept for the next compilation; default the package's or the user's
   * cache, see `defaultCacheFolder`. `false` keeps them no longer than this compilation. The bytes do not depend on it.
   */
  readonly cache?: string | false;
  /**
   * Limits such as `top1>=-0.5%` or `sqnr>=20dB and latency<=0.6x`; see `budget.ts`. Static int8 keeps float what it
   * must to meet them.
   */
  readonly budget?: readonly string[];
  /** Writes `quantc.report.html` beside the report: the same as a page. Default false. */
  readonly report?: boolean;
  /** Warnings become errors. */
  readonly strict?: boolean;
  /** Writes `<model>.ts` among the outputs: the model's inputs and outputs as types, and what opens and runs it. */
  readonly bindings?: boolean | BindingsSettings;
  /** Stops the compilation at its next step, with E_ABORTED and nothing left behind. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CompileEvent) => void;
}

/** What a watcher is told while a compilation runs. */
export type CompileEvent =
  | { readonly kind: 'stage'; readonly target: string; readonly stage: Stage }
  | { readonly kind: 'pass'; readonly target: string; readonly event: PassEvent; readonly model: Model }
  /** One of the targets that an alias stands for refuses the model; the others go on. */
  | { readonly kind: 'refused'; readonly target: string; readonly error: QuantcError }
  /** Modules of bindings that are among the outputs, once all of these are there. */
  | { readonly kind: 'bindings'; readonly paths: readonly string[] }
  /** Budgets: one more mix of precisions is compiled. */
  | { readonly kind: 'attempt'; readonly target: string; readonly attempt: number }
  /** How much of the stage that is under way has been done, from 0 to 1. */
  | {
      readonly kind: 'share';
      readonly target: string;
      readonly stage: Stage;
      readonly share: number;
      /** Where files are written: bytes done, and bytes in all. */
      readonly bytes?: readonly [done: number, total: number];
    };

export type Stage = 'read' | 'rewrite' | 'calibrate' | 'search' | 'write' | 'prove' | 'evaluate';
