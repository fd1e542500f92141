/**
 * Biases that take back what quantization does to the mean of each output channel:
 *   b̂ = b + E[y − ŷ]
 * with y from the float model and ŷ from the quantized layer, which is given what the float layers before it give:
 * what lies between two layers (activation functions, residual sums, their grids) works on float values and counts, the
 * shifts of earlier layers do not, since they are taken back where they arise. So one run over the samples serves all
 * layers. A mean of few samples is unsure: it is taken for as much of itself as its standard error leaves,
 * max(0, 1 − se²/mean²).
 */
import {
  addInitializer,
  cloneModel,
  createNode,
  definePass,
  type Graph,
  inlineGraph,
  type Model,
  type ModelCopy,
  replaceAllUses,
  setGraphOutputs,
  sortTopologically,
  Tensor,
  type Value,
} from '../src/index.js';
import { floatCopyFact } from './keep-float.js';
import { type Bias, type QuantizedLayer, quantizedLayers, type Reader } from './quantized/layer.js';
import { storeBias } from './quantized/store.js';
import { counted, unlessWorse } from './quantized/trial.js';

const SAMPLES = 64;

export const correctBias = definePass({
  name: 'correct-bias',
  doc: 'a bias b of a quantized layer → b + E[y − ŷ] over calibration samples, as far as they are sure of it',
  needs: ['typed'],
  async run(model, context) {
    const { watch } = context.engine;
    const float = floatCopyFact.find(context);
    if (watch === undefined || float === undefined) {
      context.decline('there are no calibration samples');
      return;
    }
    const layers = quantizedLayers(model, context.decline);
    const movable = layers.flatMap((layer) =>
      layer.readers.flatMap((reader) => movableOf(layer, reader, float)),
    );
    if (movable.length === 0) return;
    await unlessWorse(model, layers, context, {
      pass: this.name,
      what: counted(movable.length, 'bias', 'biases'),
      done: 'corrected',
      undone: 'not corrected',
      async change() {
        const shifts = movable.map(({ layer }) => new Shift(layer.rows));
        const { model: run, outputs } = withShifts(model, movable, float);
        await watch(run, outputs, SAMPLES, (seen) => {
          shifts.forEach((shift, at) => {
            shift.add(seen.get(outputs[at]!)!.toFloat32());
          });
        });
        movable.forEach(({ layer, reader, bias }, at) => {
          storeBias(layer, bias, shifts[at]!.sure());
          context.changed('its mean is that of the float layer', reader.node);
        });
      },
    });
  },
});

/** A reader of a weight whose bias may be moved, and its output in the float model. */
interface Movable {
  readonly layer: QuantizedLayer;
  readonly reader: Reader;
  readonly bias: Bias;
  readonly float: Value;
}

function movableOf(layer: QuantizedLayer, reader: Reader, { values }: ModelCopy): Movable[] {
  const float = values.get(reader.node.outputs[0]!);
  return reader.bias && float ? [{ layer, reader, bias: reader.bias, float }] : [];
}

/** Means over the samples, and how sure they are. */
class Shift {
  readonly #sum: Float64Array;
  readonly #squares: Float64Array;
  #samples = 0;

  constructor(rows: number) {
    this.#sum = new Float64Array(rows);
    this.#squares = new Float64Array(rows);
  }

  add(means: Float32Array): void {
    this.#samples++;
    means.forEach((mean, row) => {
      this.#sum[row]! += mean;
      this.#squares[row]! += mean * mean;
    });
  }

  /** One sample is sure of nothing. */
  sure(): Float64Array {
    const n = this.#samples;
    return this.#sum.map((sum, row) => {
      const mean = sum / n;
      const error = Math.max(0, this.#squares[row]! / n - mean * mean) / (n - 1);
      return mean * mean > error ? mean * (1 - error / (mean * mean)) : 0;
    });
  }
}

/** A model that gives the mean of y − ŷ of each channel, one list a layer. */
function withShifts(
  model: Model,
  movable: readonly Movable[],
  float: ModelCopy,
): { model: Model; outputs: Value[] } {
  const copy = cloneModel(model);
  const { graph } = copy.model;
  const teacher = cloneModel(float.model);
  setGraphOutputs(
    teacher.model.graph,
    movable.map((each) => teacher.values.get(each.float)!),
  );
  setGraphOutputs(graph, []);
  const given = inlineGraph(teacher.model.graph, { endOf: graph }, graph.inputs, { prefix: 'float_' });
  const mine = movable.map(({ reader }) => copy.values.get(reader.node.outputs[0]!)!);
  mine.forEach((value, at) => {
    replaceAllUses(value, given[at]!);
  });
  const outputs = mine.map((value, at) => {
    const { layer } = movable[at]!;
    const make = (opType: string, inputs: Value[], attributes = {}) =>
      createNode({ endOf: graph }, { opType, inputs, attributes }).outputs[0]!;
    const error = make('Sub', [given[at]!, value]);
    // [N, C, positions] or [1, rows, C], whatever the rank.
    const conv = layer.kernel.length > 0;
    const shaped = make('Reshape', [
      error,
      constants(graph, conv ? [0, layer.rows, -1] : [1, -1, layer.rows]),
    ]);
    return make('ReduceMean', [shaped, constants(graph, conv ? [0, 2] : [0, 1])], { keepdims: 0 });
  });
  setGraphOutputs(graph, outputs);
  sortTopologically(graph);
  return { model: copy.model, outputs };
}

const constants = (graph: Graph, values: readonly number[]): Value =>
  addInitializer(graph, Tensor.ints(values), 'constant');
