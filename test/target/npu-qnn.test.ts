import { expect } from 'chai';
import {
  encodeModel,
  type Model,
  type Node,
  parseModel,
  profiled,
  verdictOf,
  zeroPointType,
} from '../../src/index.js';
import { precisionFor } from '../../src/recipe.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import type { Profile } from '../../src/target/target.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { npuQnn } from '../../targets/npu-qnn.js';
import { qnnTable } from '../../targets/qnn-rules.js';
import { type Options, type Quantized, quantized } from '../passes/quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';

const made = (text: string, profile: Profile, options: Options = {}) =>
  quantized(text, { ...options, target: profiled(npuQnn, profile), precision: profile });

const images = `${head}
  g (float[1,4,8,8] x) => (float[1,6] y) <
    float[8,4,3,3] w = ["fill": "normal:1:0:0.2"], float[8] b = ["fill": "normal:2"],
    float[8,1,3,3] d = ["fill": "normal:3:0:0.3"], float[6,8] u = ["fill": "normal:4"], float[6] c = ["fill": "normal:5"],
    float[4,4,2,2] t = ["fill": "normal:6:0:0.3"], float six = {6.0}, float zero = {0.0}
  > {
    [up] o = ConvTranspose <strides = [2, 2]> (x, t)
    [pool] p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (o)
    [first] a = Conv <pads = [1, 1, 1, 1]> (p, w, b)
    [relu] r = Relu (a)
    [deep] e = Conv <pads = [1, 1, 1, 1], group = 8> (r, d)
    [clip] f = Clip (e, zero, six)
    [gate] s = Sigmoid (f)
    [gated] m = Mul (f, s)
    [mean] q = GlobalAveragePool (m)
    [flat] v = Flatten (q)
    [head] y = Gemm <transB = 1> (v, u, c)
  }`;

/** One head of attention with a mask, over embeddings of tokens. */
const attention = `${head}
  g (int64[1,6] tokens) => (float[1,6,8] y) <
    float[24,8] table = ["fill": "normal:1"], float[8] scale = ["fill": "uniform:2:0.5:1.5"], float[8] shift = ["fill": "normal:3"],
    float[8,8] wq = ["fill": "normal:4:0:0.4"], float[8,8] wk = ["fill": "normal:5:0:0.4"], float[8,8] wv = ["fill": "normal:6:0:0.4"],
    float[6,6] mask = { 0, -1e9, -1e9, -1e9, -1e9, -1e9, 0, 0, -1e9, -1e9, -1e9, -1e9, 0, 0, 0, -1e9, -1e9, -1e9,
      0, 0, 0, 0, -1e9, -1e9, 0, 0, 0, 0, 0, -1e9, 0, 0, 0, 0, 0, 0 }
  > {
    [embed] e = Gather (table, tokens)
    [norm] n = LayerNormalization (e, scale, shift)
    [query] q = MatMul (n, wq)
    [key] k = MatMul (n, wk)
    [value] v = MatMul (n, wv)
    [turn] t = Transpose <perm = [0, 2, 1]> (k)
    [score] s = MatMul (q, t)
    [masked] m = Add (s, mask)
    [weigh] p = Softmax (m)
    [mix] o = MatMul (p, v)
    [sum] y = Add (o, e)
  }`;
const tokens = { inputs: { tokens: 'arange:0:1' } };

const named = (model: Model, label: string): Node =>
  [...model.graph.nodes()].find((node) => node.label === label)!;
const typeAt = (model: Model, label: string, index: number) =>
  zeroPointType(named(model, label).inputs[index]!.producer!);

/** Every output is as near to the float model's, in dB. */
async function expectNear({ before, after, data }: Quantized, decibels: number): Promise<void> {
  const session = { threads: 1 };
  const options = { reference: session, candidate: session };
  for (const { sqnr } of await compareOutputs(encodeModel(before), encodeModel(after), data, options))
    expect(sqnr).to.be.at.least(decibels);
}

describe('npu-qnn', () => {
  for (const profile of ['a8w8', 'a16w8', 'a16w4'] as const) {
    it(`is given images whole by ${profile}`, async () => {
      const { after } = await made(images, profile);
      const { breaks, coverage, partitions } = verdictOf(after, qnnTable);
      expect(breaks).to.deep.equal([]);
      expect(coverage).to.equal(1);
      expect(partitions).to.have.length(1);
    });
  }

  for (const profile of ['a16w8', 'a16w4'] as const) {
    it(`is given attention whole by ${profile}`, async () => {
      const { after } = await made(attention, profile, tokens);
      expect(verdictOf(after, qnnTable)).to.deep.include({ breaks: [], coverage: 1 });
    });
  }

  it('keeps images within the steps of their grids', async () => {
    await expectNear(await made(images, 'a8w8'), 24);
    await expectNear(await made(images, 'a16w8'), 34);
  });

  it('quantizes the first thing and the last, and leaves nothing between them float', async () => {
    const { after } = await made(images, 'a16w8');
    expect(after.graph.inputs[0]!.uses.map(({ node }) => node.opType)).to.deep.equal(['QuantizeLinear']);
    expect(after.graph.outputs[0]!.producer!.opType).to.equal('DequantizeLinear');
  });

  it('takes the second of two computed factors through 8 bits', async () => {
    const { after } = await made(attention, 'a16w8', tokens);
    expect(typeAt(after, 'score', 0)).to.equal('uint16');
    expect(typeAt(after, 'score', 1)).to.equal('uint8');
    expect(typeAt(after, 'query', 1)).to.equal('int8');
    expect(typeAt(after, 'norm', 1)).to.equal('uint8');
    expect(typeAt(after, 'norm', 2)).to.equal('int32');
  });

  it('gives Sigmoid and Softmax the ranges of their kernels', async () => {
    const { after } = await made(images, 'a16w8');
    const quantize = named(after, 'gate').outputs[0]!.uses[0]!.node;
    expect(quantize.inputs[1]!.constant!.toNumbers()).to.deep.equal([2 ** -16]);
    expect(quantize.inputs[2]!.constant!.toNumbers()).to.deep.equal([0]);
  });

  it('ends the range in front of Softmax below the scores, not at the mask', async () => {
    const done = await made(attention, 'a16w8', tokens);
    const quantize = named(done.after, 'masked').outputs[0]!.uses[0]!.node;
    expect(quantize.inputs[1]!.constant!.toNumbers()[0]).to.be.below(0.01);
    await expectNear(done, 34);
  });

  it('stores weights of 4 bits two a byte, a scale each output channel', async () => {
    const { after } = await made(attention, 'a16w4', tokens);
    const weight = named(after, 'query').inputs[1]!.producer!;
    expect(weight.inputs[0]!.dtype).to.equal('int4');
    expect(weight.inputs[0]!.constant!.byteLength).to.equal(32);
    expect(weight.inputs[1]!.shape).to.deep.equal([8]);
  });

  it('names its profiles, and takes no others', () => {
    const model = parseModel(images);
    const calibrated = { calibrated: true };
    expect(precisionFor('auto', npuQnn, model, calibrated).precision).to.equal('a8w8');
    expect(precisionFor('auto', npuQnn, parseModel(attention), calibrated).precision).to.equal('a16w8');
    expect(() => precisionFor('int8', npuQnn, model, calibrated)).to.throw(/npu-qnn has no kernels for int8/);
    expect(() => precisionFor('a8w8', cpuX64Vnni, model, calibrated)).to.throw(/has no kernels for a8w8/);
  });
});
