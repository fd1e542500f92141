/** What a step trains, made ready: weights become inputs of the graph, and values that shall lie on grids are put there. */
import type { Emitter } from '../autodiff/emit.js';
import { QuantcError } from '../errors/error.js';
import {
  addInitializer,
  addInput,
  removeInitializer,
  replaceAllUses,
  setGraphOutputs,
  setInput,
} from '../ir/edit.js';
import type { Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import { fakeQuantized, type Grid } from './fake-quant.js';
import type { Pace } from './optimizer.js';

/** A grid that a value is put on during training. */
export interface GridSpec {
  readonly grid: Grid;
  /** How the scales learn; absent: they stay as they are. */
  readonly scales?: Pace;
}

/** An initializer of the student that is trained, or put on a grid, or both. */
export interface WeightSpec {
  readonly name: string;
  /** How the weight learns; absent: it stays as it is (and only its scales may learn). */
  readonly pace?: Pace;
  /** Where it starts, in its own shape; default the student's own numbers. For weights that learn. */
  readonly initial?: Tensor;
  readonly quantized?: GridSpec;
}

/** A value between nodes of the student. */
export interface GridValue {
  readonly name: string;
  /** First outputs of the nodes that read it on its grid; absent: all do, and what leaves the graph is on it too. */
  readonly readers?: readonly string[];
}

/** Values between nodes of the student that are put on one grid. */
export interface ActivationSpec extends GridSpec {
  /** The value, or one of those that share the grid. */
  readonly name: string;
  /** All that share it; default the one that is named, for all of its readers. */
  readonly values?: readonly GridValue[];
  /** A learned scale grows no further than this. */
  readonly largestScale?: number;
}

/** What is moved in a step: the input, and how it learns. */
export interface Moved {
  readonly input: Value;
  readonly initial: Tensor;
  readonly pace: Pace;
  readonly kind: 'weight' | 'scale';
  readonly of: string;
}

export const unknown = (name: string, what: string): QuantcError =>
  new QuantcError('E_TRAINING_VALUE', `the student has no ${what} ${name}`, { place: { value: name } });

export function weightOf(named: ReadonlyMap<string, Value>, name: string): Value {
  const value = named.get(name);
  if (value?.isConstant && value.dtype === 'float') return value;
  throw new QuantcError('E_TRAINING_WEIGHT', `${name} is no float32 initializer of the student`, {
    place: { value: name },
  });
}

export function prepareWeight(emit: Emitter, weight: Value, spec: WeightSpec): readonly Moved[] {
  const { graph } = emit;
  const initial = spec.initial ?? weight.constant!;
  if (initial.dtype !== 'float' || initial.shape.join() !== weight.constant!.shape.join()) {
    throw new QuantcError(
      'E_TRAINING_WEIGHT',
      `${spec.name} cannot start from ${initial.dtype}[${initial.shape}]`,
      {
        place: { value: spec.name },
      },
    );
  }
  const moved: Moved[] = [];
  let source = weight;
  if (spec.pace !== undefined) {
    source = addInput(graph, `weight/${spec.name}`, weight.type);
    replaceAllUses(weight, source);
    removeInitializer(weight);
    moved.push({ input: source, initial, pace: spec.pace, kind: 'weight', of: spec.name });
  }
  if (spec.quantized) {
    const { scale, learned } = scaleOf(emit, spec.name, spec.quantized);
    onGrid(emit, source, scale, spec.quantized.grid);
    moved.push(...learned);
  }
  return moved;
}

export function prepareActivation(
  emit: Emitter,
  named: ReadonlyMap<string, Value>,
  spec: ActivationSpec,
): readonly Moved[] {
  const { scale, learned } = scaleOf(emit, spec.name, spec);
  const { largestScale } = spec;
  const bounded =
    learned.length === 0 || largestScale === undefined
      ? scale
      : emit.op('Min', [scale, emit.scalar(largestScale, scale)]);
  for (const { name, readers } of spec.values ?? [{ name: spec.name }]) {
    const value = named.get(name);
    if (value === undefined || value.graph !== emit.graph) throw unknown(name, 'value');
    onGrid(emit, value, bounded, spec.grid, readers);
  }
  return learned;
}

/** The scale as a value: an input where it learns, else a constant. */
function scaleOf(
  emit: Emitter,
  name: string,
  { grid, scales }: GridSpec,
): { scale: Value; learned: readonly Moved[] } {
  if (scales === undefined)
    return { scale: addInitializer(emit.graph, grid.scale, `scale/${name}`), learned: [] };
  const scale = addInput(emit.graph, `scale/${name}`, tensorType('float', grid.scale.shape));
  return { scale, learned: [{ input: scale, initial: grid.scale, pace: scales, kind: 'scale', of: name }] };
}

/** Readers of a value read its fake quantization: those named, or all, and then it leaves the graph so too. */
function onGrid(emit: Emitter, value: Value, scale: Value, grid: Grid, wanted?: readonly string[]): void {
  const readers = [...value.uses].filter(({ node }) => wanted?.includes(node.outputs[0]!.name) ?? true);
  const quantized = fakeQuantized(emit, value, scale, grid);
  for (const { node, index } of readers) setInput(node, index, quantized);
  if (wanted !== undefined || !value.isOutput) return;
  const { graph } = emit;
  setGraphOutputs(
    graph,
    graph.outputs.map((output) => (output === value ? quantized : output)),
  );
}
