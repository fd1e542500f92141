import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { QuantcError } from '../../src/errors/error.js';
import { verify } from '../../src/ir/verify.js';
import { readModel } from '../../src/onnx/read.js';
import { formatFloat32 } from '../../src/text/elements.js';
import { equalModels } from '../../src/text/equal.js';
import { parseModel } from '../../src/text/parse.js';
import { printModel, printNode } from '../../src/text/print.js';
import { sharedPath } from '../shared.js';
import { randomModel } from './random-model.js';

const all = { elide: Number.POSITIVE_INFINITY };

describe('text: print', () => {
  it('writes a model as a person would', () => {
    const model = parseModel(`
      <ir_version: 10, opset_import: ["": 21, "d": 1], producer_name: "p", metadata_props: ["a": "b\\"c"]>
      "main-graph" (bool c, float[N,3] x, seq(float[?]) s, u) => (float[N,3] y) <
        float[3] w = {1, 2.5, -inf}, float[100] big = ["fill": "normal:3"], float16[1] h = {15360}, float[N,3] a > {
        [conv] a = Conv<strides=[1,1], auto_pad = "SAME", eps = 1e-5, none: ints = []>(x, w, "", big)
        y, "" = d.If:o(c) <then_branch = t () => (p) <float k = {1}> { p = Mul(a, k) },
          else_branch: graph = "odd name" () => (q) { q = Neg(a) }, flag = 1> }
      <domain: "d", opset_import: ["": 21]> f <alpha, beta: float = 1.0> (a) => (b) { b = Elu<alpha: float = @alpha>(a) }`);
    expect(printModel(model)).to.equal(
      `<
  ir_version: 10,
  opset_import: ["": 21, "d": 1],
  producer_name: "p",
  metadata_props: ["a": "b\\"c"]
>
"main-graph" (bool c, float[N,3] x, seq(float[?]) s, u) => (float[N,3] y) <
  float[3] w = {1, 2.5, -inf},
  float[100] big = ["fill": "normal:3"],
  float16[1] h = {15360},
  float[N,3] a
> {
  [conv] a = Conv <strides = [1, 1], auto_pad = "SAME", eps = 0.00001, none: ints = []> (x, w, "", big)
  y, "" = d.If:o (c) <
    then_branch = t () => (p) <
      float k = {1}
    > {
      p = Mul (a, k)
    },
    else_branch: graph = "odd name" () => (q) {
      q = Neg (a)
    },
    flag = 1
  >
}

<
  domain: "d",
  opset_import: ["": 21]
>
f <alpha, beta = 1.0> (a) => (b) {
  b = Elu <alpha: float = @alpha> (a)
}
`,
    );
  });

  it('elides large constants by digest, or by size where bytes are not to be read', () => {
    const model = parseModel(`g () => (float[100] w) <float[100] w = {${'1, '.repeat(99)}1}> {}`);
    expect(printModel(model)).to.include('float[100] w = ["sha256": "');
    expect(printModel(model, { digest: false })).to.include('w = ["elided": "400 bytes"]');
    expect(printModel(model, { elide: 400 })).to.include('w = {1, 1, 1');
  });

  it('leaves out types of inner values on request, and prints single nodes', () => {
    const model = parseModel('g (float x) => (float y) <float[7] a> { a = Neg(x) [n] y = Abs<k = 1>(a) }');
    expect(printModel(model)).to.include('float[7] a');
    expect(printModel(model, { types: false })).not.to.include('float[7] a');
    expect(printNode(model.graph.last!)).to.equal('[n] y = Abs <k = 1> (a)');
  });

  it('writes the shortest decimal that is the same float32', () => {
    const cases: [number, string][] = [
      [0.1, '0.1'],
      [16777216, '16777216.0'],
      [1e-45, '1e-45'],
      [3.4028234663852886e38, '3.4028235e+38'],
      [-0, '-0.0'],
      [Number.NaN, 'nan'],
    ];
    for (const [value, expected] of cases) expect(formatFloat32(value, true)).to.equal(expected);
    fc.assert(
      fc.property(fc.float({ noDefaultInfinity: true }), (value) =>
        Object.is(Math.fround(Number(formatFloat32(value, true))), Math.fround(value)),
      ),
      { examples: [[-0], [1.17549435e-38]] },
    );
  }).timeout(10_000);

  it('is undone by parsing, whatever the model', () => {
    fc.assert(
      fc.property(randomModel, (model) => {
        const printed = printModel(model, all);
        const read = parseModel(printed);
        expect(equalModels(model, read), printed).to.equal(undefined);
        expect(printModel(read, all)).to.equal(printed);
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it('is refused by code when it was cut or changed anywhere', () => {
    fc.assert(
      fc.property(
        randomModel,
        fc.nat(),
        fc.nat(),
        fc.constantFrom('', '(', '"', '<', '9', '@', 'x'),
        (model, at, length, put) => {
          const printed = printModel(model, all);
          const start = at % printed.length;
          const text = printed.slice(0, start) + put + printed.slice(start + (length % 9));
          for (const each of [text, text.slice(0, start)]) {
            try {
              parseModel(each);
            } catch (error) {
              expect(error).to.be.instanceOf(QuantcError);
            }
          }
        },
      ),
      { numRuns: 200, seed: 11 },
    );
  });

  it("is undone by parsing, for every model of ONNX's own suite, which the verifier accepts", () => {
    const suite = sharedPath('onnx-suite');
    if (suite === undefined) return;
    let compared = 0;
    for (const entry of readdirSync(suite, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const model = readModel(join(suite, entry.name, 'model.onnx'));
      expect(verify(model), entry.name).to.deep.equal([]);
      expect(equalModels(model, parseModel(printModel(model, all))), entry.name).to.equal(undefined);
      compared += 1;
    }
    expect(compared).to.be.greaterThan(900);
  });
});
