/** How large what each weight is multiplied with is, over calibration samples. */
import type { Model, PassContext } from '../../src/index.js';
import { momentsOf } from '../quantized/moments.js';
import type { PrunableLayer } from './layers.js';

/** Samples that sizes are taken over. */
const SAMPLES = 64;

/**
 * The root mean square of the inputs of each layer by group and place in a row; all readers of a layer together.
 * @param layers whose readers are all in the main graph
 */
export async function normsOf(
  model: Model,
  layers: readonly PrunableLayer[],
  context: PassContext,
): Promise<Map<PrunableLayer, Float64Array>> {
  const moments = await momentsOf(model, layers, SAMPLES, context, undefined, 'diagonal');
  return new Map(
    layers.map((layer) => {
      const squares = new Float64Array(layer.groups * layer.size);
      let count = 0;
      for (const reader of layer.readers) {
        const { second, count: columns } = moments.get(reader)!;
        second.forEach((part, group) => {
          for (let k = 0; k < part.length; k++) squares[group * layer.size + k]! += part[k]! * columns;
        });
        count += columns;
      }
      return [layer, squares.map((sum) => Math.sqrt(sum / count))];
    }),
  );
}
