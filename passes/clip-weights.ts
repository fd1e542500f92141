/**
 * Scales that cut off: a scale that fits a row's largest weight is coarser for all others. Of 81 scales, down to a fifth
 * of it, each row takes the one with the least Σ (w − ŵ)², beyond which weights saturate.
 */
import { definePass, quantizedBias, quantizedWeight, setConstant } from '../src/index.js';
import { type QuantizedLayer, quantizedLayers } from './quantized/layer.js';
import { scaleFloorOf } from './quantized/store.js';
import { counted, unlessWorse } from './quantized/trial.js';

export const clipWeights = definePass({
  name: 'clip-weights',
  doc: 'scales that fit each row of weights → those with the least squared error, clipping included',
  needs: ['typed'],
  async run(model, context) {
    const layers = quantizedLayers(model, context.decline).filter(({ spec }) => spec.search === 'absmax');
    if (layers.length === 0) return;
    await unlessWorse(model, layers, context, {
      pass: this.name,
      what: counted(layers.length, 'weight'),
      done: 'clipped',
      undone: 'left as wide as they are',
      change() {
        for (const layer of layers) {
          clip(layer);
          context.changed('scales with the least squared error', layer.readers[0]!.node);
        }
      },
    });
  },
});

function clip(layer: QuantizedLayer): void {
  const { q, scale, spec, readers, weight } = layer;
  const scaleFloor = scaleFloorOf(layer);
  const fitted = quantizedWeight(weight, { ...spec, search: 'mse', ...(scaleFloor && { scaleFloor }) });
  const shape = scale.constant!.shape;
  setConstant(q, fitted.q.with({ name: q.constant!.name }));
  setConstant(scale, fitted.scale.with({ shape, name: scale.constant!.name }));
  for (const { bias } of readers) {
    if (bias?.kind !== 'int32') continue;
    const { name } = bias.q.constant!;
    setConstant(bias.q, quantizedBias(bias.float, bias.inputScale, scale.constant!).q.with({ name }));
  }
}
