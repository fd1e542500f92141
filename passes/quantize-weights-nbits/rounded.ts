/** Weights of products rounded together over calibration samples (GPTQ). */
import {
  type BlockBytes,
  BlockPacker,
  type BlockSpec,
  type Model,
  type PassContext,
  QuantcError,
  roundIntoBy,
  type Tensor,
  type WeightBits,
  type WeightChoice,
  Widened,
} from '../../src/index.js';
import { withMatrices } from '../quantized/large-layers.js';
import { adaptively } from './adaptive.js';
import { visitLayers } from './layers.js';
import type { Plan, PlannedProduct } from './plan.js';

/** More weights would take too much time, and their integers too much memory until the file is written. */
const MOST_WEIGHTS = 1 << 27;
/** Results of weights that are known ahead, by constant: the product sums over `axis`. */
export type Rounded = Map<
  Tensor,
  { readonly axis: 0 | 1; readonly bits: WeightBits; readonly blockSize: number; readonly bytes: BlockBytes }
>;

/**
 * Rounds the weights of products of the main graph, where samples are to be had; the others are left to be rounded one
 * by one.
 * @param storedAs the constant that a product's weight is stored as, where that is another one
 * @throws QuantcError E_CALIBRATION_MISSING when it must be done and there are no samples
 */
export async function roundedWeights(
  model: Model,
  products: readonly PlannedProduct[],
  choice: WeightChoice,
  storedAs: (tensor: Tensor) => Tensor | undefined,
  context: PassContext,
): Promise<Rounded> {
  const rounded: Rounded = new Map();
  const { together, rounding } = choice;
  if (together === undefined) return rounded;
  if (context.engine.watch === undefined) {
    if (together === 'with-samples') return rounded;
    throw new QuantcError(
      'E_CALIBRATION_MISSING',
      'weights are rounded together over calibration data, which this model cannot draw from itself',
      {
        kind: 'usage',
        hint: 'Give data with --calib, or choose another --weight-method.',
      },
    );
  }
  const weights = products.reduce((sum, { tensor }) => sum + tensor.count, 0);
  if (weights > MOST_WEIGHTS) {
    const message = `weights were rounded one by one: rounding ${weights} of them together would take too long`;
    context.ledger.note('info', 'weights-together', message);
    return rounded;
  }
  await withMatrices(context, async (matrices) => {
    const round: ReturnType<typeof adaptively> = rounding?.adaptive
      ? adaptively(context)
      : (...what) => roundIntoBy(matrices, ...what);
    await visitLayers(model, products, rounding ?? {}, context, matrices, async (product, metrics) => {
      const tensor = storedAs(product.tensor) ?? product.tensor;
      const axis = tensor === product.tensor ? product.axis : 1;
      if (rounded.has(tensor)) return undefined;
      const spec = specOf(tensor, axis, product.plan);
      const packer = new BlockPacker(spec);
      const widened = new Widened(spec);
      await round(tensor.toFloat32(), spec, metrics, (...block) => {
        packer.put(...block);
        widened.put(...block);
      });
      const { bits, blockSize } = spec;
      rounded.set(tensor, { axis, bits, blockSize, bytes: packer.bytes });
      context.changed('rounded together with the other weights of the product', product.node);
      return tensor === product.tensor ? widened.values : undefined;
    });
  });
  return rounded;
}

function specOf(tensor: Tensor, axis: 0 | 1, { choice, blockSize }: Plan): BlockSpec {
  const { bits, symmetric = false, method = 'mse' } = choice;
  const shape = tensor.shape as readonly [number, number];
  return { shape, axis, bits, blockSize, symmetric, method, half: tensor.dtype === 'float16' };
}
