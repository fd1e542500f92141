/** What a `quantc.config.ts` holds: the models of an app, and what shall become of each. */
import type { CompileRequest } from '../compile/request.js';
import type { QuantcPlugin } from '../plugin/plugin.js';
import type { BuildBindings } from './build-bindings.js';

/** Bytes that all compilations may hold together, where nothing is said. */
export const MAX_MEMORY = 1 << 30;

/** What is decided for a build as a whole, or by the machine that it runs on. */
type Shared =
  | 'report'
  | 'model'
  | 'plugins'
  | 'bindings'
  | 'shape'
  | 'out'
  | 'cache'
  | 'threads'
  | 'maxMemory'
  | 'signal'
  | 'onEvent';

/** How models are compiled: the options of `compile`, each for one model or, as `defaults`, for all. */
export type ModelOptions = Omit<CompileRequest, Shared>;

/** One model of a build. Paths are relative to the folder of the config. */
export interface ModelConfig extends ModelOptions {
  /** Path of an .onnx file. */
  readonly model: string;
}

/** What `quantc build` makes. Paths are relative to the folder of the config. */
export interface QuantcConfig {
  /** Folder for the outputs: a folder in it for each model, and `manifest.json`. Default `dist`. */
  readonly out?: string;
  /** By name: a path, or a path with options. The name is that of the model's folder among the outputs. */
  readonly models: Readonly<Record<string, string | ModelConfig>>;
  /** Passes, targets, observers and algorithms of your own, for all models; see `definePlugin`. */
  readonly plugins?: readonly QuantcPlugin[];
  /** Options of every model that does not say otherwise. */
  readonly defaults?: ModelOptions;
  /** Typed bindings: a TypeScript module for each model, listed in the manifest. Default none. */
  readonly bindings?: boolean | BuildBindings;
  /** Folder in which what was built is kept; default the package's or the user's cache. `false` keeps nothing. */
  readonly cache?: string | false;
  /** Bytes that all compilations may hold together. Default 1 GiB. */
  readonly maxMemory?: number;
  /** Writes `quantc.report.html`: one page for the whole build. Default false. */
  readonly report?: boolean;
  /** Compilations at once. Default: half the cores, as far as `maxMemory` allows. */
  readonly parallel?: number;
}
