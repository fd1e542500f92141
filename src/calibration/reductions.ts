/** Reductions appended to a model, so that only scalars leave ONNX Runtime. */
import { cloneModel } from '../ir/clone.js';
import { createNode, setGraphOutputs } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';

/** What one run told of a value. */
export interface Reductions {
  /** Infinity, with a `max` of -Infinity, when the value has no elements. */
  readonly min: number;
  readonly max: number;
  /** Sum of the magnitudes: NaN exactly where an element is NaN. */
  readonly magnitude: number;
}

/** A model that gives reductions of some values, and how to read its results. */
export interface ReducedModel {
  readonly model: Model;
  /** What a run told of the value at this place of the list. */
  read(results: Readonly<Record<string, Tensor>>, index: number): Reductions;
}

const OPERATORS = ['ReduceMin', 'ReduceMax', 'ReduceL1'] as const;

/** A copy of the model whose only outputs are three scalars for each value. */
export function withReductions(model: Model, values: readonly Value[]): ReducedModel {
  const { model: copy, values: twins } = cloneModel(model);
  const position = { endOf: copy.graph };
  const outputs = values.flatMap((value) => {
    let source = twins.get(value)!;
    const type = tensorType(source.dtype === 'double' ? 'double' : 'float', []);
    if (source.dtype === 'float16') {
      // There are no float16 reductions on the CPU.
      const cast = createNode(position, { opType: 'Cast', inputs: [source], attributes: { to: 1 } });
      source = cast.outputs[0]!;
    }
    return OPERATORS.map((opType) => {
      const attributes = { keepdims: 0 };
      return createNode(position, { opType, inputs: [source], attributes, outputs: [{ type }] }).outputs[0]!;
    });
  });
  setGraphOutputs(copy.graph, outputs);
  return {
    model: copy,
    read(results, index) {
      const scalar = (at: number): number => Number(results[outputs[3 * index + at]!.name]!.data()[0]);
      return { min: scalar(0), max: scalar(1), magnitude: scalar(2) };
    },
  };
}
