import { expect } from 'chai';
import { exportShapesCnn } from '../../models/shapes/export.js';
import * as shapes from '../../models/shapes/network.js';
import { drawPictures } from '../../models/shapes/pictures.js';
import { exportSignalTransformer } from '../../models/signals/export.js';
import * as signals from '../../models/signals/network.js';
import { drawSignals } from '../../models/signals/signals.js';
import { Adam } from '../../models/train/adam.js';
import { attention } from '../../models/train/attention.js';
import { conv3x3, depthwise3x3 } from '../../models/train/convolution.js';
import { add, addPeriodic, crossEntropy, gelu, linear, meanOfRows, relu } from '../../models/train/layers.js';
import { multiply } from '../../models/train/multiply.js';
import { batchNorm, layerNorm } from '../../models/train/normalization.js';
import { Parameters } from '../../models/train/parameters.js';
import { Tape, Variable } from '../../models/train/tape.js';
import { SeededRandom } from '../../src/calibration/random.js';
import type { Model } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { withSession } from '../../src/runtime/session.js';

/**
 * Compares the gradients of a weighted sum of the operator's output with central differences. Single-precision
 * outputs bound how well they can agree.
 */
function checkGradients(inputs: readonly Variable[], forward: (tape: Tape) => Variable): void {
  const random = new SeededRandom(9);
  let weights: Float64Array | undefined;
  const value = (tape: Tape): { sum: number; output: Variable } => {
    const output = forward(tape);
    weights ??= Float64Array.from(output.data, () => random.normal());
    return { sum: output.data.reduce((sum, each, i) => sum + each * weights![i]!, 0), output };
  };
  const tape = new Tape();
  const { output } = value(tape);
  output.gradient.set(weights!);
  tape.backward();
  const step = 1e-2;
  for (const [index, input] of inputs.entries()) {
    for (let i = 0; i < input.data.length; i += Math.ceil(input.data.length / 40)) {
      const before = input.data[i]!;
      input.data[i] = before + step;
      const up = value(new Tape()).sum;
      input.data[i] = before - step;
      const down = value(new Tape()).sum;
      input.data[i] = before;
      const expected = (up - down) / (2 * step);
      expect(input.gradient[i]!, `input ${index}, element ${i}`).to.be.closeTo(
        expected,
        0.01 + 0.02 * Math.abs(expected),
      );
    }
  }
}

describe('training of the shipped models', () => {
  const parameters = new Parameters(new SeededRandom(4));
  const matrix = (rows: number, columns: number) => parameters.matrix(rows, columns, 1);

  it('multiplies matrices of any size', () => {
    for (const [rows, columns, inner] of [
      [1, 1, 1],
      [5, 9, 3],
      [8, 16, 300],
      [13, 7, 257],
    ] as const) {
      const [a, b] = [matrix(rows, inner), matrix(inner, columns)];
      const out = new Float32Array(rows * columns);
      multiply(a.data, b.data, out, rows, columns, inner);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) sum += a.data[i * inner + k]! * b.data[k * columns + j]!;
          expect(out[i * columns + j]).to.be.closeTo(sum, 1e-4);
        }
      }
    }
  });

  it('differentiates linear layers, sums and means', () => {
    const [x, w, b, table] = [matrix(6, 5), matrix(3, 5), matrix(1, 3), matrix(2, 3)];
    checkGradients([x, w, b, table], (tape) => {
      const y = addPeriodic(tape, linear(tape, x, w, b), table);
      return meanOfRows(tape, add(tape, y, y), 3);
    });
  });

  it('differentiates Relu and Gelu', () => {
    const x = new Variable(Float32Array.from([-2, -0.7, -0.3, 0.2, 0.9, 2.5]), 2, 3);
    checkGradients([x], (tape) => relu(tape, x));
    x.clearGradient();
    checkGradients([x], (tape) => gelu(tape, x));
  });

  it('differentiates convolutions of both strides', () => {
    for (const stride of [1, 2]) {
      const [x, w, depthwise] = [matrix(2 * 16, 3), matrix(4, 27), matrix(9, 3)];
      const pictures = { batch: 2, size: 4 };
      checkGradients([x, w], (tape) => conv3x3(tape, x, pictures, w, stride));
      x.clearGradient();
      checkGradients([x, depthwise], (tape) => depthwise3x3(tape, x, pictures, depthwise, stride));
    }
  });

  it('differentiates normalizations', () => {
    const x = matrix(6, 4);
    const state = parameters.batchNorm(4);
    state.scale.data.set([1, 2, -1, 0.5]);
    checkGradients([x, state.scale, state.bias], (tape) => batchNorm(tape, x, state));
    x.clearGradient();
    const [scale, bias] = [matrix(1, 4), matrix(1, 4)];
    checkGradients([x, scale, bias], (tape) => layerNorm(tape, x, scale, bias));
  });

  it('differentiates attention', () => {
    const [q, k, v] = [matrix(6, 4), matrix(6, 4), matrix(6, 4)];
    checkGradients([q, k, v], (tape) => attention(tape, q, k, v, { tokens: 3, heads: 2 }));
  });

  it('differentiates cross-entropy', () => {
    const logits = matrix(3, 4);
    const labels = [1, 3, 0];
    const tape = new Tape();
    crossEntropy(tape, logits, labels, 0.1);
    tape.backward();
    for (let i = 0; i < logits.data.length; i++) {
      const before = logits.data[i]!;
      logits.data[i] = before + 1e-3;
      const up = crossEntropy(new Tape(false), logits, labels, 0.1).loss;
      logits.data[i] = before - 1e-3;
      const down = crossEntropy(new Tape(false), logits, labels, 0.1).loss;
      logits.data[i] = before;
      expect(logits.gradient[i]).to.be.closeTo((up - down) / 2e-3, 1e-3);
    }
  });

  it('gives the same bits for the same seed', () => {
    const trained = (): Float32Array[] => {
      const random = new SeededRandom(5);
      const fresh = new Parameters(random);
      const network = signals.makeNetwork(fresh);
      const adam = new Adam(fresh.all, { rate: 1e-3, steps: 3 });
      for (let step = 0; step < 3; step++) {
        const { samples, labels } = drawSignals(4, random);
        const tape = new Tape();
        crossEntropy(tape, signals.runNetwork(tape, network, samples), labels);
        tape.backward();
        adam.step();
      }
      return fresh.all.map(({ data }) => data);
    };
    expect(trained()).to.deep.equal(trained());
  });

  it('exports what it trains', async () => {
    const random = new SeededRandom(6);
    /** Parameters that start as 0 or 1 are moved, or mistakes in their order would not show. */
    const stir = (all: readonly Variable[]): void => {
      for (const { data } of all) for (let i = 0; i < data.length; i++) data[i]! += 0.1 * random.normal();
    };
    const compare = async (model: Model, feed: Tensor, expected: Variable): Promise<void> => {
      const input = model.graph.inputs[0]!.name;
      const { logits } = await withSession(model, {}, (session) => session.run({ [input]: feed }));
      expect(logits!.shape).to.deep.equal([expected.rows, expected.columns]);
      logits!.toFloat32().forEach((value, i) => {
        expect(value).to.be.closeTo(expected.data[i]!, 1e-3 * (1 + Math.abs(expected.data[i]!)));
      });
    };
    const inference = new Tape(false);

    const forSignals = new Parameters(random);
    const signalNetwork = signals.makeNetwork(forSignals);
    stir(forSignals.all);
    const { samples } = drawSignals(3, random);
    const signal = Float32Array.from(samples, (byte) => byte * signals.SCALE - signals.MEAN);
    await compare(
      exportSignalTransformer(signalNetwork),
      Tensor.of('float', [3, 256], signal),
      signals.runNetwork(inference, signalNetwork, samples),
    );

    const forShapes = new Parameters(random);
    const shapeNetwork = shapes.makeNetwork(forShapes);
    const pictures = drawPictures(4, random).samples;
    // A recorded pass moves the running means and variances off their start.
    shapes.runNetwork(new Tape(), shapeNetwork, pictures);
    stir(forShapes.all);
    const image = new Float32Array(pictures.length);
    pictures.forEach((byte, i) => {
      const channel = i % 3;
      const at = Math.floor(i / 3);
      const picture = Math.floor(at / 1024);
      image[(picture * 3 + channel) * 1024 + (at % 1024)] =
        (byte / 255 - shapes.MEAN[channel]!) / shapes.STD[channel]!;
    });
    await compare(
      exportShapesCnn(shapeNetwork),
      Tensor.of('float', [4, 3, 32, 32], image),
      shapes.runNetwork(inference, shapeNetwork, pictures),
    );
  });
});
