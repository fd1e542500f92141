import type { Variable } from './tape.js';

export interface AdamOptions {
  readonly rate: number;
  readonly steps: number;
  /** Share of steps in which the rate grows from 0; afterwards it falls to 0 along a cosine. */
  readonly warmup?: number;
  /** Pulls matrices, not vectors, towards zero. */
  readonly decay?: number;
}

/** AdamW over a list of parameters, betas 0.9 and 0.999. */
export class Adam {
  readonly #options: Required<AdamOptions>;
  readonly #slots: readonly { parameter: Variable; first: Float32Array; second: Float32Array }[];
  #step = 0;

  constructor(parameters: readonly Variable[], options: AdamOptions) {
    this.#options = { warmup: 0.05, decay: 0.01, ...options };
    this.#slots = parameters.map((parameter) => ({
      parameter,
      first: new Float32Array(parameter.data.length),
      second: new Float32Array(parameter.data.length),
    }));
  }

  /** Moves every parameter by its gradient, then clears the gradients. */
  step(): void {
    const { rate, steps, warmup, decay } = this.#options;
    this.#step += 1;
    const done = this.#step / steps;
    const pace =
      rate *
      (done < warmup ? done / warmup : 0.5 + 0.5 * Math.cos((Math.PI * (done - warmup)) / (1 - warmup)));
    const firstGain = 1 - 0.9 ** this.#step;
    const secondGain = 1 - 0.999 ** this.#step;
    for (const { parameter, first, second } of this.#slots) {
      const { data, gradient } = parameter;
      const pull = parameter.rows > 1 ? pace * decay : 0;
      for (let i = 0; i < data.length; i++) {
        const slope = gradient[i]!;
        first[i]! += 0.1 * (slope - first[i]!);
        second[i]! += 0.001 * (slope * slope - second[i]!);
        const move = first[i]! / firstGain / (Math.sqrt(second[i]! / secondGain) + 1e-8);
        data[i]! -= pace * move + pull * data[i]!;
      }
      parameter.clearGradient();
    }
  }
}
