/** Weights that were trained on a grid: its scales are taken, and integers of 4 bits take no more room than that. */
import {
  addInitializer,
  createNode,
  type GivenGrid,
  type Graph,
  type PassContext,
  quantize,
  startOf,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';

/** Weights smaller than this are not worth another node's description. */
const LEAST_ELEMENTS = 1024;

/** A weight's integers and scales, as they go into the file. */
export interface GivenWeight {
  /** int8, or int4 where its grid has no more and the kernel's own type is made of it while the model loads. */
  readonly q: Tensor;
  readonly scale: Tensor;
}

/**
 * The weight on its grid. The scales are those it was trained with, so that its integers are the same again, but where a
 * bias asks for more.
 * @param packs whether 4 bits may be stored as such
 * @param floor the least scale of each channel, or of all
 */
export function givenWeight(
  weight: Tensor,
  { low, high, axis, scale }: GivenGrid,
  { packs, floor }: { readonly packs: boolean; readonly floor?: ArrayLike<number> | undefined },
): GivenWeight {
  const scales = scale.toFloat32().map((each, at) => Math.max(each, floor?.[at] ?? 0));
  const dtype = packs && low >= -8 && high <= 7 && weight.count >= LEAST_ELEMENTS ? 'int4' : 'int8';
  const { shape } = weight;
  const q = Tensor.derive(
    dtype,
    shape,
    [weight],
    ([floats]) =>
      quantize(floats!.toFloat32(), {
        ...{ dtype, shape, scale: scales, bounds: { min: low, max: high } },
        ...(axis === undefined ? { granularity: 'tensor' } : { granularity: 'axis', axis }),
      }),
    { name: `${weight.name}_quantized` },
  );
  return { q, scale: Tensor.floats(scales, scale.shape) };
}

/** int4 → Cast(int4) to int8 or float, which every ONNX Runtime folds while it loads the model. */
export function widenedIntegers(
  graph: Graph,
  q: Tensor,
  to: 'int8' | 'float',
  name: string,
  context: PassContext,
): Value {
  const stored = addInitializer(graph, q, `${name}_quantized`);
  if (q.dtype === to) return stored;
  const cast = createNode(startOf(graph), {
    opType: 'Cast',
    name: `${name}_cast`,
    inputs: [stored],
    attributes: { to: to === 'int8' ? 3 : 1 },
    outputs: [{ name: `${name}_cast`, type: tensorType(to, q.shape) }],
  });
  context.ledger.record(cast, { precision: 'float', reason: 'folded while the model loads' });
  return cast.outputs[0]!;
}
