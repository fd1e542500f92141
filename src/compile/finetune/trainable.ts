/** A model as training wants it: canonical, with a number for every size. */
import { canonicalization, targetFusions } from '../../../passes/index.js';
import { QuantcError } from '../../errors/error.js';
import { cloneModel } from '../../ir/clone.js';
import { setType, valuesOf } from '../../ir/edit.js';
import type { Model, Value } from '../../ir/graph.js';
import { type Dim, isStatic } from '../../ir/type.js';
import type { Pass } from '../../pipeline/pass.js';
import { runPipeline } from '../../pipeline/run.js';
import { createEngine } from '../../runtime/engine.js';

/**
 * A canonical copy of a model (opset 21, functions inlined, constants folded, batch normalization folded), whose inputs
 * have the sizes given. Results stay as they are.
 * @param sizes a number for each named dimension
 * @throws QuantcError E_TRAINING_SHAPE where a size of an input stays open
 */
export async function trainableModel(model: Model, sizes: Readonly<Record<string, number>>): Promise<Model> {
  const copy = cloneModel(model).model;
  const fixed = (dim: Dim): Dim => (typeof dim === 'string' ? (sizes[dim] ?? dim) : dim);
  for (const input of copy.graph.inputs) {
    if (input.type?.kind !== 'tensor') continue;
    const shape = input.type.shape?.map(fixed);
    if (input.constant === undefined && !isStatic(shape)) throw openSize(input, shape);
    setType(input, { ...input.type, shape });
  }
  // What was said of values between is of the open sizes: it is asked anew.
  for (const value of valuesOf(copy.graph)) {
    if (value.isInput || value.constant !== undefined || isStatic(value.shape)) continue;
    if (value.isOutput && value.type?.kind === 'tensor') {
      setType(value, {
        ...value.type,
        shape: value.type.shape?.map((dim) => (typeof dim === 'number' ? dim : null)),
      });
    } else setType(value, undefined);
  }
  return canonical(copy, [...canonicalization, targetFusions.fuseRmsNormalization]);
}

/** A canonical copy of a model with its sizes as they are, of standard operators: what a trained model is written as. */
export const canonicalCopy = (model: Model): Promise<Model> =>
  canonical(cloneModel(model).model, canonicalization);

async function canonical(model: Model, passes: readonly Pass[]): Promise<Model> {
  const engine = createEngine();
  await runPipeline(model, passes, { engine });
  await engine.inferTypes(model);
  return model;
}

const openSize = (input: Value, shape: readonly Dim[] | undefined): QuantcError =>
  new QuantcError(
    'E_TRAINING_SHAPE',
    `input ${input.name} has sizes [${shape ?? '?'}]: each must be a number`,
    {
      place: { value: input.name },
      hint: 'Give a number for every named size.',
    },
  );
