/** A transformer encoder over pieces of a signal: layers of attention and a Gelu network, normalized before each. */
import { attention } from '../train/attention.js';
import { add, addPeriodic, gelu, linear, meanOfRows } from '../train/layers.js';
import { layerNorm } from '../train/normalization.js';
import type { Parameters } from '../train/parameters.js';
import { type Tape, Variable } from '../train/tape.js';
import { KINDS, LENGTH } from './signals.js';

/** A token is a piece of this many samples. */
export const PIECE = 16;
export const TOKENS = LENGTH / PIECE;
export const WIDTH = 64;
export const HEADS = 4;
const HIDDEN = 128;
const LAYERS = 3;

/** Stored bytes become `byte / 64 − 2`. */
export const SCALE = 1 / 64;
export const MEAN = 2;

/** Weight [out, in] and bias. */
export interface Linear {
  readonly weight: Variable;
  readonly bias: Variable;
}

/** Scale and bias of a layer normalization. */
export interface Norm {
  readonly scale: Variable;
  readonly bias: Variable;
}

export interface Layer {
  readonly attentionNorm: Norm;
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly networkNorm: Norm;
  readonly up: Linear;
  readonly down: Linear;
}

export interface SignalNetwork {
  readonly embed: Linear;
  readonly positions: Variable;
  readonly layers: readonly Layer[];
  readonly lastNorm: Norm;
  readonly head: Linear;
}

/** Draws the initial weights. */
export function makeNetwork(parameters: Parameters): SignalNetwork {
  const dense = (inputs: number, outputs: number, gain = 1): Linear => ({
    weight: parameters.matrix(outputs, inputs, gain / Math.sqrt(inputs)),
    bias: parameters.row(outputs, 0),
  });
  const norm = (): Norm => ({ scale: parameters.row(WIDTH, 1), bias: parameters.row(WIDTH, 0) });
  return {
    embed: dense(PIECE, WIDTH),
    positions: parameters.matrix(TOKENS, WIDTH, 0.3),
    layers: Array.from({ length: LAYERS }, () => ({
      attentionNorm: norm(),
      query: dense(WIDTH, WIDTH),
      key: dense(WIDTH, WIDTH),
      value: dense(WIDTH, WIDTH),
      output: dense(WIDTH, WIDTH, 0.5),
      networkNorm: norm(),
      up: dense(WIDTH, HIDDEN),
      down: dense(HIDDEN, WIDTH, 0.5),
    })),
    lastNorm: norm(),
    head: dense(WIDTH, KINDS.length, 0.3),
  };
}

/** Logits of a batch of signals. */
export function runNetwork(tape: Tape, network: SignalNetwork, samples: Uint8Array): Variable {
  const input = Float32Array.from(samples, (byte) => byte * SCALE - MEAN);
  const dense = (x: Variable, { weight, bias }: Linear): Variable => linear(tape, x, weight, bias);
  const normed = (x: Variable, { scale, bias }: Norm): Variable => layerNorm(tape, x, scale, bias);
  let x = dense(new Variable(input, samples.length / PIECE, PIECE), network.embed);
  x = addPeriodic(tape, x, network.positions);
  for (const layer of network.layers) {
    const ready = normed(x, layer.attentionNorm);
    const [q, k, v] = [dense(ready, layer.query), dense(ready, layer.key), dense(ready, layer.value)];
    const mixed = attention(tape, q, k, v, { tokens: TOKENS, heads: HEADS });
    x = add(tape, x, dense(mixed, layer.output));
    const inner = gelu(tape, dense(normed(x, layer.networkNorm), layer.up));
    x = add(tape, x, dense(inner, layer.down));
  }
  return dense(meanOfRows(tape, normed(x, network.lastNorm), TOKENS), network.head);
}
