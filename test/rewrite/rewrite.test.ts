import { expect } from 'chai';
import {
  constant,
  no,
  node,
  type PatternBuilder,
  type RewritePass,
  rewrite,
  type Slots,
  scalar,
  value,
  verify,
} from '../../src/index.js';
import { runPipeline } from '../../src/pipeline/run.js';
import { parseModel } from '../../src/text/parse.js';
import { printModel } from '../../src/text/print.js';

const engine = {
  inferTypes: async () => {},
  evaluate: async () => new Map(),
  observe: async () => new Map(),
};

/** Runs one pass over a model in ONNX's text, and gives the nodes left, main graph first. */
async function run(pass: RewritePass, graph: string, more = '') {
  const model = parseModel(`<ir_version: 10, opset_import: ["" : 21, "local" : 1]>\n${graph}\n${more}`);
  const seen = { changes: [] as readonly string[], declines: [] as readonly string[] };
  await runPipeline(model, [pass], {
    engine,
    verify: true,
    onPass: ({ changes, declines }) => Object.assign(seen, { changes, declines }),
  });
  expect(verify(model), 'verifier').to.deep.equal([]);
  const nodes = [...model.graphs()].flatMap((each) => [...each.nodes()]);
  return { model, nodes, ops: nodes.map((each) => each.opType), ...seen };
}

/** x·c + c' with c = 1: the multiplication goes. */
const dropMulByOne = rewrite({
  name: 'drop-mul-by-one',
  doc: 'Mul(x, 1) → x',
  bind: { x: value },
  pattern: (op, $) => op.Mul($.x, 1),
  replace: ({ x }) => x,
});

const mulAdd = rewrite({
  name: 'mul-add',
  doc: 'Add(Mul(x, a), b) → MulAdd(x, a, b)',
  bind: { x: value, a: constant, b: constant, mul: node },
  pattern: (op, $) => op.Add($.mul(op.Mul($.x, $.a)), $.b),
  check: ({ a, mul }) => a.count < 4 || no('a is large', mul),
  replace: ({ x, a, b, mul }, op) => op.like(mul).domain('local').MulAdd(x, a, b, { alpha: 2 }),
});

describe('rewrite: matching', () => {
  it('takes commutative inputs either way round', async () => {
    const { ops } = await run(
      mulAdd,
      `g (float[3] x) => (float[3] y, float[3] z) <float[3] a = {1,2,3}, float[3] b = {4,5,6}> {
        m = Mul(x, a)  y = Add(m, b)  n = Mul(a, x)  z = Add(b, n) }`,
    );
    expect(ops).to.deep.equal(['MulAdd', 'MulAdd']);
  });

  it('backtracks over the orders of nested commutative operators', async () => {
    const pass = rewrite({
      name: 'square-sum',
      doc: 'x·y + y·z',
      bind: { x: value, y: value, z: value },
      pattern: (op, $) => op.Add(op.Mul($.x, $.y), op.Mul($.y, op.Neg($.z))),
      replace: ({ x, y, z }, op) => op.Sum(x, y, z),
    });
    for (const text of ['Add(p, q)', 'Add(q, p)']) {
      for (const [p, q] of [
        ['Mul(a, b)', 'Mul(c, a)'],
        ['Mul(b, a)', 'Mul(a, c)'],
      ]) {
        const { nodes } = await run(
          pass,
          `g (float[2] a, float[2] b, float[2] d) => (float[2] r) { c = Neg(d)  p = ${p}  q = ${q}  r = ${text} }`,
        );
        expect(nodes.map((each) => each.opType)).to.deep.equal(['Sum']);
        expect(nodes[0]!.inputs.map((each) => each!.name)).to.deep.equal(['b', 'a', 'd']);
      }
    }
  });

  const conv = rewrite({
    name: 'relu-conv',
    doc: 'Relu(Conv) → Fused',
    bind: { x: value, w: constant, b: constant.optional },
    pattern: (op, $) => op.Relu(op.Conv($.x, $.w, $.b, { group: (group = 1) => group === 1 })),
    replace: ({ x, w, b }, op) => op.domain('local').Fused(x, w, b),
  });
  const convText = (inputs: string, attributes = '') =>
    `g (float[1,1,2,2] x) => (float[1,1,2,2] y) <float[1,1,1,1] w = {1}, float[1] b = {1}> {
      c = Conv${attributes}(x, ${inputs})  y = Relu(c) }`;

  it('takes an optional input, and its absence', async () => {
    expect((await run(conv, convText('w, b'))).nodes[0]!.inputs.map((each) => each?.name)).to.deep.equal([
      'x',
      'w',
      'b',
    ]);
    expect((await run(conv, convText('w'))).nodes[0]!.inputs.map((each) => each?.name)).to.deep.equal([
      'x',
      'w',
    ]);
  });

  it('judges attributes, with their default', async () => {
    expect((await run(conv, convText('w', '<group = 1>'))).ops).to.deep.equal(['Fused']);
    const { ops, declines } = await run(conv, convText('w', '<group = 2>'));
    expect(ops).to.deep.equal(['Conv', 'Relu']);
    expect(declines.join()).to.contain('attribute group');
  });

  it('takes numbers within the tolerance of their dtype, and no constant that widens', async () => {
    const one = (tensor: string) =>
      run(dropMulByOne, `g (float[3] x) => (float[3] y) <${tensor}> { m = Mul(x, c)  y = Neg(m) }`);
    expect((await one('float c = {1}')).ops).to.deep.equal(['Neg']);
    expect((await one('float[1] c = {1}')).ops).to.deep.equal(['Neg']);
    expect((await one('float c = {1.01}')).ops).to.deep.equal(['Mul', 'Neg']);
    expect((await one('float[1,1] c = {1}')).ops).to.deep.equal(['Mul', 'Neg']);
  });

  it('binds scalars as numbers and refuses one name for two things', async () => {
    const pass = rewrite({
      name: 'double',
      doc: 'x·k + x·k → 2k',
      bind: { x: value, k: scalar },
      pattern: (op, $) => op.Add(op.Mul($.x, $.k), op.Mul($.x, $.k)),
      replace: ({ x, k }, op) => op.Mul(x, op.scalar(2 * k, 'float')),
    });
    const text = (second: string) =>
      `g (float[1] x) => (float[1] y) <float k = {3}, float q = {3}, float r = {4}> {
        a = Mul(x, k)  b = Mul(${second}, x)  y = Add(a, b) }`;
    const { nodes } = await run(pass, text('q'));
    expect(nodes[0]!.inputs[1]!.constant!.toNumbers()).to.deep.equal([6]);
    expect((await run(pass, text('r'))).ops).to.deep.equal(['Mul', 'Mul', 'Add']);
  });

  it('matches alternatives and several operators', async () => {
    const pass = rewrite({
      name: 'either',
      doc: 'Div(x, Sqrt(s)) or Mul(x, Reciprocal(Sqrt(s)))',
      bind: { x: value, s: value },
      pattern: (op, $) => {
        const root = op.Sqrt($.s);
        return op.anyOf(op.Div($.x, root), op.oneOf('Mul', 'And')($.x, op.Reciprocal(root)));
      },
      replace: ({ x, s }, op) => op.domain('local').Scale(x, s),
    });
    for (const tail of ['y = Div(x, r)', 'i = Reciprocal(r)  y = Mul(i, x)']) {
      const { ops } = await run(pass, `g (float[1] x, float[1] s) => (float[1] y) { r = Sqrt(s)  ${tail} }`);
      expect(ops).to.deep.equal(['Scale']);
    }
  });
});

describe('rewrite: what leaves the match', () => {
  it('refuses an intermediate that is used elsewhere, leaves the graph, or is captured by a subgraph', async () => {
    const head = '<float[3] a = {1,2,3}, float[3] b = {4,5,6}>';
    const shared = await run(
      mulAdd,
      `g (float[3] x) => (float[3] y, float[3] z) ${head} { m = Mul(x, a)  y = Add(m, b)  z = Neg(m) }`,
    );
    expect(shared.ops).to.deep.equal(['Mul', 'Add', 'Neg']);
    expect(shared.declines).to.deep.equal(['Add(y): m is also used by Neg(z)']);
    const leaving = await run(
      mulAdd,
      `g (float[3] x) => (float[3] y, float[3] m) ${head} { m = Mul(x, a)  y = Add(m, b) }`,
    );
    expect(leaving.declines).to.deep.equal(['Add(y): m leaves the graph']);
    const captured = await run(
      mulAdd,
      `g (float[3] x, bool c) => (float[3] y, float[3] z) ${head} { m = Mul(x, a)  y = Add(m, b)
        z = If(c) <then_branch = t () => (float[3] p) { p = Neg(m) }, else_branch = e () => (float[3] q) { q = Abs(x) }> }`,
    );
    expect(captured.ops).to.include('Mul');
    expect(captured.declines.join()).to.contain('in a subgraph');
  });

  it('keeps a node whose pattern allows to be shared', async () => {
    const pass = rewrite({
      name: 'shared',
      doc: 'Add(Relu(x), 0-free) keeps Relu',
      bind: { x: value, y: value },
      pattern: (op, $) => op.Add(op.Relu($.x).shared(), op.Neg($.y)),
      replace: ({ x, y }, op) => op.Sub(x, y),
    });
    const { ops } = await run(
      pass,
      'g (float[1] x) => (float[1] a, float[1] r) { r = Relu(x)  n = Neg(x)  a = Add(r, n) }',
    );
    expect(ops).to.deep.equal(['Relu', 'Sub']);
  });

  const norm = rewrite({
    name: 'centre',
    doc: 'mean and x − mean in one node',
    bind: { x: value },
    pattern: (op, $) => {
      const mean = op.GlobalAveragePool($.x);
      return [op.Sub($.x, mean), mean];
    },
    replace: ({ x }, op) => {
      const centred = op.domain('local').Centre(x);
      return [centred, centred.out(1)];
    },
  });

  it('replaces several outputs by one node', async () => {
    const { nodes } = await run(
      norm,
      'g (float[1,1,2] x) => (float[1,1,2] y, float[1,1,1] z) { m = GlobalAveragePool(x)  z = Neg(m)  y = Sub(x, m) }',
    );
    expect(nodes.map((each) => each.opType)).to.deep.equal(['Centre', 'Neg']);
    expect(nodes[0]!.outputs.map((each) => each.name)).to.deep.equal(['y', 'm']);
  });

  const pair = rewrite({
    name: 'pair',
    doc: 'Sin and Cos of one value together',
    bind: { x: value, s: node, c: node, other: value },
    pattern: (op, $) => [$.s(op.Sin($.x)), $.c(op.Add(op.Cos($.x), $.other))],
    replace: ({ x, other }, op) => {
      const both = op.domain('local').SinCos(x, other);
      return [both, both.out(1)];
    },
  });

  it('finds a second root among the readers, and moves what comes too early', async () => {
    const { nodes, model } = await run(
      pair,
      `g (float[1] x, float[1] k) => (float[1] a, float[1] b) {
        s = Sin(x)  a = Neg(s)  o = Abs(k)  c = Cos(x)  b = Add(c, o) }`,
    );
    expect(
      nodes.map((each) => each.opType),
      printModel(model),
    ).to.deep.equal(['Abs', 'SinCos', 'Neg']);
  });

  it('refuses roots whose fusion would close a cycle', async () => {
    const { ops, declines } = await run(
      pair,
      'g (float[1] x) => (float[1] b) { s = Sin(x)  o = Neg(s)  c = Cos(x)  b = Add(c, o) }',
    );
    expect(ops).to.deep.equal(['Sin', 'Neg', 'Cos', 'Add']);
    expect(declines.join()).to.contain('close a cycle');
  });
});

describe('rewrite: replacing', () => {
  it('carries names, types, node name and attributes over, and drops constants that nobody reads any more', async () => {
    const { model, nodes } = await run(
      mulAdd,
      `g (float[3] x) => (float[3] z) <float[3] a = {1,2,3}, float[3] b = {4,5,6}, float[3] y> {
        [scale] m = Mul <axis = 3> (x, a)  y = Add(m, b)  z = Neg(y) }`,
    );
    const [fused] = nodes;
    expect(fused!.name).to.equal('scale');
    expect(fused!.int('axis')).to.equal(3);
    expect(fused!.float('alpha')).to.equal(2);
    expect(fused!.outputs[0]!.name).to.equal('y');
    expect(fused!.outputs[0]!.shape).to.deep.equal([3]);
    expect([...model.graph.initializers].map((each) => each.name)).to.deep.equal(['a', 'b']);
    const dropped = await run(
      dropMulByOne,
      'g (float[3] x) => (float[3] y) <float c = {1}> { m = Mul(x, c)  y = Neg(m) }',
    );
    expect([...dropped.model.graph.initializers]).to.deep.equal([]);
  });

  it('keeps the signature when an output is replaced by an input', async () => {
    const { ops, model } = await run(
      dropMulByOne,
      'g (float[3] x) => (float[3] y) <float c = {1}> { y = Mul(x, c) }',
    );
    expect(ops).to.deep.equal(['Identity']);
    expect(model.graph.outputs[0]!.name).to.equal('y');
  });

  it('walks subgraphs and function bodies, where constants are nodes', async () => {
    const { model, changes } = await run(
      rewrite({
        name: 'scale',
        doc: 'Neg(Mul(x, c)) → Mul(x, −c)',
        bind: { x: value, c: constant },
        pattern: (op, $) => op.Neg(op.Mul($.x, $.c)),
        replace: ({ x, c }, op) =>
          op.Mul(
            x,
            op.derived(c.dtype, c.shape, [c], ([from]) => from!.toFloat32().map((each) => -each)),
          ),
      }),
      `g (float[2] x, bool c) => (float[2] y) <float[2] k = {1, 2}> {
        b = If(c) <then_branch = t () => (float[2] p) { m = Mul(x, k)  p = Neg(m) }, else_branch = e () => (float[2] q) { q = Abs(x) }>
        y = local.F(b) }`,
      '<domain: "local", opset_import: ["" : 21]> F (u) => (v) { c = Constant <value = float {3}> ()  m = Mul(u, c)  v = Neg(m) }',
    );
    expect(changes).to.have.length(2);
    const body = model.functions[0]!.body;
    expect([...body.nodes()].map((each) => each.opType)).to.deep.equal(['Constant', 'Mul']);
    expect(body.first!.tensor('value')!.toNumbers()).to.deep.equal([-3]);
    expect(body.initializers.size).to.equal(0);
  });

  it('derives weights only when somebody reads them', async () => {
    let reads = 0;
    const pass = rewrite({
      name: 'lazy',
      doc: 'Relu(Add(x, c)) → Add(x, f(c))',
      bind: { x: value, c: constant },
      pattern: (op, $) => op.Relu(op.Add($.x, $.c)),
      replace: ({ x, c }, op) =>
        op.Add(
          x,
          op.derived(c.dtype, c.shape, [c], ([from]) => {
            reads += 1;
            return from!.toFloat32();
          }),
        ),
    });
    const { nodes } = await run(
      pass,
      'g (float[1] x) => (float[1] y) <float[1] c = {7}> { s = Add(x, c)  y = Relu(s) }',
    );
    expect(reads).to.equal(0);
    expect(nodes[0]!.inputs[1]!.constant!.toNumbers()).to.deep.equal([7]);
  });

  it('reaches the fixpoint over a long chain in few walks, and tells an endless rewrite', async () => {
    const chain = Array.from({ length: 3000 }, (_, i) => `v${i + 1} = Neg(v${i})`).join('\n');
    const merge = rewrite({
      name: 'merge',
      doc: 'Neg(Neg(x)) → x',
      bind: { x: value },
      pattern: (op, $) => op.Neg(op.Neg($.x)),
      replace: ({ x }) => x,
    });
    const { ops } = await run(merge, `g (float[1] v0) => (float[1] y) { ${chain}  y = Abs(v3000) }`);
    expect(ops).to.deep.equal(['Abs']);
    const endless = rewrite({
      name: 'endless',
      doc: 'Neg → Neg',
      bind: { x: value },
      pattern: (op, $) => op.Neg($.x),
      replace: ({ x }, op) => op.Neg(x),
    });
    const failure = await run(endless, 'g (float[1] x) => (float[1] y) { y = Neg(x) }').catch(
      (error) => error,
    );
    expect(failure.code).to.equal('E_REWRITE_ENDLESS');
  });

  it('groups rewrites into one pass and names the one that declined', async () => {
    const both = rewrite.group('both', 'two in one', [dropMulByOne, mulAdd]);
    const { ops, changes, declines } = await run(
      both,
      `g (float[3] x) => (float[3] y, float[3] m) <float one = {1}, float[3] a = {1,2,3}, float[3] b = {4,5,6}> {
        i = Mul(x, one)  m = Mul(i, a)  y = Add(m, b) }`,
    );
    expect(ops).to.deep.equal(['Mul', 'Add']);
    expect(changes).to.deep.equal(['Mul(i): drop-mul-by-one']);
    expect(declines).to.deep.equal(['Add(y): mul-add: m leaves the graph']);
  });
});

describe('rewrite: reasons', () => {
  it('passes the reason of check on, at its place', async () => {
    const { declines } = await run(
      mulAdd,
      'g (float[4] x) => (float[4] y) <float[4] a = {1,2,3,4}, float[4] b = {4,5,6,7}> { [the_mul] m = Mul(x, a)  y = Add(m, b) }',
    );
    expect(declines).to.deep.equal(['the_mul: a is large']);
  });

  it('tells the nearest miss when more than the root fitted, and nothing otherwise', async () => {
    const near = await run(
      mulAdd,
      'g (float[1] x, float[1] a) => (float[1] y) <float[1] b = {1}> { m = Mul(x, a)  y = Add(m, b) }',
    );
    expect(near.declines).to.have.length(1);
    expect(near.declines[0]).to.match(/^Add\(y\): Add ← Mul fits, but a \((x|a)\) is not a constant$/);
    const far = await run(mulAdd, 'g (float[1] x, float[1] a) => (float[1] y) { y = Add(x, a) }');
    expect(far.declines).to.deep.equal([]);
  });

  it('tells a constant that callers may override, and an opset too low', async () => {
    const input = await run(
      mulAdd,
      'g (float[1] x, float[1] a) => (float[1] y) <float[1] a = {1}, float[1] b = {1}> { m = Mul(x, a)  y = Add(m, b) }',
    );
    expect(input.declines.join()).to.contain('may override');
    const late = rewrite({
      name: 'late',
      doc: 'Neg → Later',
      opset: 30,
      bind: { x: value },
      pattern: (op, $) => op.Neg($.x),
      replace: ({ x }, op) => op.Later(x),
    });
    expect((await run(late, 'g (float[1] x) => (float[1] y) { y = Neg(x) }')).declines.join()).to.contain(
      'needs opset 30',
    );
  });

  it('blames rewrites that edit, read what they replace, or never mention a binding', async () => {
    const code = (pass: () => RewritePass) =>
      Promise.resolve()
        .then(() => run(pass(), 'g (float[1] x) => (float[1] y) { m = Neg(x)  y = Abs(m) }'))
        .then(
          () => 'none',
          (error) => error.code,
        );
    const bind = { x: value, n: node };
    const pattern = (op: PatternBuilder, $: Slots<typeof bind>) => $.n(op.Neg($.x));
    expect(
      await code(() =>
        rewrite({ name: 'a', doc: '', bind, pattern, replace: ({ n }, op) => op.Neg(n.outputs[0]) }),
      ),
    ).to.equal('E_REWRITE_CYCLE');
    expect(
      await code(() => rewrite({ name: 'b', doc: '', bind, pattern, replace: () => undefined })),
    ).to.equal('E_REWRITE_OUTPUT');
    expect(
      await code(() =>
        rewrite({ name: 'c', doc: '', bind: { ...bind, q: value }, pattern, replace: ({ x }) => x }),
      ),
    ).to.equal('E_REWRITE_BINDING');
    expect(
      await code(() =>
        rewrite({ name: 'd', doc: '', bind, pattern: (_op, $) => $.x, replace: ({ x }) => x }),
      ),
    ).to.equal('E_REWRITE_BINDING');
    expect(
      await code(() =>
        rewrite({ name: 'e', doc: '', bind: { x: value }, pattern: (_op, $) => $.x, replace: ({ x }) => x }),
      ),
    ).to.equal('E_REWRITE_PATTERN');
  });
});
