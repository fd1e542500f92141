/** What a finetuning's loss reads, and which it is. */
import { QuantcError } from '../../errors/error.js';
import { setGraphOutputs } from '../../ir/edit.js';
import type { Model } from '../../ir/graph.js';
import type { Loss } from '../../training/losses.js';
import type { FinetuneRequest } from './finetune.js';

/** Losses read logits: a Softmax at the very end is left out. */
export function withoutSoftmax(model: Model): Model {
  const [first, ...rest] = model.graph.outputs;
  let logits = first!;
  while (logits.producer?.is('Identity') || logits.producer?.is('Softmax'))
    logits = logits.producer.inputs[0]!;
  setGraphOutputs(model.graph, [logits, ...rest]);
  return model;
}

/**
 * Words and classes are distributions; other outputs are compared as they are.
 * @throws QuantcError E_FINETUNE_LABELS
 */
export function lossFor(
  student: Model,
  { temperature, labels = 0 }: Pick<FinetuneRequest, 'temperature' | 'labels'>,
): Loss {
  const rank = student.graph.outputs[0]!.shape?.length;
  if (rank !== 3 && rank !== 2 && labels > 0) {
    throw new QuantcError(
      'E_FINETUNE_LABELS',
      'the model tells no words or classes that labels could be of',
      {
        kind: 'usage',
        hint: 'Train it to be like itself, without labels.',
      },
    );
  }
  if (rank !== 3 && rank !== 2) return { kind: 'logits-mse' };
  return {
    kind: 'distill',
    ...(temperature && { temperature }),
    ...(labels > 0 && { teacher: 1 - labels }),
  };
}
