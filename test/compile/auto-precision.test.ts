import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { llama, SHAPES } from '../../models/make-llama.js';
import { trainedFor } from '../../src/compile/request-data.js';
import { compile } from '../../src/compile.js';
import { explain } from '../../src/explain.js';
import { addInput } from '../../src/ir/edit.js';
import type { Model } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { tensorType } from '../../src/ir/type.js';
import { readModel } from '../../src/onnx/read.js';
import { type Circumstances, precisionFor, staticPrecisionFor } from '../../src/recipe.js';
import { kindOf } from '../../src/recipe-kind.js';
import type { Target } from '../../src/target/target.js';
import { parseModel } from '../../src/text/parse.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { npuCoreml } from '../../targets/npu-coreml.js';
import { npuNnapi } from '../../targets/npu-nnapi.js';
import { npuQnn } from '../../targets/npu-qnn.js';
import { webgpu } from '../../targets/webgpu.js';

const models = resolve(import.meta.dirname, '../../models');
const shipped = (name: string): string => join(models, name, 'model.onnx');

const gru = (): Model =>
  parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (float[T,1,8] x) => (float[T,1,1,16] y) <
  float[1,48,8] w = ["fill": "normal:1:0:0.3"], float[1,48,16] r = ["fill": "normal:2:0:0.3"]>
{
  y = GRU <hidden_size = 16> (x, w, r)
}`);

/** A convolution over 64 positions before a large product; with the weights as defaults of inputs, as old exporters do. */
const pictures = (weights: 'initializers' | 'inputs', columns: number): Model => {
  const given = weights === 'inputs' ? ', float[8,3,3,3] w' : '';
  return parseModel(`<ir_version: 7, opset_import: ["": 12]>
g (float[1,3,8,8] x${given}) => (float[1,${columns}] y) <
  float[8,3,3,3] w = ["fill": "normal:1:0:0.3"], float[512,${columns}] b = ["fill": "normal:2:0:0.3"],
  float[1,8,8,8] c>
{
  c = Conv <pads = [1, 1, 1, 1]> (x, w)
  f = Flatten (c)
  y = MatMul (f, b)
}`);
};

const MODELS: Readonly<Record<string, () => Model>> = {
  cnn: () => readModel(shipped('shapes-cnn')),
  encoder: () => readModel(shipped('signal-transformer')),
  'small decoder': () => llama(SHAPES['tiny']!),
  decoder: () => llama(SHAPES['30m']!),
  recurrent: gru,
};

const chosen = (target: Target, model: Model, circumstances: Circumstances): string =>
  precisionFor('auto', target, model, circumstances).precision;

describe('kindOf', () => {
  const kinds: Readonly<Record<string, string>> = {
    cnn: 'convolutional',
    encoder: 'transformer',
    'small decoder': 'language-model',
    decoder: 'language-model',
    recurrent: 'recurrent',
  };
  for (const [name, kind] of Object.entries(kinds)) {
    it(`tells a ${name} by its structure`, () => {
      expect(kindOf(MODELS[name]!()).kind).to.equal(kind);
    });
  }

  it('weighs convolutions against products by how often their weights are used', () => {
    // 216 weights at 64 places beside 5120 that are used once: fewer weights, more work.
    expect(kindOf(pictures('initializers', 10))).to.deep.include({ kind: 'convolutional' });
    expect(kindOf(pictures('initializers', 10)).convolutions).to.be.closeTo(13824 / (13824 + 5120), 1e-9);
    expect(kindOf(pictures('initializers', 100)).kind).to.equal('plain');
  });

  it('counts weights that are defaults of inputs', () => {
    expect(kindOf(pictures('inputs', 10)).kind).to.equal('convolutional');
  });
});

describe('precision auto', () => {
  const table: readonly (readonly [model: string, target: Target, data: boolean, precision: string])[] = [
    ['cnn', cpuX64Vnni, true, 'int8'],
    ['cnn', cpuX64Vnni, false, 'int8-dynamic'],
    ['cnn', webgpu, true, 'int8-weights'],
    ['cnn', webgpu, false, 'int4'],
    ['cnn', npuQnn, true, 'a8w8'],
    ['cnn', npuCoreml, false, 'fp16'],
    ['cnn', npuNnapi, true, 'int8'],
    ['cnn', npuNnapi, false, 'float'],
    ['encoder', cpuX64Vnni, true, 'int8'],
    ['encoder', cpuX64Vnni, false, 'int8-dynamic'],
    ['encoder', webgpu, false, 'int4'],
    ['encoder', npuQnn, true, 'a16w8'],
    ['small decoder', cpuX64Vnni, true, 'int8'],
    ['small decoder', cpuX64Vnni, false, 'int8-dynamic'],
    ['small decoder', webgpu, false, 'int4'],
    ['decoder', cpuX64Vnni, true, 'int8'],
    ['decoder', cpuX64Vnni, false, 'int8-dynamic'],
    ['decoder', webgpu, true, 'int4'],
    ['recurrent', cpuX64Vnni, true, 'int8'],
    ['recurrent', cpuX64Vnni, false, 'int8-dynamic'],
  ];
  for (const [name, target, calibrated, precision] of table) {
    it(`is ${precision} for a ${name} on ${target.name} ${calibrated ? 'with' : 'without'} data`, () => {
      const choice = precisionFor('auto', target, MODELS[name]!(), { calibrated });
      expect(choice.precision).to.equal(precision);
      expect(choice.because).to.match(/\w+ \w+/);
    });
  }

  it('is int4 for a decoder that reads token by token, if it is large enough', () => {
    const [small, large] = [MODELS['small decoder']!(), MODELS['decoder']!()];
    expect(chosen(cpuX64Vnni, large, { calibrated: true, kvCache: true })).to.equal('int4');
    expect(chosen(cpuX64Vnni, large, { calibrated: false, kvCache: true })).to.equal('int4');
    expect(chosen(cpuX64Vnni, small, { calibrated: false, kvCache: true })).to.equal('int8-dynamic');
    const type = tensorType('float', ['B', 8, 'P', 64]);
    addInput(large.graph, 'past_key_values.0.key', type);
    expect(chosen(cpuX64Vnni, large, { calibrated: true })).to.equal('int4');
  });

  it('takes static integers for what only they have', () => {
    const circumstances = { calibrated: true, kvCache: true, mixes: true };
    expect(chosen(cpuX64Vnni, MODELS['decoder']!(), circumstances)).to.equal('int8');
  });

  it('takes blocks for what only they have', () => {
    const circumstances = { calibrated: true, blocks: true };
    for (const target of [cpuX64Vnni, webgpu])
      expect(chosen(target, MODELS['cnn']!(), circumstances)).to.equal('int4');
  });

  it('follows grids that a model was trained on', () => {
    const encoder = MODELS['encoder']!();
    expect(chosen(cpuX64Vnni, encoder, { calibrated: true, trained: 'weights' })).to.equal('int4');
    expect(chosen(cpuX64Vnni, encoder, { calibrated: true, trained: 'activations' })).to.equal('int8');
    const scale = Tensor.floats([1]);
    const integers = Tensor.of('int8', [1], new Int8Array(1));
    const grids = (low: number, high: number, ranges: number) => ({
      weights: new Map([['w', { low, high, scale, integers }]]),
      activations: new Map(ranges === 0 ? [] : [['x', { min: 0, max: 1 }]]),
    });
    expect(trainedFor(grids(-8, 7, 0))).to.equal('weights');
    expect(trainedFor(grids(-1, 1, 0))).to.equal('weights');
    expect(trainedFor(grids(-127, 127, 0))).to.equal(undefined);
    expect(trainedFor(grids(-127, 127, 1))).to.equal('activations');
    expect(trainedFor(undefined)).to.equal(undefined);
  });

  it('gives no reason for what was asked for', () => {
    const choice = precisionFor('int8', cpuX64Vnni, MODELS['cnn']!(), { calibrated: false });
    expect(choice).to.deep.equal({ precision: 'int8' });
  });

  it('tells the static integers of each target', () => {
    const cnn = MODELS['cnn']!();
    expect([cpuX64Vnni, npuQnn, npuNnapi].map((target) => staticPrecisionFor(target, cnn))).to.deep.equal([
      'int8',
      'a8w8',
      'int8',
    ]);
  });

  it('is told by explain', async () => {
    const { precision, notes } = await explain({ model: shipped('shapes-cnn'), target: 'webgpu' });
    expect(precision).to.equal('int8-weights');
    const note = notes.find(({ code }) => code === 'auto');
    expect(note?.message).to.match(/^auto is int8-weights, because it is a convolutional network/);
  });

  it('is told by compile, and not where a precision was named', async () => {
    const out = mkdtempSync(join(tmpdir(), 'quantc-auto-'));
    try {
      const request = { model: shipped('shapes-cnn'), out, cache: false } as const;
      const [auto] = await compile(request);
      expect(auto!.precision).to.equal('int8-dynamic');
      expect(auto!.notes.find(({ code }) => code === 'auto')?.message).to.match(/no data for ranges/);
      const [named] = await compile({ ...request, precision: 'int8-dynamic' });
      expect(named!.notes.some(({ code }) => code === 'auto')).to.equal(false);
      expect(named!.files[0]!.sha256).to.equal(auto!.files[0]!.sha256);
    } finally {
      rmSync(out, { recursive: true });
    }
  });
});
