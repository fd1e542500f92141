/**
 * SmoothQuant (Xiao et al., 2023, section 4): some channels of what a normalization gives are far larger than the others,
 * in every token, and one step for all of them leaves the others few bits. The normalization's own weights take a factor
 * for each channel in, and so do all products that read it (query, key and value; gate and up):
 *   norm(x; γ, β)·W  =  norm(x; s·γ, s·β)·(S⁻¹·W)
 * The paper's s = max|x|^α / max|W|^(1−α) with one α is one of the candidates here; see `channels/choose.ts`. Where the
 * normalized value is read by a residual sum as well, as in post-norm encoders, it keeps its size.
 */
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
