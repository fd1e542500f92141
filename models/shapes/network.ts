/** A small residual network over 32 × 32 colour pictures: convolutions with batch normalization and Relu. */
import { conv3x3, depthwise3x3 } from '../train/convolution.js';
import { add, linear, meanOfRows, relu } from '../train/layers.js';
import { type BatchNormState, batchNorm } from '../train/normalization.js';
import type { Parameters } from '../train/parameters.js';
import { type Tape, Variable } from '../train/tape.js';
import { KINDS, SIZE } from './pictures.js';

/** Stored bytes become `(byte / 255 − mean) / std` by channel. */
export const MEAN = [0.5, 0.5, 0.5] as const;
export const STD = [0.25, 0.25, 0.25] as const;

/** One convolution without bias, and the batch normalization after it. */
export interface ConvBlock {
  readonly kind: 'full' | 'depthwise' | 'pointwise';
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
  readonly weight: Variable;
  readonly norm: BatchNormState;
}

export interface ShapesNetwork {
  readonly stem: ConvBlock;
  readonly down: ConvBlock;
  readonly depthwise: ConvBlock;
  readonly pointwise: ConvBlock;
  readonly first: ConvBlock;
  readonly second: ConvBlock;
  readonly last: ConvBlock;
  readonly headWeight: Variable;
  readonly headBias: Variable;
}

/** Draws the initial weights. */
export function makeNetwork(parameters: Parameters): ShapesNetwork {
  const block = (kind: ConvBlock['kind'], inputs: number, outputs: number, stride = 1): ConvBlock => {
    const fanIn = { full: 9 * inputs, depthwise: 9, pointwise: inputs }[kind];
    const deviation = Math.sqrt(2 / fanIn);
    const weight =
      kind === 'depthwise'
        ? parameters.matrix(9, inputs, deviation)
        : parameters.matrix(outputs, fanIn, deviation);
    return { kind, inputs, outputs, stride, weight, norm: parameters.batchNorm(outputs) };
  };
  return {
    stem: block('full', 3, 12),
    down: block('full', 12, 24, 2),
    depthwise: block('depthwise', 24, 24, 2),
    pointwise: block('pointwise', 24, 40),
    first: block('full', 40, 40),
    second: block('full', 40, 40),
    last: block('full', 40, 80, 2),
    headWeight: parameters.matrix(KINDS.length, 80, 0.1),
    headBias: parameters.row(KINDS.length, 0),
  };
}

/** Logits of a batch of pictures. */
export function runNetwork(tape: Tape, network: ShapesNetwork, pixels: Uint8Array): Variable {
  const batch = pixels.length / (SIZE * SIZE * 3);
  const input = Float32Array.from(pixels, (byte, i) => (byte / 255 - MEAN[i % 3]!) / STD[i % 3]!);
  let size = SIZE;
  const conv = (x: Variable, block: ConvBlock): Variable => {
    const pictures = { batch, size };
    size /= block.stride;
    const y =
      block.kind === 'full'
        ? conv3x3(tape, x, pictures, block.weight, block.stride)
        : block.kind === 'depthwise'
          ? depthwise3x3(tape, x, pictures, block.weight, block.stride)
          : linear(tape, x, block.weight);
    return batchNorm(tape, y, block.norm);
  };
  let x = relu(tape, conv(new Variable(input, batch * SIZE * SIZE, 3), network.stem));
  x = relu(tape, conv(x, network.down));
  x = relu(tape, conv(x, network.depthwise));
  x = relu(tape, conv(x, network.pointwise));
  const inner = relu(tape, conv(x, network.first));
  x = relu(tape, add(tape, x, conv(inner, network.second)));
  x = relu(tape, conv(x, network.last));
  return linear(tape, meanOfRows(tape, x, size * size), network.headWeight, network.headBias);
}
