import type { Graph, Model, Node, Value } from '../ir/graph.js';
import type { MatrixEngine } from '../ir/matrix.js';
import type { Tensor } from '../ir/tensor.js';
import type { Judge } from './judge.js';
import type { Ledger } from './ledger.js';
import type { Sketch } from './sketch.js';
import type { WeightTrials } from './weight-trials.js';

/**
 * What a pass may need of the model, or give to it.
 * - `typed`: every value has a dtype, and a shape where ONNX Runtime can tell one. The pipeline restores it by itself.
 * - `opset-21`: the model (and its functions) import ai.onnx 21.
 * - `planned`: the context holds the target's plan. `calibrated`: it holds ranges of every planned value.
 */
export type Fact = 'typed' | 'opset-21' | 'planned' | 'calibrated';

/** What calibration saw of a value. */
export interface Observation {
  readonly min: number;
  readonly max: number;
  /** Narrower ranges that might do better, by the name of the method that found them. */
  readonly alternatives?: Readonly<Record<string, { readonly min: number; readonly max: number }>>;
  /** What was seen, where the way to choose ranges counts elements. */
  readonly sketch?: Sketch;
}

/** The engine's services that a pass may call; `src/runtime` implements them on ONNX Runtime. */
export interface Engine {
  /** Sets the type of every value, subgraphs and function bodies included, as far as ONNX Runtime can infer. */
  inferTypes(model: Model): Promise<void>;
  /**
   * Computes the wanted values from the nodes given, whose other inputs must all be constants. One run for all.
   * Values whose node ONNX Runtime cannot run are absent from the answer.
   */
  evaluate(model: Model, nodes: readonly Node[], wanted: readonly Value[]): Promise<Map<Value, Tensor>>;
  /**
   * Smallest and largest element of each value of the main graph over the calibration data.
   * @param samples at most so many, for a trial; all where no number is said
   * @throws QuantcError E_CALIBRATION_... when there are no data, or a value is NaN or infinite.
   */
  observe(model: Model, values: readonly Value[], samples?: number): Promise<Map<Value, Observation>>;
  /**
   * How alike the outputs of two models are over the first calibration samples: 10·log10(Σ y² / Σ (y − ŷ)²), in dB.
   * Absent when there are no samples.
   */
  likeness?(reference: Model, candidate: Model): Promise<number>;
  /**
   * Runs the model over the first calibration samples, as many as there is room to keep the outputs of, and compares
   * candidates with it. Absent when there are no samples, or no memory to run further models beside the first.
   */
  judge?(reference: Model): Promise<Judge>;
  /**
   * Opens trials of a model with other weights over the first calibration samples, at most so many, and closes them
   * behind `use`. Absent when there are no samples.
   */
  weightTrials?<T>(
    model: Model,
    weights: readonly Value[],
    samples: number,
    use: (trials: WeightTrials) => Promise<T>,
  ): Promise<T>;
  /** Told by a pass that searches for long how much of the search is done, from 0 to 1. */
  onSearch?(share: number): void;
  /**
   * Runs the model over the first calibration samples, one run at a time, and shows what each value held: nothing is
   * kept from run to run but what `see` keeps. The samples come in the same order and the same cuts every time.
   * Absent when there are no samples.
   * @param values of the main graph
   * @param samples at most so many
   */
  watch?(
    model: Model,
    values: readonly Value[],
    samples: number,
    see: (seen: ReadonlyMap<Value, Tensor>) => void | Promise<void>,
  ): Promise<void>;
  /**
   * What an error of each element of some weights costs: the mean square of the slopes of the model's own predictions,
   * over the first calibration samples, at most so many. A reason in words where it has none: outputs that are no
   * distributions, operators without a gradient. Absent when there are no samples.
   */
  costsOf?(
    model: Model,
    weights: readonly Value[],
    samples: number,
  ): Promise<ReadonlyMap<Value, Float64Array> | string>;
  /**
   * Opens an engine for products of large matrices and releases it behind `use`. Absent where there is none: then
   * such products are plain loops, which take a large matrix a hundred times as long.
   */
  withProducts?<T>(use: (products: MatrixEngine) => Promise<T>): Promise<T>;
  /**
   * SHA-256 over what the first calibration samples feed to the model, all of them where no number is said: for keys
   * of {@link remember}. Absent when there are no samples.
   */
  samplesDigest?(samples?: number): string;
  /**
   * The answer to a question whose parts are spelt out in `key`: from the cache where it was asked before, by this
   * compilation or an earlier one, else from `compute`, and kept at once. Absent where nothing is to be kept. Every
   * call answers with data of its own. quantc's code counts among the key by itself; models do by `modelDigest`.
   * @param key everything that the answer depends on, as plain data: digests of models and of data, options
   * @param compute answers in plain data: JSON, non-finite numbers, typed arrays of numbers; it must not depend on
   * anything that the key does not tell. Asked twice at once, it runs once.
   * @throws QuantcError F_CACHE_DATA for what is no plain data (maps, classes, bigints)
   */
  remember?<T>(kind: string, key: readonly unknown[], compute: () => Promise<T>): Promise<T>;
}

/** What a pass works with besides the model. */
export interface PassContext {
  readonly engine: Engine;
  readonly ledger: Ledger;
  /** Says why the pass, or one rewrite of it, left something alone; shown by `QUANTC_TRACE` and the report. */
  decline(reason: string, at?: Node | Value): void;
  /** Says that the pass rewrote something; counted a pass. */
  changed(what: string, at?: Node | Value): void;
  /** Facts of this compilation by key: what one pass leaves for later ones (plan, calibration). */
  readonly facts: Map<string, unknown>;
}

/** One step of the pipeline, as a typed constant. */
export interface Pass {
  /** Kebab-case; the file, the trace and the golden folder carry the same name. */
  readonly name: string;
  /** One line: before → after, and the algebra that makes it right. */
  readonly doc: string;
  readonly needs?: readonly Fact[];
  readonly gives?: readonly Fact[];
  /**
   * A group: these passes run in order, again and again until a round of them changes nothing, before `run`, and at
   * most `rounds` times (default 1). Each is traced and verified on its own.
   */
  readonly passes?: readonly Pass[];
  readonly rounds?: number;
  /** Name of the plugin that it comes from, which is blamed for what it breaks. Set by quantc itself. */
  readonly plugin?: string;
  run(model: Model, context: PassContext): void | Promise<void>;
}

/** Declares a pass; the function only helps the type checker. */
export const definePass = (pass: Pass): Pass => pass;

/** Declares a group of passes that is repeated until it changes nothing, at most `rounds` times. */
export const repeatPasses = (name: string, doc: string, passes: readonly Pass[], rounds: number): Pass => ({
  name,
  doc,
  passes,
  rounds,
  run: () => {},
});

/** The versions of all graphs in order: equal before and after means that nothing was edited. */
export function versionOf(model: Model): string {
  return Array.from(model.graphs(), (graph) => graph.version).join();
}

export type { Graph };
