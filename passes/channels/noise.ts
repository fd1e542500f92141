/**
 * What quantization costs at the readers of a space of channels, for any choice of factors. To first order and with
 * errors that are uniform and independent (step²/12), a product y = W·x whose channels are scaled by a gains
 *   Δx²/12 · Σ W²/a²             from its activation, one step Δx for all channels
 *   Σ_o Δw_o²/12 · Σ a²·E[x²]    from its weights, one step Δw_o for each output o (or one for all)
 * in units of y, which is what they are divided by: Σ W²·E[x²].
 */
import { type Node, type NodePlan, realsOf, roleOf, type Target, type Value } from '../../src/index.js';
import { asLinear, type Linear } from '../algebra/linear.js';
import type { ChannelStatistics } from './statistics.js';

/** Factor of each channel of a value. */
export type FactorsOf = (value: Value) => Float64Array;

/** A planned integer product that reads a space. */
export class Reader {
  readonly node: Node;
  readonly value: Value;
  readonly #form: Linear;
  readonly #weights: Readonly<Float32Array | Float64Array>;
  readonly #statistics: ChannelStatistics;
  readonly #steps: number;
  readonly #limit: number;
  readonly #perOutput: boolean;

  constructor(plan: NodePlan, statistics: ChannelStatistics, target: Target) {
    this.node = plan.node;
    this.value = plan.node.inputs[0]!;
    this.#form = asLinear(plan.node);
    this.#weights = realsOf(this.#form.weight);
    this.#statistics = statistics;
    this.#steps = 255;
    this.#limit = target.weight.limit;
    this.#perOutput = plan.row.weightAxis?.(plan.node) !== undefined;
  }

  /** Whether it is an integer product whose first input is quantized. */
  static reads(plan: NodePlan | undefined): plan is NodePlan {
    return plan !== undefined && plan.row.kind === 'compute' && roleOf(plan.row, 1) === 'weight';
  }

  /** Largest magnitude of the weights that each channel meets, relative to the output that it meets them in. */
  reach(): Float64Array {
    const reach = new Float64Array(this.#form.inputs);
    const most = new Float64Array(this.#form.outputs);
    this.#each((o, _c, w) => {
      most[o] = Math.max(most[o]!, Math.abs(w));
    });
    this.#each((o, c, w) => {
      if (most[o]! > 0) reach[c] = Math.max(reach[c]!, Math.abs(w) / most[o]!);
    });
    return reach;
  }

  /** Noise over signal at its output. */
  noise(factorsOf: FactorsOf): number {
    const a = factorsOf(this.value);
    const { min, max, power } = this.#statistics;
    let [least, most] = [0, 0];
    for (let c = 0; c < a.length; c++) {
      least = Math.min(least, a[c]! * min[c]!);
      most = Math.max(most, a[c]! * max[c]!);
    }
    const step = (most - least) / this.#steps;
    const { outputs } = this.#form;
    const largest = new Float64Array(outputs);
    const scaledPower = new Float64Array(outputs);
    let [fromActivation, signal] = [0, 0];
    this.#each((o, c, w) => {
      const factor = a[c]!;
      largest[o] = Math.max(largest[o]!, Math.abs(w) / factor);
      scaledPower[o]! += factor * factor * power[c]!;
      fromActivation += (w / factor) ** 2;
      signal += w * w * power[c]!;
    });
    if (!this.#perOutput) largest.fill(largest.reduce((a, b) => Math.max(a, b), 0));
    let fromWeights = 0;
    for (let o = 0; o < outputs; o++) fromWeights += (largest[o]! / this.#limit) ** 2 * scaledPower[o]!;
    return signal === 0 ? 0 : (step * step * fromActivation + fromWeights) / 12 / signal;
  }

  /** Visits every weight with the channels that it connects. */
  #each(visit: (output: number, input: number, weight: number) => void): void {
    const { a, b, taps, outputOf, inputOf } = this.#form;
    for (let i = 0, at = 0; i < a; i++)
      for (let j = 0; j < b; j++) {
        const [o, c] = [outputOf(i, j), inputOf(i, j)];
        for (let k = 0; k < taps; k++) visit(o, c, this.#weights[at++]!);
      }
  }
}
