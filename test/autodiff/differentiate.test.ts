/** What differentiation leaves out, adds up, and refuses. */
import { expect } from 'chai';
import { differentiate } from '../../src/autodiff/differentiate.js';
import { QuantcError } from '../../src/errors/error.js';
import { addGraphOutput, addInput } from '../../src/ir/edit.js';
import type { Model, Value } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { verify } from '../../src/ir/verify.js';
import { withSession } from '../../src/runtime/session.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';

async function typed(signature: string, nodes: string, header = '"": 21'): Promise<Model> {
  const model = parseModel(`<ir_version: 10, opset_import: [${header}]> g ${signature} { ${nodes} }`);
  await inferTypes(model);
  return model;
}

const named = (model: Model, name: string): Value => {
  for (const value of [...model.graph.inputs, ...model.graph.initializers])
    if (value.name === name) return value;
  for (const node of model.graph.nodes())
    for (const value of node.outputs) if (value.name === name) return value;
  throw new Error(`no ${name}`);
};

/** The gradients of the named values for a cotangent of ones. */
function gradients(model: Model, names: readonly string[]): (Value | undefined)[] {
  const [y] = model.graph.outputs;
  const seed = addInput(model.graph, 'seed', y!.type);
  const wrt = names.map((name) => named(model, name));
  const found = differentiate(model, { wrt, seeds: new Map([[y!, seed]]) });
  return wrt.map((value) => found.get(value));
}

const operators = (model: Model): string[] => [...model.graph.nodes()].map((node) => node.opType);

async function refusal(model: Model, name: string): Promise<QuantcError> {
  try {
    gradients(model, [name]);
  } catch (error) {
    expect(error).to.be.instanceOf(QuantcError);
    return error as QuantcError;
  }
  throw new Error('nothing was thrown');
}

describe('differentiation', () => {
  it('computes only what is wanted', async () => {
    const model = await typed(
      '(float[2,3] x, float[3,4] w, float[4,5] v) => (float[2,5] y)',
      'h = MatMul(x, w)\ny = MatMul(h, v)',
    );
    const before = model.graph.nodeCount;
    const [dv] = gradients(model, ['v']);
    expect(dv!.shape).to.deep.equal([4, 5]);
    // A turned h and a product: nothing towards w or x.
    expect(operators(model).slice(before)).to.deep.equal(['Transpose', 'MatMul']);
    expect(verify(model)).to.deep.equal([]);
  });

  it('does not follow shapes, comparisons and integers', async () => {
    const model = await typed(
      '(float[2,3] x, float[2,3] w) => (y) <int64[1] none = {0}>',
      `s = Shape(x)
       n = Cast<to=1>(s)
       m = ReduceSum(n, none)
       big = Greater(x, w)
       chosen = Where(big, w, w)
       f = Floor(x)
       p = Mul(chosen, f)
       y = Mul(p, m)`,
    );
    const [dx, dw] = gradients(model, ['x', 'w']);
    expect(dx).to.equal(undefined);
    expect(dw!.shape).to.deep.equal([2, 3]);
  });

  it('adds up what several readers hand back, also of the seed itself', async () => {
    const model = await typed('(float[2] x) => (float[2] y)', 'a = Mul(x, x)\ny = Add(a, x)');
    const [dx] = gradients(model, ['x']);
    addGraphOutput(model.graph, dx!);
    await withSession(model, { threads: 1 }, async (session) => {
      const feed = { x: Tensor.floats([3, -1]), seed: Tensor.floats([1, 2]) };
      expect([...(await session.run(feed))[dx!.name]!.toFloat32()]).to.deep.equal([7, -2]);
    });
  });

  it('passes Round straight through, and Clip on its bounds', async () => {
    const model = await typed(
      '(float[4] x) => (float[4] y) <float lo = {-1}, float hi = {1}>',
      'c = Clip(x, lo, hi)\ny = Round(c)',
    );
    const [dx] = gradients(model, ['x']);
    addGraphOutput(model.graph, dx!);
    await withSession(model, { threads: 1 }, async (session) => {
      const feed = { x: Tensor.floats([-1, 1, 0.3, 1.5]), seed: Tensor.floats([1, 2, 3, 4]) };
      expect([...(await session.run(feed))[dx!.name]!.toFloat32()]).to.deep.equal([1, 2, 3, 0]);
    });
  });

  it('asks for the gradient of values in between', async () => {
    const model = await typed('(float[2] x) => (float[2] y)', 'h = Exp(x)\ny = Sin(h)');
    const [dh] = gradients(model, ['h']);
    expect(dh!.type).to.deep.equal(named(model, 'h').type);
  });

  it('refuses operators without a rule, by operator and node', async () => {
    const cases: readonly [signature: string, nodes: string, names: string][] = [
      ['(float[2,3] x) => (float[2,3] y)', '[odd] y = com.microsoft.QuickGelu(x)', 'com.microsoft.QuickGelu'],
      ['(float[2,2] x) => (float y)', '[odd] y = Det(x)', 'Det'],
      [
        '(float[2] x, bool c) => (y)',
        '[odd] y = If(c) <then_branch = t () => (float[2] a) { a = Exp(x) }, else_branch = e () => (float[2] b) { b = Neg(x) }>',
        'If',
      ],
    ];
    for (const [signature, nodes, name] of cases) {
      const model = await typed(signature, nodes, '"": 21, "com.microsoft": 1');
      const error = await refusal(model, 'x');
      expect(error.code).to.equal('E_GRADIENT_OP');
      expect(error.message).to.include(name);
      expect(error.place.node).to.equal('odd');
    }
  });

  it('goes round operators without a rule that lie on no way to what is trained', async () => {
    const model = await typed('(float[2,2] x, float[2] w) => (y)', 'd = Det(x)\ny = Mul(d, w)');
    const [dw] = gradients(model, ['w']);
    expect(dw!.shape).to.deep.equal([2]);
  });

  it('refuses forms that a rule does not cover, old opsets, open ranks and values of other graphs', async () => {
    const trained = await typed(
      '(float[1,2,2,2] x, float[2] a) => (y) <float[2] m = {0,0}, float[2] v = {1,1}>',
      'y, rm, rv = BatchNormalization<training_mode=1>(x, a, a, m, v)',
    );
    expect((await refusal(trained, 'x')).code).to.equal('E_GRADIENT_VARIANT');
    const old = await typed('(float[2] x) => (y)', 'y = Neg(x)', '"": 13');
    expect((await refusal(old, 'x')).code).to.equal('E_GRADIENT_OPSET');
    const open = await typed('(float[N,1,H,4] x, float[1,1,2,2] w) => (y)', 'y = Conv(x, w)');
    expect((await refusal(open, 'w')).code).to.equal('E_GRADIENT_SHAPE');
    const [one, other] = [
      await typed('(float[2] x) => (y)', 'y = Neg(x)'),
      await typed('(float[2] x) => (y)', 'y = Neg(x)'),
    ];
    const seeds = new Map([[one.graph.outputs[0]!, one.graph.outputs[0]!]]);
    expect(() => differentiate(one, { wrt: [other.graph.inputs[0]!], seeds })).to.throw(
      QuantcError,
      'main graph',
    );
  });
});
