import { expect } from 'chai';
import { type Model, type Node, QuantcError, type Tensor, type Value } from '../../src/index.js';
import { attempt } from '../../src/runtime/attempt.js';
import { evaluate } from '../../src/runtime/fold.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';

const model = (text: string, head = 'opset_import: ["": 21]') =>
  parseModel(`<ir_version: 10, ${head}>\n${text}`);

const node = (of: Model, output: string): Node =>
  [...of.graph.nodes()].find((each) => each.outputs.some((value) => value.name === output))!;
const value = (of: Model, name: string): Value => node(of, name).outputs.find((each) => each.name === name)!;

/** Evaluates named values from the nodes that make them. */
async function compute(of: Model, makers: string[], wanted: string[]): Promise<Record<string, Tensor>> {
  const found = await evaluate(
    of,
    makers.map((name) => node(of, name)),
    wanted.map((name) => value(of, name)),
  );
  return Object.fromEntries([...found].map(([each, tensor]) => [each.name, tensor]));
}

describe('runtime/fold', () => {
  const chain = model(`g (float x) => (float y) <float[2,2] w = {1, 2, 3, 4}, int64[2] p = {0, 1}> {
    t = Transpose <perm = [1, 0]> (w)
    e = Exp (t)
    s = Shape (t)
    k = Cast <to = 22> (p)
    b = Cast <to = 16> (w)
    c = Cast <to = 1> (b)
    y = Neg (x)
  }`);

  it('computes a chain in one run, of any dtype that can come back', async () => {
    const found = await compute(chain, ['t', 'e', 's'], ['t', 'e', 's']);
    expect(found['t']!.toNumbers()).to.deep.equal([1, 3, 2, 4]);
    expect(found['e']!.toNumbers()[1]).to.be.closeTo(Math.exp(3), 1e-5);
    expect(found['s']!.dtype).to.equal('int64');
    expect(found['s']!.toNumbers()).to.deep.equal([2, 2]);
  });

  it('leaves out what cannot come back, not what lies behind it', async () => {
    await inferTypes(chain);
    const found = await compute(chain, ['k', 'b', 'c', 't'], ['k', 'b', 'c', 't']);
    expect(Object.keys(found)).to.have.members(['c', 't']);
  });

  it('leaves out what ONNX Runtime cannot compute, and what needs it', async () => {
    const broken = model(
      `g (float x) => (float y) <float[2] w = {1, 2}, float[3] v = {1, 2, 3}> {
        a = Neg (w)
        b = foreign.Twist (a)
        c = Abs (b)
        d = Add (a, w)
        y = Neg (x)
      }`,
      'opset_import: ["": 21, "foreign": 1]',
    );
    const found = await compute(broken, ['a', 'b', 'c', 'd'], ['c', 'd']);
    expect(Object.keys(found)).to.deep.equal(['d']);
  });

  it('finds the node that fails when it runs', async () => {
    const broken = model(`g (float x) => (float y) <float[2] w = {1, 2}, int64[1] i = {9}> {
      a = Neg (w)
      b = Gather (w, i)
      y = Neg (x)
    }`);
    const found = await compute(broken, ['a', 'b'], ['a', 'b']);
    expect(Object.keys(found)).to.deep.equal(['a']);
  });

  it('computes If nodes whole, with what their branches capture', async () => {
    const m = model(`g (float x) => (float y) <bool c = {0}, float[2] w = {1, 2}> {
      a = Neg (w)
      k = If (c) <then_branch = t () => (p) { p = Abs (a) }, else_branch = e () => (a1) { a1 = Identity (a) }>
      y = Neg (x)
    }`);
    expect((await compute(m, ['a', 'k'], ['k']))['k']!.toNumbers()).to.deep.equal([-1, -2]);
  });

  it('asks nothing for nothing', async () => {
    expect((await evaluate(chain, [], [])).size).to.equal(0);
  });
});

describe('runtime/attempt', () => {
  it('finds the culprit by bisection when no message names it', async () => {
    const m = model(`g (float x) => (float y) <float w = {1}> {
      a = Neg (w) b = Exp (a) c = Abs (a) d = Sqrt (c) y = Neg (x)
    }`);
    const nodes = [...m.graph.nodes()].slice(0, 4);
    const outcome = await attempt(m, { nodes }, async (cut) => {
      if ([...cut.nodes.values()].some((each) => each.opType === 'Exp'))
        throw new QuantcError('E_RUNTIME_LOAD', 'something, somewhere');
      return [...cut.nodes.values()].map((each) => each.opType);
    });
    expect(outcome.answer).to.deep.equal(['Neg', 'Abs', 'Sqrt']);
    expect(outcome.refusals.map((each) => each.node.opType)).to.deep.equal(['Exp']);
  });

  it('lets faults of ours through', async () => {
    const m = model('g (float x) => (float y) { y = Neg (x) }');
    const boom = new TypeError('ours');
    const failing = attempt(m, { nodes: m.graph.nodes() }, () => Promise.reject(boom));
    const error = await failing.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.equal(boom);
  });
});
