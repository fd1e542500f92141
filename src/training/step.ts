/**
 * A whole training step as one graph: the teacher's and the student's way forward, the loss, the way back, clipping and
 * the optimizer. What is trained comes in as inputs and leaves as outputs, so that one run is one step, and ONNX Runtime
 * does not fold away what will be other numbers in the next one.
 */
import { differentiate } from '../autodiff/differentiate.js';
import { Emitter } from '../autodiff/emit.js';
import { QuantcError } from '../errors/error.js';
import { cloneModel } from '../ir/clone.js';
import { addInitializer, addInput, setConstant, setGraphOutputs, sortTopologically } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import { inlineGraph } from '../ir/inline.js';
import { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import { valuesOf } from '../ir/walk.js';
import { type Loss, lossGraph, readsLabels, readsTeacher } from './losses.js';
import { clippedNorm, type Optimizer, stateNames, updater } from './optimizer.js';
import {
  type ActivationSpec,
  type Moved,
  prepareActivation,
  prepareWeight,
  unknown,
  type WeightSpec,
  weightOf,
} from './prepare.js';

export type { ActivationSpec, GridSpec, GridValue, WeightSpec } from './prepare.js';

export interface StepOptions {
  readonly weights: readonly WeightSpec[];
  readonly activations?: readonly ActivationSpec[];
  /** Initializers that are held at other values than the student's: what was quantized before, and stays so. */
  readonly frozen?: ReadonlyMap<string, Tensor>;
  readonly loss: Loss;
  /** The float model, with the student's inputs; for losses that read a teacher. */
  readonly teacher?: Model;
  /** Name of the output that the loss reads; default the first. */
  readonly logits?: string;
  readonly optimizer: Optimizer;
  /** The largest norm of all gradients together; default none. */
  readonly clipNorm?: number;
}

/** Something that lives from step to step. */
export interface Slot {
  readonly kind: 'weight' | 'scale' | 'state';
  /** The initializer or value that it is, belongs to, or is kept for. */
  readonly of: string;
  readonly input: string;
  readonly output: string;
  readonly initial: Tensor;
}

/** The graph of one step, and its ports by name. Other inputs are the student's own. */
export interface TrainingStep {
  readonly model: Model;
  readonly slots: readonly Slot[];
  /** Inputs of no dimensions: learning rate, and the number of the step from 1. */
  readonly rate: 'rate';
  readonly step: 'step';
  /** Input int64 [… ] in the shape of the logits without classes; negative numbers do not count. */
  readonly labels?: 'labels';
  /** Outputs of no dimensions. */
  readonly loss: string;
  readonly parts: Readonly<Record<string, string>>;
  readonly norm: string;
}

/**
 * Builds the step. The student stays as it is; it must be typed, with fixed sizes where the gradients of its operators
 * need them, and of ai.onnx 18 or later.
 * @throws QuantcError E_TRAINING_WEIGHT for a weight that is no float32 initializer, E_TRAINING_VALUE for an unknown value,
 * E_TRAINING_UNREACHED for something trained that the logits do not depend on; E_TRAINING_GRID, E_TRAINING_LOSS,
 * E_TRAINING_SHAPE; what `differentiate` throws.
 */
export function trainingStep(student: Model, options: StepOptions): TrainingStep {
  const { model } = cloneModel(student);
  const { graph } = model;
  const emit = new Emitter(graph);
  const named = new Map([...valuesOf(graph)].map((value) => [value.name, value]));
  for (const [name, tensor] of options.frozen ?? []) setConstant(weightOf(named, name), tensor);
  const outputs =
    options.logits === undefined
      ? graph.outputs.slice(0, 1)
      : graph.outputs.filter(({ name }) => name === options.logits);
  const place = graph.outputs.indexOf(outputs[0]!);
  if (place < 0) throw unknown(options.logits ?? 'the logits', 'output');

  const moved: Moved[] = [];
  for (const spec of options.weights) moved.push(...prepareWeight(emit, weightOf(named, spec.name), spec));
  for (const spec of options.activations ?? []) moved.push(...prepareActivation(emit, named, spec));
  if (moved.length === 0) {
    throw new QuantcError('E_TRAINING_WEIGHT', 'nothing is to be trained', {
      kind: 'usage',
      hint: 'Give at least one weight or scale a pace.',
    });
  }
  const logits = graph.outputs[place]!;
  const teacher =
    readsTeacher(options.loss) && options.teacher ? teacherOf(model, options.teacher, place) : undefined;
  const labelled = readsLabels(options.loss);
  const labels = labelled
    ? addInput(graph, 'labels', tensorType('int64', logits.shape?.slice(0, -1)))
    : undefined;
  const loss = lossGraph(emit, options.loss, logits, { teacher, labels });

  const gradients = differentiate(model, {
    wrt: moved.map(({ input }) => input),
    seeds: new Map([[logits, loss.gradient]]),
  });
  const found = moved.map(({ input, of }) => {
    const gradient = gradients.get(input);
    if (gradient !== undefined) return gradient;
    throw new QuantcError(
      'E_TRAINING_UNREACHED',
      `${of} is to be trained, but the loss does not depend on it`,
      {
        place: { value: of },
        hint: 'Leave it out of what is trained.',
      },
    );
  });
  const scalar = tensorType('float', []);
  const rate = addInput(graph, 'rate', scalar);
  const step = addInput(graph, 'step', scalar);
  const { norm, factor } = clippedNorm(emit, found, options.clipNorm);
  const update = updater(emit, options.optimizer, { rate, step, ...(factor && { factor }) });
  const slots: Slot[] = [];
  const news: Value[] = [];
  moved.forEach((each, at) => {
    emit.prefix = `update/${each.of}/`;
    const names = stateNames(options.optimizer);
    const state = names.map((name) => addInput(graph, `state/${each.input.name}/${name}`, each.input.type));
    const result = update(each.input, found[at]!, state, each.pace);
    const slot = (kind: Slot['kind'], input: Value, output: Value, initial: Tensor) => {
      slots.push({ kind, of: each.of, input: input.name, output: output.name, initial });
      news.push(output);
    };
    slot(each.kind, each.input, result.value, each.initial);
    state.forEach((input, index) => {
      slot('state', input, result.state[index]!, zerosLike(each.initial));
    });
  });
  const parts = Object.entries(loss.parts);
  setGraphOutputs(graph, [...new Set([loss.loss, ...parts.map(([, value]) => value), norm, ...news])]);
  sortTopologically(graph);
  return {
    model,
    slots,
    rate: 'rate',
    step: 'step',
    ...(labelled && { labels: 'labels' as const }),
    loss: loss.loss.name,
    parts: Object.fromEntries(parts.map(([name, value]) => [name, value.name])),
    norm: norm.name,
  };
}

const zerosLike = ({ shape, count }: Tensor): Tensor => Tensor.of('float', shape, new Float32Array(count));

/** The teacher's logits: its nodes beside the student's, reading the same inputs. */
function teacherOf(model: Model, teacher: Model, place: number): Value {
  const { graph } = model;
  const inputs = teacher.graph.inputs.map((input) => {
    if (input.constant !== undefined) return addInitializer(graph, input.constant, input.name);
    const own = graph.inputs.find(({ name }) => name === input.name);
    if (own === undefined) throw unknown(input.name, 'input');
    return own;
  });
  if (teacher.opset !== model.opset || teacher.functions.length > 0) {
    throw new QuantcError(
      'E_TRAINING_LOSS',
      'teacher and student must be of one opset, without local functions',
      {
        hint: 'Bring both to one form first.',
      },
    );
  }
  const outputs = inlineGraph(teacher.graph, { endOf: graph }, inputs, { prefix: 'teacher/', types: true });
  const logits = outputs[place];
  if (logits === undefined) throw unknown(`output ${place} of the teacher`, 'like of');
  return logits;
}
