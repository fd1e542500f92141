import { expect } from 'chai';
import { clipWeights } from '../../passes/clip-weights.js';
import { correctBias } from '../../passes/correct-bias.js';
import { roundWeights } from '../../passes/round-weights.js';
import { eager } from './quantizing.js';
import { refined } from './refining.js';

/** Inputs with a mean, so that what rounding shifts is seen; two layers with an activation between. */
const shifted = `<ir_version: 10, opset_import: ["": 21]>
  g (float[N,8,6,6] x) => (float[N,10] y) <
    float[8,8,1,1] u = ["fill": "normal:1:0.3"], float[8] c = ["fill": "normal:5:2"],
    float[12,8,3,3] w = ["fill": "normal:2:0:0.3"], float[12] b = ["fill": "normal:3"],
    float[12,10] v = ["fill": "normal:4"], float[10] d = ["fill": "normal:6"]
  > { a = Conv (x, u, c) r = Relu (a) e = Conv (r, w, b) h = Relu (e) p = GlobalAveragePool (h) f = Flatten (p) y = Gemm (f, v, d) }`;
/** Few steps for each weight, so that what they shift is large. */
const coarse = { ...eager, weight: { dtype: 'int8' as const, limit: 7 } };
const inputs = { x: 'uniform:3:0:2' };

describe('correct-bias', () => {
  it('takes back what weights of few steps shift', async () => {
    const {
      plain,
      refined: corrected,
      notes,
    } = await refined([correctBias], shifted, { target: coarse, inputs });
    expect(corrected).to.be.above(plain + 3);
    expect(notes.join()).to.match(/3 biases corrected: [\d.]+ dB before, [\d.]+ dB with it/);
  });

  it('finds layers whose weights were rounded together, and clipped, before', async () => {
    const passes = [clipWeights, roundWeights, correctBias];
    const {
      notes,
      declined,
      plain,
      refined: all,
    } = await refined(passes, shifted, { target: coarse, inputs });
    expect(declined).to.deep.equal([]);
    expect(notes.map((note) => note.split(' ').slice(0, 2).join(' '))).to.deep.equal([
      '3 weights',
      '3 weights',
      '3 biases',
    ]);
    expect(all).to.be.above(plain + 3);
  });

  it('moves float biases of weights that are widened', async () => {
    const { plain, refined: corrected } = await refined([correctBias], shifted, {
      precision: 'int8-weights',
      inputs,
    });
    expect(corrected).to.be.at.least(plain);
  });

  it('does nothing without samples', async () => {
    const { plain, refined: same, declined } = await refined([correctBias], shifted, { inputs }, true);
    expect(same).to.equal(plain);
    expect(declined.join()).to.match(/no calibration samples/);
  });
});

describe('clip-weights', () => {
  it('gives up the largest weights where all others gain by it', async () => {
    // One weight of a row is far from the others.
    const text = `<ir_version: 10, opset_import: ["": 21]>
      g (float[N,64] x) => (float[N,10] y) < float[64,10] w = ["fill": "normal:2"], float[10] b = ["fill": "normal:3"] >
      { y = Gemm (x, w, b) }`;
    const { plain, refined: clipped, notes } = await refined([clipWeights], text, { target: coarse });
    expect(clipped).to.be.above(plain + 0.5);
    expect(notes.join()).to.match(/one weight clipped/);
  });
});
