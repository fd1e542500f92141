/**
 * AWQ (Lin et al., arXiv 2306.00978): weights that meet large inputs are scaled up before they are rounded, so that they
 * lose less, and what gives those inputs is scaled down; the model's answers stay the same. Scales are powers of the
 * inputs' sizes, the power that leaves least error in the outputs of all products that read them. Here a size is the root
 * of a channel's mean square, the error tr(Dᵀ·E[x·xᵀ]·D), and channels are those that may be scaled at all: values under
 * shared heads are tied to each other, and so is whatever meets in a sum.
 */
import {
  cloneModel,
  definePass,
  floatModelFact,
  isStatic,
  type MatrixEngine,
  type Model,
  type PassContext,
  QuantcError,
  type RoundSpec,
  simulatedWeight,
  targetFact,
  type WeightBits,
  weightBitsFact,
  weightFact,
} from '../src/index.js';
import { ChannelGraph, HELD, type Space } from './channels/graph.js';
import { type Factors, rescale } from './channels/rescale.js';
import { blockSizeFor, planWith } from './quantize-weights-nbits/plan.js';
import { type Product, productOf } from './quantize-weights-nbits/products.js';
import { withMatrices } from './quantized/large-layers.js';
import { type MomentReader, type Moments, momentsOf, partsOf } from './quantized/moments.js';

const SAMPLES = 64;
/** Powers that are tried. */
const POWERS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/** No channel is scaled by more than this against another. */
const REACH = 64;
/** Rows of a weight whose errors an engine multiplies; smaller ones are done sooner without. */
const LARGE = 512;
/** Columns of errors that lie in memory at a time. */
const COLUMNS = 1024;

export const scaleSalientChannels = definePass({
  name: 'scale-salient-channels',
  doc: 'x·W → (x·S⁻¹)·(S·W), S in what gives x: weights of large inputs are rounded in finer steps',
  needs: ['typed'],
  async run(model, context) {
    const choice = weightFact.find(context);
    if (choice?.scaled !== true) return;
    if (context.engine.watch === undefined) {
      throw new QuantcError('E_CALIBRATION_MISSING', 'channels can be scaled over calibration data alone', {
        kind: 'usage',
        hint: 'Give data with --calib, or choose another --weight-method.',
      });
    }
    const target = targetFact.get(context);
    const assigned = weightBitsFact.find(context);
    const plan = { target, form: target.weightOnly!.form, choice, blockSize: blockSizeFor(target, choice) };
    await scaleChannels(model, context, ({ node, tensor, axis }) => {
      const bits = assigned?.get(node)?.bits ?? choice.bits;
      if (bits === 16) return undefined;
      const { blockSize } = planWith(plan, bits as WeightBits, tensor.shape[axis]!);
      const { symmetric = false, method = 'mse' } = choice;
      const shape = tensor.shape as readonly [number, number];
      return { shape, axis, bits, blockSize, symmetric, method, half: tensor.dtype === 'float16' };
    });
    if (floatModelFact.find(context)) floatModelFact.set(context, cloneModel(model).model);
  },
});

/** A product that reads scaled channels, and what will become of its weight. */
interface Reader {
  readonly product: Product;
  readonly spec: RoundSpec;
  readonly moments: Moments;
}

/** Scales in place. @param specOf how a product's weight will be quantized; nothing where it stays */
export const scaleChannels = (
  model: Model,
  context: PassContext,
  specOf: (product: Product) => RoundSpec | undefined,
): Promise<void> => withMatrices(context, (matrices) => scaleBy(matrices, model, context, specOf));

async function scaleBy(
  matrices: MatrixEngine | undefined,
  model: Model,
  context: PassContext,
  specOf: (product: Product) => RoundSpec | undefined,
): Promise<void> {
  const channels = new ChannelGraph(model.graph);
  const found = channels.spaces().flatMap((space) => {
    const products = space.readers.flatMap((node) => {
      const product = productOf(node);
      return typeof product === 'object' && node.graph === model.graph && isStatic(product.tensor.shape)
        ? [product]
        : [];
    });
    const specs = products.map((product) => ({ product, spec: specOf(product) }));
    // Moments are wanted whole.
    const fits = specs.every(
      ({ spec }) => spec !== undefined && partsOf(layerOf(spec.shape[spec.axis]!), matrices?.largest) === 1,
    );
    // A reader that keeps its weight would have to be scaled, too, and gains nothing.
    return specs.length > 0 && specs.length === space.readers.length && fits ? [{ space, specs }] : [];
  });
  const factors = new Map<number, number>();
  for (const { space, specs } of found) {
    const { product: first } = specs[0]!;
    const inputs = new Set(specs.map(({ product }) => product.node.inputs[0]!));
    if (inputs.size > 1) continue;
    const [input] = inputs;
    const reader: MomentReader = { node: first.node, input: input! };
    const layer = { ...layerOf(first.tensor.shape[first.axis]!), readers: [reader] };
    const moments = (await momentsOf(model, [layer], SAMPLES, context, matrices)).get(reader)!;
    const readers = specs.map(({ product, spec }) => ({ product, spec: spec!, moments }));
    const best = await bestOf(space, channels, readers, matrices);
    if (best === undefined) context.decline('its channels are as even as they need be', first.node);
    else {
      context.changed(`channels scaled by the power ${best.power} of their inputs`, first.node);
      for (const [variable, factor] of best.factors) factors.set(variable, factor);
    }
  }
  if (factors.size > 0) rescale(model.graph, channels, factors);
}

const layerOf = (size: number) => ({ size, groups: 1, kernel: [], readers: [] });

async function bestOf(
  space: Space,
  channels: ChannelGraph,
  readers: readonly Reader[],
  matrices: MatrixEngine | undefined,
): Promise<{ factors: Factors; power: number } | undefined> {
  const [{ product, moments }] = readers as [Reader];
  const input = product.node.inputs[0]!;
  const [second] = moments.second;
  const size = Math.sqrt(second!.length);
  if (moments.second.length !== 1) return undefined;
  const variables = Array.from({ length: size }, (_, k) => channels.variable(input, k));
  if (variables.every((variable) => variable === HELD)) return undefined;
  // Channels that are scaled together are as large as the largest of them.
  const sizes = new Map<number, number>();
  for (const [k, variable] of variables.entries())
    sizes.set(variable, Math.max(sizes.get(variable) ?? 0, Math.sqrt(second![k * size + k]!)));
  const even = readers.map(({ product: { tensor } }) => tensor.toFloat32());
  let best: { factors: Factors; power: number } | undefined;
  let least = await errorOf(even, undefined);
  for (const power of POWERS) {
    const raw = new Map(
      Array.from(sizes, ([variable, each]) => [
        variable,
        variable === HELD ? 1 : Math.max(each, 1e-4) ** power,
      ]),
    );
    const free = [...raw].filter(([variable]) => variable !== HELD).map(([, each]) => each);
    const middle = Math.sqrt(Math.max(...free) * Math.min(...free));
    const scales = new Map(
      Array.from(raw, ([variable, each]) => [variable, variable === HELD ? 1 : within(each / middle)]),
    );
    const error = await errorOf(
      even,
      variables.map((variable) => scales.get(variable)!),
    );
    if (error < least) {
      least = error;
      const factors = new Map(Array.from(scales, ([variable, scale]) => [variable, 1 / scale]));
      factors.delete(HELD);
      best = { factors, power };
    }
  }
  const own = new Set(space.variables);
  return best && { ...best, factors: new Map([...best.factors].filter(([variable]) => own.has(variable))) };

  async function errorOf(
    weights: readonly Float32Array[],
    scales: readonly number[] | undefined,
  ): Promise<number> {
    let sum = 0;
    for (const [at, { spec }] of readers.entries())
      sum += await errorIn(weights[at]!, spec, scales, second!, matrices);
    return sum;
  }
}

/** To eight significant bits, as far as scales may go: what machines measure differently in the last bits, files do not. */
function within(scale: number): number {
  const bounded = Math.min(Math.max(scale, 1 / REACH), REACH);
  const step = 2 ** (Math.floor(Math.log2(bounded)) - 7);
  return Math.round(bounded / step) * step;
}

/** tr(Dᵀ·A·D) of a weight that is scaled, rounded, and scaled back. */
async function errorIn(
  values: Float32Array,
  spec: RoundSpec,
  scales: readonly number[] | undefined,
  second: Float64Array,
  matrices: MatrixEngine | undefined,
): Promise<number> {
  const { shape, axis } = spec;
  const [inner, columns] = [shape[axis]!, shape[1 - axis]!];
  const at = (k: number, column: number): number => (axis === 0 ? k * columns + column : column * inner + k);
  const scaled = new Float32Array(values.length);
  for (let k = 0; k < inner; k++)
    for (let c = 0; c < columns; c++) scaled[at(k, c)] = values[at(k, c)]! * (scales?.[k] ?? 1);
  const rounded = simulatedWeight(scaled, spec);
  let error = 0;
  const columnOf = (c: number, d: Float64Array): void => {
    for (let k = 0; k < inner; k++) d[k] = (rounded[at(k, c)]! - scaled[at(k, c)]!) / (scales?.[k] ?? 1);
  };
  if (matrices !== undefined && inner > LARGE) {
    for (let first = 0; first < columns; first += COLUMNS) {
      const rows = Math.min(COLUMNS, columns - first);
      const a = new Float64Array(rows * inner);
      for (let r = 0; r < rows; r++) columnOf(first + r, a.subarray(r * inner, (r + 1) * inner));
      // A is symmetric: D·A is D·Aᵀ.
      const b = second as Float64Array<ArrayBuffer>;
      const by = await matrices.multiply({ a, b, rows, columns: inner, depth: inner });
      for (let i = 0; i < a.length; i++) error += a[i]! * by[i]!;
    }
    return error;
  }
  const d = new Float64Array(inner);
  for (let c = 0; c < columns; c++) {
    columnOf(c, d);
    for (let i = 0; i < inner; i++) {
      let sum = 0.5 * second[i * inner + i]! * d[i]!;
      for (let j = 0; j < i; j++) sum += second[i * inner + j]! * d[j]!;
      error += 2 * d[i]! * sum;
    }
  }
  return error;
}
