import { expect } from 'chai';
import {
  addInitializer,
  type Model,
  setInput,
  setType,
  sortTopologically,
  Tensor,
  type Type,
  valuesOf,
} from '../../src/index.js';
import { readModel } from '../../src/onnx/read.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import { sharedPath } from '../shared.js';
import { suiteCases } from '../suite.js';

const model = (text: string, head = 'opset_import: ["": 21]') =>
  parseModel(`<ir_version: 10, ${head}>\n${text}`);

const textOf = (type: Type | undefined): string =>
  type === undefined
    ? '?'
    : type.kind === 'tensor'
      ? `${type.dtype}[${type.shape?.map((dim) => dim ?? '?') ?? '…'}]`
      : type.kind === 'sequence'
        ? `seq(${textOf(type.element)})`
        : type.kind;

/** Types of every value by name, subgraphs and functions included. */
function types(of: Model): Record<string, string> {
  const all: Record<string, string> = {};
  for (const graph of of.graphs()) for (const value of valuesOf(graph)) all[value.name] = textOf(value.type);
  return all;
}

function forget(of: Model): void {
  for (const graph of of.graphs())
    for (const value of valuesOf(graph)) if (value.producer) setType(value, undefined);
}

describe('runtime/types', () => {
  it('types inner values, symbolic dimensions kept, constant axes and computed shapes obeyed', async () => {
    const m = model(`g (float[N,4,6] x, float[2,3] k) => (float[A,B] y) {
      s = Shape (k)
      e = Expand (one, s)
      one = Constant <value_float = 1.0> ()
      axis = Constant <value_ints = [1]> ()
      q = ReduceMax <keepdims = 0> (x, axis)
      p = Transpose <perm = [2, 0, 1]> (x)
      y = Identity (q)
    }`);
    sortTopologically(m.graph);
    await inferTypes(m);
    expect(types(m)).to.include({ s: 'int64[2]', e: 'float[2,3]', q: 'float[N,6]', p: 'float[6,N,4]' });
    expect(types(m)['y'], 'a declared output stays as declared').to.equal('float[A,B]');
  });

  it('does not need weights to know shapes', async () => {
    const m = model(`g (float[N,64] x) => (float[N,M] y) <float[64,5000] w = ["fill": "normal:1"]> {
      a = MatMul (x, w)
      y = Relu (a)
    }`);
    await inferTypes(m);
    expect(types(m)['a']).to.equal('float[N,5000]');
  });

  it('types what lies in If branches, Loop and Scan bodies, captured weights of one name told apart', async () => {
    const m = model(`g (bool c, float[2,3] x) => (float[2,3] y, float[2,3] z) {
      y = If (c) <
        then_branch = a () => (p) <float[3] w = {1, 2, 3}> { p0 = Mul (x, w) p = Neg (p0) },
        else_branch = b () => (q) <float[1] w = {2}> { q0 = Mul (x, w) q = Abs (q0) }
      >
      n = Constant <value_int = 4> ()
      go = Constant <value = bool {1}> ()
      z = Loop (n, go, x) <body = l (int64 i, bool k, float[2,3] h) => (bool k1, float[2,3] h1) {
        k1 = Identity (k)
        f = Cast <to = 1> (i)
        h0 = Add (h, f)
        h1 = Mul (h0, x)
      }>
    }`);
    await inferTypes(m);
    expect(types(m)).to.include({ p0: 'float[2,3]', q: 'float[2,3]', f: 'float[]', h0: 'float[2,3]' });
  });

  it('types sequences, and dtypes that JavaScript has no tensors for', async () => {
    const m = model(`g (float[4] x) => (float[4] y) {
      s = SplitToSequence <axis = 0> (x)
      zero = Constant <value_int = 0> ()
      e = SequenceAt (s, zero)
      b = Cast <to = 16> (x)
      y = Cast <to = 1> (b)
    }`);
    await inferTypes(m);
    expect(types(m)).to.include({ s: 'seq(float[…])', b: 'bfloat16[4]' });
  });

  it('goes around operators that ONNX Runtime does not know, and says so', async () => {
    const m = model(
      `g (float[N,3] x) => (float[N,3] y, float[N,3] z) {
        a = Neg (x)
        b = foreign.Twist (a)
        c = Abs (b)
        d = Exp (a)
        y = Identity (c)
        z = Identity (d)
      }`,
      'opset_import: ["": 21, "foreign": 1]',
    );
    const report = await inferTypes(m);
    expect(types(m)).to.include({ a: 'float[N,3]', b: '?', c: '?', d: 'float[N,3]' });
    expect(report.refusals.map((each) => each.node.opType)).to.deep.equal(['Twist']);
    expect(report.untyped.map((value) => value.name)).to.have.members(['b', 'c']);
  });

  it('takes up from where somebody has said what a foreign operator gives', async () => {
    const m = model(
      'g (float[N,3] x) => (float[K] y) { b = foreign.Twist (x) c = Transpose (b) y = foreign.Twist (c) }',
      'opset_import: ["": 21, "foreign": 1]',
    );
    await inferTypes(m);
    const twisted = [...m.graph.nodes()][0]!.outputs[0]!;
    expect(types(m)['c']).to.equal('?');
    setType(twisted, { kind: 'tensor', dtype: 'int8', shape: ['N', 7] });
    await inferTypes(m);
    expect(types(m)['c']).to.equal('int8[7,N]');
  });

  it('types function bodies whose calls agree, those that differ only as far as they agree', async () => {
    const m = model(
      `g (float[2,3] x, float[5,3] v, int32[2] k) => (float[2,3] y, float[5,3] w, int32[2] j) {
        y = own.Twice <by = 2.0> (x)
        w = own.Twice <by = 2.0> (v)
        a = own.Same (x)
        j = own.Same (k)
      }
      <domain: "own", opset_import: ["": 21]>
      Twice <by> (p) => (r) { c = Constant <value_float : float = @by> () q = Mul (p, c) r = Neg (q) }
      <domain: "own", opset_import: ["": 21]>
      Same (s) => (t) { u = Identity (s) t = Identity (u) }`,
      'opset_import: ["": 21, "own": 1]',
    );
    await inferTypes(m);
    expect(types(m)).to.include({ q: 'float[?,3]', c: 'float[]', u: '?' });
  });

  it('fills in shapes when a constant turns up that decides them, and edits nothing when there is nothing new', async () => {
    const m = model('g (float[N,6] x, int64[2] t) => (float[A,B] y) { a = Reshape (x, t) y = Neg (a) }');
    await inferTypes(m);
    expect(types(m)['a']).to.match(/^float\[(…|\?,\?)\]$/);
    setInput([...m.graph.nodes()][0]!, 1, addInitializer(m.graph, Tensor.ints([3, -1]), 'shape'));
    await inferTypes(m);
    expect(types(m)['a']).to.match(/^float\[3,/);
    const { version } = m.graph;
    await inferTypes(m);
    expect(m.graph.version).to.equal(version);
  });

  it('types every value of the real models', async function () {
    if (sharedPath('models') === undefined) return this.skip();
    for (const name of ['silero-vad', 'ppocr-det', 'shakewiki-3.4m', 'mnist-opset8', 'qdq-mobilenetv2']) {
      const path = sharedPath('models', name, 'model.onnx');
      if (path === undefined) continue;
      const m = readModel(path);
      forget(m);
      const { untyped } = await inferTypes(m);
      expect(untyped, name).to.deep.equal([]);
    }
  });

  it('throws on none of the suite, whatever it holds', async function () {
    this.timeout(240_000);
    const cases = suiteCases();
    if (cases.length === 0) return this.skip();
    let [typed, all] = [0, 0];
    for (const each of cases) {
      const m = readModel(each.model);
      forget(m);
      await inferTypes(m);
      for (const type of Object.values(types(m))) {
        all++;
        if (type !== '?') typed++;
      }
    }
    expect(typed / all).to.be.greaterThan(0.96);
  });
});
