/** Gradients of whole models: each weight is moved along its own gradient, and the output must move as that says. */
import { join } from 'node:path';
import { expect } from 'chai';
import { llama, SHAPES } from '../../models/make-llama.js';
import { differentiate } from '../../src/autodiff/differentiate.js';
import { trainableModel } from '../../src/compile/finetune/trainable.js';
import type { DType } from '../../src/ir/dtype.js';
import {
  addInput,
  removeInitializer,
  replaceAllUses,
  setAttribute,
  setConstant,
  setGraphOutputs,
  setOperator,
  setType,
  valuesOf,
} from '../../src/ir/edit.js';
import type { Model, Value } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { elementCount, tensorType } from '../../src/ir/type.js';
import { readModel } from '../../src/onnx/read.js';
import { withSession } from '../../src/runtime/session.js';
import { sharedPath } from '../shared.js';

type Feed = Record<string, Tensor>;

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

const real = (dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor =>
  Tensor.of(dtype, shape, dtype === 'double' ? Float64Array.from(values) : Float32Array.from(values));

const floats = (shape: readonly number[], next: () => number): Tensor =>
  Tensor.floats(Float32Array.from({ length: elementCount(shape) }, next), shape);

const norm = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, each) => sum + each * each, 0));

/** Weights as inputs, so that they can be moved, and what they are. */
function opened(model: Model): Map<Value, Tensor> {
  const weights = new Map<Value, Tensor>();
  for (const value of [...model.graph.initializers]) {
    const { constant } = value;
    if (
      (constant?.dtype !== 'float' && constant?.dtype !== 'double') ||
      constant.count < 2 ||
      /cos|sin/.test(value.name)
    )
      continue;
    // A mask of −10,000 is no weight: what it hides weighs nothing.
    if (constant.toFloat32().some((each) => each < -1000)) continue;
    const input = addInput(model.graph, `w/${value.name}`, value.type);
    replaceAllUses(value, input);
    removeInitializer(value);
    weights.set(input, constant);
  }
  return weights;
}

/** The same model in double, where its operators have such kernels: differences are then as good as exact. */
function inDouble(model: Model): Model {
  for (const value of [...valuesOf(model.graph)]) {
    if (value.constant?.dtype === 'float') {
      setConstant(value, real('double', value.constant.shape, value.constant.toFloat32()));
    } else if (value.dtype === 'float') setType(value, tensorType('double', value.shape));
  }
  for (const node of model.graph.nodes())
    if (node.is('Cast') && node.int('to') === 1) setAttribute(node, 'to', 11);
  return model;
}

/** Relu has kinks, of which moving a whole weight passes many: differences are taken of a network without. */
function smoothed(model: Model): Model {
  for (const node of model.graph.nodes()) if (node.is('Relu')) setOperator(node, 'Softplus');
  return model;
}

/** What the first output is before a Softmax, which for random inputs is all but constant. */
function logitsOf(model: Model): Value {
  let y = model.graph.outputs[0]!;
  while (y.producer?.is('Softmax') || y.producer?.is('Identity')) y = y.producer.inputs[0]!;
  return y;
}

/** For each weight |slope along its gradient − ‖gradient‖|, relative to the latter. */
async function slopeErrors(model: Model, feed: Feed): Promise<Map<string, number>> {
  const weights = opened(model);
  const y = logitsOf(model);
  setGraphOutputs(model.graph, [y]);
  const given = Object.fromEntries([...weights].map(([value, tensor]) => [value.name, tensor]));
  const dtype = y.dtype!;
  const seed = real(dtype, y.shape as number[], floats(y.shape as number[], random(5)).toFloat32());
  return withSession(model, { threads: 1, optimization: 'off' }, async (forward) => {
    const input = addInput(model.graph, 'seed', y.type);
    const found = differentiate(model, { wrt: [...weights.keys()], seeds: new Map([[y, input]]) });
    setGraphOutputs(model.graph, [...found.values()]);
    const results = await withSession(model, { threads: 1, optimization: 'off' }, (session) =>
      session.run({ ...feed, ...given, seed }),
    );
    const project = async (feeds: Feed): Promise<number> => {
      const told = (await forward.run(feeds))[y.name]!.toNumbers();
      const cotangent = seed.toNumbers();
      return told.reduce((sum, each, index) => sum + each * cotangent[index]!, 0);
    };
    const errors = new Map<string, number>();
    for (const [value, tensor] of weights) {
      const gradient = results[found.get(value)!.name]!.toNumbers();
      const [length, size] = [norm(gradient), norm(tensor.toNumbers())];
      expect(length, value.name).to.be.greaterThan(0);
      const at = (far: number): Promise<number> => {
        const moved = tensor.toNumbers().map((each, index) => each + (far * gradient[index]!) / length);
        return project({ ...feed, ...given, [value.name]: real(dtype, tensor.shape, moved) });
      };
      // In single precision a short step drowns in rounding, a long one in curvature: the best of three counts.
      const differences: number[] = [];
      for (const share of dtype === 'double' ? [1e-5] : [2e-3, 3e-2, 3e-4]) {
        const step = share * size;
        const near = (await at(step)) - (await at(-step));
        const far = (await at(2 * step)) - (await at(-2 * step));
        differences.push(Math.abs((8 * near - far) / (12 * step) - length) / length);
        if (differences.at(-1)! < 5e-4) break;
      }
      errors.set(value.name, Math.min(...differences));
    }
    return errors;
  });
}

const worst = (errors: ReadonlyMap<string, number>): [string, number] =>
  [...errors].reduce((largest, each) => (each[1] > largest[1] ? each : largest));

describe('gradients of whole models', function () {
  this.timeout(120_000);

  it('a convolutional network', async () => {
    const source = await readModel(join(import.meta.dirname, '../../models/shapes-cnn/model.onnx'));
    const model = smoothed(await trainableModel(source, { N: 2 }));
    const errors = await slopeErrors(model, { image: floats([2, 3, 32, 32], random(1)) });
    expect(errors.size).to.be.at.least(14);
    expect(worst(errors)[1], worst(errors)[0]).to.be.at.most(1e-3);
  });

  it('a decoder', async () => {
    const model = inDouble(await trainableModel(llama(SHAPES['tiny']!), { B: 2, T: 12 }));
    const next = random(2);
    const ids = Tensor.ints(
      Array.from({ length: 24 }, () => Math.floor(256 + 255 * next())),
      [2, 12],
    );
    const errors = await slopeErrors(model, { input_ids: ids });
    expect(errors.size).to.be.at.least(20);
    expect(worst(errors)[1], worst(errors)[0]).to.be.at.most(1e-5);
  });

  it('shared: resnet8 and stories260k', async function () {
    const cnn = sharedPath('models', 'resnet8-tiny', 'model.onnx');
    const stories = sharedPath('models', 'stories260k', 'model.onnx');
    if (cnn === undefined || stories === undefined) this.skip();
    const resnet = smoothed(await trainableModel(await readModel(cnn), { N: 2 }));
    const ofResnet = await slopeErrors(resnet, { input: floats([2, 3, 32, 32], random(3)) });
    expect(worst(ofResnet)[1], worst(ofResnet)[0]).to.be.at.most(1e-3);
    const decoder = inDouble(await trainableModel(await readModel(stories), { B: 1, T: 8 }));
    const ids = Tensor.ints(
      Array.from({ length: 8 }, (_, at) => (at * 37) % 512),
      [1, 8],
    );
    const ofDecoder = await slopeErrors(decoder, { input_ids: ids });
    expect(worst(ofDecoder)[1], worst(ofDecoder)[0]).to.be.at.most(1e-5);
  });
});
