/** What an author gives quantc: passes, targets, observers and algorithms of their own, under one name. */
import type { Pass } from '../pipeline/pass.js';
import type { Target } from '../target/target.js';
import type { RangeObserver } from './range-observer.js';

/** A pass and where it runs. Exactly one anchor is given. */
export interface PlacedPass {
  readonly pass: Pass;
  /**
   * Name of the pass that it runs before or after, as `quantc passes` lists them; that of another plugin's pass serves,
   * too. An anchor inside a group that is repeated puts the pass into the group. Where the anchor runs several times,
   * so does the pass.
   */
  readonly before?: string;
  readonly after?: string;
}

/** A way to make static int8 answer more like the float model. Each can be switched on and off. */
export interface Algorithm {
  readonly pass: Pass;
  /**
   * Where it works: on the `float` graph before anything is planned; on the `plan`, once ranges are chosen; on the
   * `integers`, once weights and biases are quantized. Those of one stage run in the order of the list.
   */
  readonly stage: 'float' | 'plan' | 'integers';
  /** Paper or section that it follows. */
  readonly source: string;
  /** Whether it runs when nothing is said. */
  readonly byDefault: boolean;
}

/** What a module plugs in. Every part is optional; a plugin without any is refused. */
export interface QuantcPlugin {
  /** Kebab-case. It stands beside everything that the plugin does, and is blamed for what it breaks. */
  readonly name: string;
  /** Passes and rewrites (`rewrite()` gives a pass), each beside a pass that is there. */
  readonly passes?: readonly PlacedPass[];
  /** Their names become values of `--target` and `targets`. */
  readonly targets?: readonly Target[];
  /** Their names become values of `--ranges` and `ranges`. */
  readonly observers?: readonly RangeObserver[];
  /** Their passes' names become values of `--algorithms` and `algorithms`. */
  readonly algorithms?: readonly Algorithm[];
}

/** Gives a plugin back as it is: for the types that an editor shows while it is written. */
export const definePlugin = (plugin: QuantcPlugin): QuantcPlugin => plugin;
