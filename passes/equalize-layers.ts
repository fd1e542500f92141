/**
 * Cross-layer equalization (Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction, 2019,
 * section 4.1), of what samples show of activations as well as of weights. One step serves all channels of an
 * activation, so that a channel which is small beside another is given with few bits. Where nothing between two layers
 * minds a factor (Relu, pools, sums of equals; see `channels/ties.ts`), the first layer gives that channel larger and the
 * second reads it smaller:
 *   W₂·act(W₁·x + b)  =  (W₂·S⁻¹)·act(S·W₁·x + S·b)
 * Depthwise convolutions take factors on both sides, residual sums take one factor for all that enters them, and what
 * anybody else reads keeps its size. A Clip from 0 on (ReLU6) stays: channels that reach its end keep their size, others
 * grow up to it, so that it cuts off what the samples did not show of them. High biases are not absorbed: of 22,000
 * channels behind a Relu or Clip, in seven models, fewer than one in a hundred stays clear of zero far enough to gain by it.
 */
import { definePass } from '../src/index.js';
import { balance } from './channels/balance.js';
import { endsWithNormalization } from './channels/space.js';

export const equalizeLayers = definePass({
  name: 'equalize-layers',
  doc: 'W₂·act(W₁·x + b) → (W₂·S⁻¹)·act(S·W₁·x + S·b): channels scaled so that one step serves them all',
  needs: ['typed'],
  async run(model, context) {
    await balance(model, context, (space) => !endsWithNormalization(space));
  },
});
