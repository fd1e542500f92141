/** What the format cannot say is refused by name, with a code, and nothing is made. */
import { expect } from 'chai';
import { parseModel, QuantcError, verdictOf } from '../../src/index.js';
import { inferTypes } from '../../src/runtime/types.js';
import { convertToTflite } from '../../src/tflite/index.js';
import { litert } from '../../targets/litert-rules.js';
import { HEAD } from './beside.js';

const W = 'float[4,3,3,3] w = ["fill": "normal:1"]';

const CASES: readonly (readonly [name: string, graph: string, code: string, said: RegExp])[] = [
  [
    'an operator that has no form',
    'g (float[1,4] x) => (float[1,4] y) { [odd] y = Erf (x) }',
    'E_TFLITE_OP',
    /Erf \(odd\)/,
  ],
  [
    'an operator of another domain',
    `<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]> g (float[1,4] x) => (float[1,4] y) { [odd] y = com.microsoft.QuickGelu (x) }`,
    'E_TFLITE_OP',
    /com.microsoft:QuickGelu \(odd\)/,
  ],
  [
    'an open dimension',
    `g (float[1,3,H,W] x) => (float[1,4,P,Q] y) <${W}> { y = Conv (x, w) }`,
    'E_TFLITE_SHAPE',
    /x has the shape \[1,3,H,W\]/,
  ],
  [
    'a computed weight',
    'g (float[1,3,8,8] x, float[4,3,3,3] w) => (float[1,4,6,6] y) { [c] y = Conv (x, w) }',
    'E_TFLITE_OP',
    /its weight is computed/,
  ],
  [
    'three dimensions',
    'g (float[1,3,8,8,8] x) => (float[1,4,6,6,6] y) <float[4,3,3,3,3] w = ["fill": "normal:1"]> { [c] y = Conv (x, w) }',
    'E_TFLITE_OP',
    /3 dimensions/,
  ],
  [
    'transposed convolution in groups',
    'g (float[1,4,5,5] x) => (float[1,4,10,10] y) <float[4,2,2,2] w = ["fill": "normal:1"]> { [c] y = ConvTranspose <strides = [2,2], group = 2> (x, w) }',
    'E_TFLITE_OP',
    /groups/,
  ],
  [
    'cubic resizing',
    'g (float[1,3,4,4] x) => (float[1,3,8,8] y) <float[4] s = {1,1,2,2}> { [r] y = Resize <mode = "cubic"> (x, , s) }',
    'E_TFLITE_OP',
    /cubic/,
  ],
  [
    'resizing at other places',
    'g (float[1,3,4,4] x) => (float[1,3,6,6] y) <float[4] s = {1,1,1.5,1.5}> { [r] y = Resize <mode = "nearest", nearest_mode = "ceil"> (x, , s) }',
    'E_TFLITE_OP',
    /other elements/,
  ],
  [
    'means that leave uneven padding out',
    'g (float[1,3,8,8] x) => (float[1,3,4,4] y) { [p] y = AveragePool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x) }',
    'E_TFLITE_OP',
    /uneven padding/,
  ],
  [
    'Softmax of doubles',
    'g (double[1,4] x) => (double[1,4] y) { y = Softmax (x) }',
    'E_TFLITE_TYPE',
    /x is double/,
  ],
  [
    'activations of 16 bits',
    'g (float[1,4] x) => (float[1,4] y) <float s = {0.1}, int16 z = {0}> { q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z) }',
    'E_TFLITE_TYPE',
    /int16/,
  ],
];

describe('what .tflite cannot say', () => {
  for (const [name, graph, code, said] of CASES) {
    it(`refuses ${name}`, async () => {
      const model = parseModel(graph.startsWith('<') ? graph : `${HEAD} ${graph}`);
      await inferTypes(model);
      const attempt = () => convertToTflite(model);
      expect(attempt).to.throw(QuantcError, said).with.property('code', code);
    });
  }

  it('is told before anything is compiled: verdicts name the node and the rule', async () => {
    for (const [name, graph, code] of CASES) {
      if (code !== 'E_TFLITE_OP') continue;
      const model = parseModel(graph.startsWith('<') ? graph : `${HEAD} ${graph}`);
      await inferTypes(model);
      const { coverage, breaks } = verdictOf(model, litert);
      expect(coverage, name).to.be.below(1);
      expect(breaks.map(({ rule }) => rule).join(), name).to.match(/^litert\//);
    }
  });
});
