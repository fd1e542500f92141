/** What training starts from: weights rounded together over the samples that it will train on (GPTQ). */
import { visitLayers } from '../../../passes/quantize-weights-nbits/layers.js';
import { type Product, productOf } from '../../../passes/quantize-weights-nbits/products.js';
import type { DataSet } from '../../calibration/dataset.js';
import { watch } from '../../calibration/watch.js';
import type { Model } from '../../ir/graph.js';
import { Tensor } from '../../ir/tensor.js';
import { Ledger } from '../../pipeline/ledger.js';
import type { PassContext } from '../../pipeline/pass.js';
import type { BlockFit, GridBits } from '../../quant/block-fit.js';
import { type RoundSpec, roundIntoBy } from '../../quant/round-blocks.js';
import { createEngine } from '../../runtime/engine.js';
import { withProducts } from '../../runtime/products.js';
import type { Grid } from '../../training/fake-quant.js';
import type { Start } from './plan.js';

/**
 * Where weights start: `rtn`, each at the nearest points of the grid with the least squared error; `gptq` and
 * `gptq-sequential`, products rounded together over samples, with zero points; `auto`, GPTQ where there are products,
 * else the nearest points.
 */
export const STARTS = ['auto', 'rtn', 'gptq', 'gptq-sequential'] as const;
export type StartMethod = (typeof STARTS)[number];

/** More weights take longer to be rounded together than training would. */
const MOST_WEIGHTS = 2 ** 27;
const MATRIX_BYTES = 2 ** 30;

export interface RoundedStart {
  readonly method: 'gptq' | 'gptq-sequential';
  /** By initializer; absent: it is not rounded. */
  readonly bitsOf: (name: string) => number | undefined;
  /** Absent: one scale an output channel. */
  readonly blockSize?: number;
  readonly threads?: number;
}

/**
 * Products of a canonical model, rounded together over samples, by name of the weight. Convolutions, and weights of
 * other bits than 2, 3 and 4, are left out.
 * @param model with open sizes
 * @throws errors of the data and of ONNX Runtime
 */
export async function roundedStarts(
  model: Model,
  data: DataSet,
  { method, bitsOf, blockSize, threads }: RoundedStart,
): Promise<Map<string, Start>> {
  const products = [...model.graph.nodes()].flatMap((node): Product[] => {
    const product = productOf(node);
    if (typeof product !== 'object' || product.turned || product.tensor.dtype !== 'float') return [];
    return gridBits(bitsOf(product.weight.name)) === undefined ? [] : [product];
  });
  const starts = new Map<string, Start>();
  const weights = products.reduce((sum, { tensor }) => sum + tensor.count, 0);
  if (products.length === 0 || weights > MOST_WEIGHTS) return starts;
  const context: PassContext = {
    engine: {
      ...createEngine(),
      watch: (at, values, samples, see) => watch(at, values, data.first(samples), see),
    },
    ledger: new Ledger(),
    decline() {},
    changed() {},
    facts: new Map(),
  };
  const rounding = { sequential: method === 'gptq-sequential' };
  await withProducts({ maxBytes: MATRIX_BYTES, ...(threads && { threads }) }, (matrices) =>
    visitLayers(model, products, rounding, context, matrices, async ({ weight, tensor, axis }, metrics) => {
      if (starts.has(weight.name)) return undefined;
      const shape = tensor.shape as readonly [number, number];
      const bits = gridBits(bitsOf(weight.name))!;
      const spec: RoundSpec = {
        ...{ shape, axis, bits, blockSize: blockSize ?? shape[axis] },
        ...{ symmetric: false, method: 'mse', half: false },
      };
      const gathered = new Gathered(spec, blockSize !== undefined);
      await roundIntoBy(matrices, tensor.toFloat32(), spec, metrics, (...block) => gathered.put(...block));
      const start = gathered.start(weight.name);
      starts.set(weight.name, start);
      return start.values.toFloat32();
    }),
  );
  return starts;
}

/** Eight bits lose next to nothing as they are, and with zero points they would not fit into int8. */
const gridBits = (bits: number | undefined): GridBits | undefined =>
  bits === 2 || bits === 3 || bits === 4 ? bits : undefined;

/** Blocks as they are rounded, put together to a weight on a grid of signed integers with zero points. */
class Gathered {
  readonly #spec: RoundSpec;
  readonly #inBlocks: boolean;
  readonly #values: Float32Array<ArrayBuffer>;
  readonly #scales: Float32Array<ArrayBuffer>;
  readonly #zeros: Float32Array<ArrayBuffer>;

  constructor(spec: RoundSpec, inBlocks: boolean) {
    this.#spec = spec;
    this.#inBlocks = inBlocks;
    const { shape, axis, blockSize } = spec;
    const count = shape[1 - axis]! * Math.ceil(shape[axis]! / blockSize);
    this.#values = new Float32Array(shape[0] * shape[1]);
    this.#scales = new Float32Array(count);
    this.#zeros = new Float32Array(count);
  }

  put(column: number, block: number, { scale, zeroPoint }: BlockFit, integers: Uint8Array): void {
    const { shape, axis, blockSize, bits } = this.#spec;
    const size = shape[axis]!;
    const blocks = Math.ceil(size / blockSize);
    // Grids have positive scales: a negative one turns the integers around.
    const top = 2 ** bits - 1;
    const turned = scale < 0;
    const at = axis === 0 ? block * shape[1] + column : column * blocks + block;
    this.#scales[at] = scale === 0 ? 1 : Math.abs(scale);
    this.#zeros[at] = (turned ? top - zeroPoint : zeroPoint) - 2 ** (bits - 1);
    const first = block * blockSize;
    for (let k = 0; k < Math.min(blockSize, size - first); k++) {
      const place = axis === 0 ? (first + k) * shape[1] + column : column * size + first + k;
      this.#values[place] = Math.fround((integers[k]! - zeroPoint) * scale) + 0;
    }
  }

  start(name: string): Start {
    const { shape, axis, bits, blockSize } = this.#spec;
    const half = 2 ** (bits - 1);
    const blocks = Math.ceil(shape[axis]! / blockSize);
    const columns = shape[1 - axis]!;
    const form = !this.#inBlocks ? [columns] : axis === 0 ? [blocks, columns] : [columns, blocks];
    const grid: Grid = {
      low: -half,
      high: half - 1,
      scale: Tensor.floats(this.#scales, form),
      zeroPoint: Tensor.floats(this.#zeros, form),
      ...(this.#inBlocks ? { axis, blockSize } : { axis: 1 - axis }),
    };
    return { values: Tensor.of('float', shape, this.#values, { name }), grid };
  }
}
