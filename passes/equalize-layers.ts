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
