/** What is said of a mix of bits among weights between passes, and to whoever asked for one. */
import { factKey } from '../pipeline/fact.js';

/** Bytes that the weights of the mix may take together; without, as many as all of them at 4 bits would. */
export const weightBytesFact = factKey<number>('weight-bytes');

/** Bits of one weight and of what shares it. */
export interface WeightMixLayer {
  readonly nodes: readonly string[];
  /** `v of layer 3`; absent for weights without a role. */
  readonly role?: string;
  readonly bits: number;
  readonly bytes: number;
  /** Noise of the outputs when it alone has these bits. */
  readonly noise: number;
}

/** What a search for bits found. */
export interface WeightMixReport {
  /** In what noise is: mean divergence in nats, or energy of the error over that of the outputs. */
  readonly metric: 'kl' | 'sqnr';
  readonly samples: number;
  /** Bytes of the weights in the mix, and what the fewest and the most bits of all would take. */
  readonly bytes: number;
  readonly least: number;
  readonly most: number;
  /** Noise of the outputs with the mix, and with 4 bits everywhere, as simulated on those samples. */
  readonly noise: number;
  readonly uniform: number;
  readonly layers: readonly WeightMixLayer[];
}

export const weightMixFact = factKey<WeightMixReport>('weight-mix');
