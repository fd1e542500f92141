/** Inputs for test models, drawn from seeds. */
import { QuantcError } from '../errors/error.js';
import { isFloat } from '../ir/dtype.js';
import type { Model, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { filledTensor } from '../text/fill.js';

/** What inputs are drawn by, where the usual laws do not fit. */
export interface FeedLaws {
  /** Sizes of named dimensions of the inputs; others are 2. */
  readonly dims?: Readonly<Record<string, number>>;
  /**
   * Laws by the names of inputs, spelt as in texts of graphs: `zeros`, `uniform:SEED:LOW:HIGH`, `normal:SEED` … Default
   * normal for floats, 0 to 4 for integers.
   */
  readonly inputs?: Readonly<Record<string, string>>;
}

/**
 * A tensor for every input that has no default; the same for the same draw.
 * @throws QuantcError E_TEST_FEED for an input whose type is unknown, or that cannot be drawn by its law
 */
export function drawnFeeds(model: Model, laws: FeedLaws = {}, draw = 0): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const [index, value] of model.graph.inputs.entries())
    if (value.constant === undefined) feeds[value.name] = drawn(value, laws, 100 * draw + index + 1);
  return feeds;
}

function drawn(value: Value, { dims, inputs }: FeedLaws, seed: number): Tensor {
  const { dtype, shape, name } = value;
  const refuse = (message: string): never => {
    throw new QuantcError('E_TEST_FEED', `input ${name}: ${message}`, {
      kind: 'usage',
      place: { value: name },
    });
  };
  if (dtype === undefined || shape === undefined)
    return refuse('it has no type that a tensor could be drawn for: give feeds');
  const sizes = shape.map((dim) => (typeof dim === 'number' ? dim : (dims?.[dim ?? '?'] ?? 2)));
  const usual = isFloat(dtype) ? `normal:${seed}` : `uniform:${seed}:0:${dtype === 'bool' ? 1 : 4}`;
  const law = inputs?.[name] ?? usual;
  return filledTensor(dtype, sizes, law, name) ?? refuse(`${dtype} cannot be drawn by "${law}"`);
}
