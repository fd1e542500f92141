import { definePass } from '../src/index.js';
import { balance } from './channels/balance.js';
import { endsWithNormalization } from './channels/space.js';

export const smoothQuant = definePass({
  name: 'smooth-quant',
  doc: 'norm(x; γ, β)·W → norm(x; s·γ, s·β)·(S⁻¹·W): outlying channels move from activations into weights',
  needs: ['typed'],
  async run(model, context) {
    await balance(model, context, endsWithNormalization);
  },
});
