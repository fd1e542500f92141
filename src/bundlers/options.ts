/** What the plugins for bundlers are told. */
import type { ModelOptions } from '../build/config.js';

/**
 * Options of `compile` count where neither an import nor a config says otherwise. Targets of one's own, and plugins,
 * stand in the config: a bundler's options are sent to other processes.
 */
export interface BundlerOptions extends Omit<ModelOptions, 'targets'> {
  /** Name of the target of imports that name none. */
  readonly target?: string;
  /** Path of the config; `false` for none. Default the nearest `quantc.config.*` beside a model or above. */
  readonly config?: string | false;
  /** Folder of compiled models in the output. Default that of the bundler's assets, else `assets`. */
  readonly assets?: string;
}
