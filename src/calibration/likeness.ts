/** How alike two models answer: what choices between ways to quantize are made by. */
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { versionOf } from '../pipeline/pass.js';
import { type Session, withSession } from '../runtime/session.js';
import type { DataSet } from './dataset.js';
import { evaluatorFor } from './evaluate.js';

/** Samples on which models are judged: enough to tell 2 dB apart, few enough to run several times. */
const JUDGED = 32;
/** Outputs of a reference that is asked for again and again are kept up to so many bytes. */
const KEPT_BYTES = 64 << 20;

type Outputs = Readonly<Record<string, Tensor>>;

/**
 * Compares outputs on the first samples: 10·log10(Σ y² / Σ (y − ŷ)²), in dB. The answer depends on models and samples
 * alone: samples are run one by one, wherever data and model leave the batch open, by sessions of one thread.
 * @param dataFor the samples as a model takes them
 */
export function likenessOn(
  dataFor: (reference: Model) => DataSet,
): (reference: Model, candidate: Model) => Promise<number> {
  let known:
    | { readonly model: Model; readonly version: string; readonly outputs: readonly Outputs[] }
    | undefined;

  async function compared(
    judged: DataSet,
    candidate: Model,
    expectedOf: (feeds: Outputs, at: number) => Promise<Outputs>,
  ): Promise<number> {
    const evaluator = evaluatorFor(judged, 'sqnr');
    await withSession(candidate, { threads: 1 }, async (ours) => {
      let at = 0;
      for await (const batch of judged.batches())
        evaluator.add(batch, await ours.run(batch.feeds), await expectedOf(batch.feeds, at++));
    });
    return evaluator.evaluation().value;
  }

  return async (reference, candidate) => {
    const version = versionOf(reference);
    const judged = dataFor(reference).first(JUDGED).rebatched(1);
    if (known?.model === reference && known.version === version) {
      const { outputs } = known;
      return compared(judged, candidate, async (_, at) => outputs[at]!);
    }
    known = undefined;
    const kept: Outputs[] = [];
    let room = KEPT_BYTES;
    const run = async (theirs: Session, feeds: Outputs): Promise<Outputs> => {
      const outputs = await theirs.run(feeds);
      room -= Object.values(outputs).reduce((sum, { byteLength }) => sum + byteLength, 0);
      if (room >= 0) kept.push(outputs);
      return outputs;
    };
    const value = await withSession(reference, { threads: 1 }, (theirs) =>
      compared(judged, candidate, (feeds) => run(theirs, feeds)),
    );
    if (room >= 0) known = { model: reference, version, outputs: kept };
    return value;
  };
}
