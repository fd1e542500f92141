/** Rewrites with one and two roots over random graphs: what comes out is valid and computes the same. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Graph,
  type Model,
  node,
  type RewritePass,
  rewrite,
  type Value,
  value,
  verify,
} from '../../src/index.js';
import { runPipeline } from '../../src/pipeline/run.js';
import { parseModel } from '../../src/text/parse.js';

const engine = {
  inferTypes: async () => {},
  evaluate: async () => new Map(),
  observe: async () => new Map(),
};

/** Both operators in one node, wherever they read the same value. */
const pair = rewrite({
  name: 'pair',
  doc: 'Sin(x), Cos(x) → SinCos(x)',
  bind: { x: value },
  pattern: (op, $) => [op.Sin($.x), op.Cos($.x)],
  replace: ({ x }, op) => {
    const both = op.domain('local').SinCos(x);
    return [both, both.out(1)];
  },
});

/** A second root further down, behind a node that may stay, so that others lie between the two. */
const far = rewrite({
  name: 'far',
  doc: 'Neg(x), Mul(Neg(x), y) → NegMul(x, y)',
  bind: { x: value, y: value, mul: node },
  pattern: (op, $) => {
    const negative = op.Neg($.x).shared();
    return [negative, $.mul(op.Mul(negative, $.y))];
  },
  replace: ({ x, y }, op) => {
    const both = op.domain('local').NegMul(x, y);
    return [both, both.out(1)];
  },
});

const square = rewrite({
  name: 'square',
  doc: 'x·x → Square(x); Neg(Neg(x)) → x in a group',
  bind: { x: value },
  pattern: (op, $) => op.Mul($.x, $.x),
  replace: ({ x }, op) => op.domain('local').Square(x),
});
const twice = rewrite({
  name: 'twice',
  doc: 'Neg(Neg(x)) → x',
  bind: { x: value },
  pattern: (op, $) => op.Neg(op.Neg($.x)),
  replace: ({ x }) => x,
});

const COMPUTE: Readonly<Record<string, (inputs: number[]) => number[]>> = {
  Sin: ([x]) => [Math.sin(x!)],
  Cos: ([x]) => [Math.cos(x!)],
  Neg: ([x]) => [-x!],
  Abs: ([x]) => [Math.abs(x!)],
  Identity: ([x]) => [x!],
  Add: ([x, y]) => [x! + y!],
  Mul: ([x, y]) => [x! * y!],
  SinCos: ([x]) => [Math.sin(x!), Math.cos(x!)],
  NegMul: ([x, y]) => [-x!, -x! * y!],
  Square: ([x]) => [x! * x!],
};

function outputsOf(graph: Graph): number[] {
  const known = new Map<Value, number>(graph.inputs.map((input, at) => [input, 0.3 + at]));
  for (const each of graph.nodes()) {
    const results = COMPUTE[each.opType]!(each.inputs.map((input) => known.get(input!)!));
    for (const [at, output] of each.outputs.entries()) known.set(output, results[at]!);
  }
  return graph.outputs.map((output) => known.get(output)!);
}

/** Steps as (operator, distances back to its inputs); some values also leaves the graph. */
const steps = fc.array(
  fc.tuple(fc.constantFrom('Sin', 'Cos', 'Neg', 'Abs', 'Add', 'Mul'), fc.nat(4), fc.nat(4), fc.nat(6)),
  { minLength: 2, maxLength: 24 },
);

function modelOf(list: [string, number, number, number][]): Model {
  const names = ['x', 'z'];
  const leaving = new Set<string>();
  const lines = list.map(([opType, one, other, leaves], at) => {
    const pick = (back: number): string => names[Math.max(0, names.length - 1 - back)]!;
    const inputs = opType === 'Add' || opType === 'Mul' ? [pick(one), pick(other)] : [pick(one)];
    names.push(`v${at}`);
    if (leaves === 0 || at === list.length - 1) leaving.add(`v${at}`);
    return `v${at} = ${opType}(${inputs})`;
  });
  const outputs = [...leaving].map((name) => `float ${name}`);
  return parseModel(
    `<ir_version: 10, opset_import: ["": 21]> g (float x, float z) => (${outputs}) { ${lines.join(' ')} }`,
  );
}

describe('rewrite: random graphs', () => {
  const passes: RewritePass[] = [
    pair,
    far,
    rewrite.group('several', 'all at once', [twice, square, pair, far]),
  ];
  for (const pass of passes) {
    it(`stay valid and compute the same under ${pass.name}`, async () => {
      let changes = 0;
      const property = fc.asyncProperty(steps, async (list) => {
        const model = modelOf(list);
        const before = outputsOf(model.graph);
        await runPipeline(model, [pass], {
          engine,
          onPass: (event) => {
            changes += event.changes.length;
          },
        });
        expect(verify(model)).to.deep.equal([]);
        expect(outputsOf(model.graph)).to.deep.equal(before);
      });
      await fc.assert(property, { numRuns: 400, seed: 7 });
      expect(changes, 'rewrites over all graphs').to.be.greaterThan(20);
    });
  }
});
