/** The training step of one block: its weights on their grids, and what its answers are to be. */
import { cloneModel } from '../ir/clone.js';
import { addInput, renameValue } from '../ir/edit.js';
import type { Model } from '../ir/graph.js';
import { answering, type BlockModel } from './block-model.js';
import type { Loss } from './losses.js';
import { type StepOptions, type TrainingStep, trainingStep } from './step.js';

/** Input of a block's step that the float model's side comes in by. */
export const TEACHER = 'block/float';

export type BlockTarget =
  /** What the float block made of what the float model had there; squared differences are counted in `unit`. */
  | { readonly kind: 'answers'; readonly unit: number }
  /** What the float block read: it answers within the step. Where it reads the model's inputs alone there is none. */
  | { readonly kind: 'inputs'; readonly loss: Loss };

/** Options of {@link trainingStep} but for what the block decides. */
export type BlockStepOptions = Pick<StepOptions, 'weights' | 'frozen' | 'optimizer' | 'clipNorm'>;

/** @throws what {@link trainingStep} throws */
export function blockStep(block: BlockModel, target: BlockTarget, options: BlockStepOptions): TrainingStep {
  const { model: student } = cloneModel(block.model);
  const { graph } = student;
  if (target.kind === 'answers') {
    addInput(graph, TEACHER, graph.outputs[0]!.type);
    const loss: Loss = { kind: 'logits-mse', unit: target.unit };
    return trainingStep(student, { ...options, loss, teacher: answering(block, TEACHER) });
  }
  return trainingStep(student, { ...options, loss: target.loss, teacher: teacherOf(block, student) });
}

/** The float block, reading its own way in. */
function teacherOf({ model, from }: BlockModel, student: Model): Model {
  if (from === undefined) return model;
  const { model: teacher, values } = cloneModel(model);
  const input = values.get(model.graph.inputs.find(({ name }) => name === from)!)!;
  renameValue(input, TEACHER);
  addInput(student.graph, TEACHER, input.type);
  return teacher;
}
