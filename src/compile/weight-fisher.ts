/**
 * Second-order sensitivity: with F the Fisher information of a weight's elements, errors ΔW move the model's distributions
 * by about ½·Σ F·ΔW² nats. F = E[g²] over labels that the model itself draws, g being the slope of a label's likelihood;
 * Σ F a weight is the energy of its gradients, by which papers rank layers. One way forward and back for each sample.
 */

import { differentiate } from '../autodiff/differentiate.js';
import type { DataSet } from '../calibration/dataset.js';
import { SeededRandom } from '../calibration/random.js';
import { classesOf, elementsOf, scoresAmong } from '../calibration/scores.js';
import { QuantcError } from '../errors/error.js';
import { cloneModel } from '../ir/clone.js';
import { addInput, setGraphOutputs } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import { createEngine } from '../runtime/engine.js';
import { openSession, type Session, withSession } from '../runtime/session.js';

const SEED = 240_318_159;

/**
 * The mean square of the slope of each element, a distribution (a token, a sample) counting once.
 * @param data one sample a feed
 * @returns by weight; or why there is none: outputs that are no distributions, operators without a gradient
 */
export async function fisherOf(
  model: Model,
  weights: readonly Value[],
  data: DataSet,
): Promise<ReadonlyMap<Value, Float64Array> | string> {
  const random = new SeededRandom(SEED);
  const sums = new Map<Value, Float64Array>(
    weights.map((weight) => [weight, new Float64Array(weight.constant!.count)]),
  );
  let rows = 0;
  let session: Session | undefined;
  try {
    return await withSession(model, {}, async (forward) => {
      let scores: string | undefined;
      let backward: Backward | undefined;
      for await (const batch of data.batches()) {
        const outputs = await forward.run(batch.feeds);
        scores ??= scoresAmong(outputs, data);
        if (scores === undefined) return 'its outputs are no distributions';
        const logits = outputs[scores]!;
        const values = logits.toFloat32();
        const classes = classesOf({ batch, outputs: new Map([[scores, values]]) }, data);
        backward ??= await backwardOf(model, weights, scores);
        session ??= await openSession(backward.model);
        rows += elementsOf(values, batch) / classes;
        const seeds = slopes(values, elementsOf(values, batch), classes, random);
        const feeds = { ...batch.feeds, [backward.seed]: Tensor.of('float', logits.shape, seeds) };
        const { names } = backward;
        const found = await session.run(feeds, [...names.values()]);
        for (const [weight, name] of names) {
          const sum = sums.get(weight)!;
          for (const [at, slope] of found[name]!.toFloat32().entries()) sum[at]! += slope * slope;
        }
      }
      for (const sum of sums.values()) for (let at = 0; at < sum.length; at++) sum[at]! /= rows;
      return sums;
    });
  } catch (error) {
    if (error instanceof QuantcError && error.code.startsWith('E_GRADIENT_')) return error.message;
    throw error;
  } finally {
    await session?.release();
  }
}

interface Backward {
  readonly model: Model;
  /** The input that takes what the way back starts with. */
  readonly seed: string;
  /** The output that holds a weight's gradient. */
  readonly names: ReadonlyMap<Value, string>;
}

async function backwardOf(model: Model, weights: readonly Value[], scores: string): Promise<Backward> {
  const { model: copy, values } = cloneModel(model);
  await createEngine().inferTypes(copy);
  const output = copy.graph.outputs.find(({ name }) => name === scores)!;
  const seed = addInput(copy.graph, `${scores}_cotangent`, tensorType('float', output.shape));
  const own = new Map(weights.map((weight) => [weight, values.get(weight)!]));
  const gradients = differentiate(copy, { wrt: [...own.values()], seeds: new Map([[output, seed]]) });
  const found = new Map(
    [...own].flatMap(([weight, value]) => (gradients.has(value) ? [[weight, gradients.get(value)!]] : [])),
  );
  setGraphOutputs(copy.graph, [...found.values()]);
  return {
    model: copy,
    seed: seed.name,
    names: new Map(Array.from(found, ([weight, value]) => [weight, value.name])),
  };
}

/** softmax(z) less one at a label drawn from it, for each distribution; 0 where samples only fill up. */
function slopes(values: Float32Array, end: number, classes: number, random: SeededRandom): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row + classes <= end; row += classes) {
    let top = Number.NEGATIVE_INFINITY;
    for (let i = row; i < row + classes; i++) top = Math.max(top, values[i]!);
    let sum = 0;
    for (let i = row; i < row + classes; i++) {
      result[i] = Math.exp(values[i]! - top);
      sum += result[i]!;
    }
    let left = random.next() * sum;
    let label = row + classes - 1;
    for (let i = row; i < row + classes; i++) {
      left -= result[i]!;
      if (left < 0 && label === row + classes - 1) label = i;
      result[i]! /= sum;
    }
    result[label]! -= 1;
  }
  return result;
}
