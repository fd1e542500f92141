import { expect } from 'chai';
import {
  defineTarget,
  lookUp,
  type Node,
  parseModel,
  placementOf,
  planStatic,
  type Target,
  type TargetRow,
} from '../../src/index.js';
import { knownElements } from '../../src/target/conditions.js';
import { saving } from '../../src/target/cost.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { resolveTargets, targetAliases, targets } from '../../targets/index.js';
import { eager } from '../passes/quantizing.js';

/** Types are written out, so that plans need no ONNX Runtime. */
const model = (body: string, values: string, io = 'float[1,8,8,8] x) => (float[1,8,8,8] y') =>
  parseModel(`<ir_version: 10, opset_import: ["": 21]> g (${io}) <
    float[8,8,3,3] w = ["fill": "normal:1"], float[8,8,1,1] v = ["fill": "normal:2"]${values && `, ${values}`}
  > { ${body} }`);

const typed = (...names: string[]) => names.map((name) => `float[1,8,8,8] ${name}`).join(', ');
const plan = (
  text: ReturnType<typeof model>,
  target: Target = eager,
  exclude?: (node: Node) => string | undefined,
) => {
  const made = planStatic(text.graph, target, exclude);
  return {
    made,
    taken: [...made.nodes.keys()].map(({ label }) => label),
    reason: (label: string) => [...made.declined].find(([node]) => node.label === label)?.[1],
  };
};

describe('planStatic', () => {
  it('leaves followers float that have no quantized company', () => {
    const { taken, reason } = plan(
      model(
        `[start] s = Sigmoid (x) [first] a = Conv <pads = [1, 1, 1, 1]> (s, w) [lone] t = Transpose <perm = [0, 1, 3, 2]> (a)
         [wave] u = Erf (t) [moved] m = Transpose (u) [last] y = Conv (m, v)`,
        typed('s', 'a', 't', 'u', 'm'),
      ),
    );
    expect(taken).to.deep.equal(['first', 'last']);
    expect(reason('start')).to.equal('its inputs are computed in float');
    expect(reason('lone')).to.equal('no integer kernel reads its output');
    expect(reason('wave')).to.equal('no integer kernel for Erf');
    expect(reason('moved')).to.equal('its inputs are computed in float');
  });

  it('keeps chains of followers between two kernels, and lets the whole chain go without one', () => {
    const chain = `[first] a = Conv <pads = [1, 1, 1, 1]> (x, w) [one] b = Transpose <perm = [0, 1, 3, 2]> (a)
      [two] c = LeakyRelu (b) [three] d = Add (c, a)`;
    const kept = plan(model(`${chain} [last] y = Conv (d, v)`, typed('a', 'b', 'c', 'd')));
    expect(kept.taken).to.deep.equal(['first', 'one', 'two', 'three', 'last']);
    const lost = plan(model(`${chain} [end] y = Erf (d)`, typed('a', 'b', 'c', 'd')));
    expect(lost.taken).to.deep.equal(['first']);
    for (const label of ['one', 'two', 'three'])
      expect(lost.reason(label)).to.equal('no integer kernel reads its output');
  });

  it('takes an activation into the node before it only where that one alone reads it', () => {
    const kept = plan(
      model(
        '[first] a = Conv <pads = [1, 1, 1, 1]> (x, w) [relu] r = Relu (a) [last] y = Conv (r, v)',
        typed('a', 'r'),
      ),
    );
    expect([...kept.made.nodes.values()].map(({ tail, output }) => [tail?.label, output.name])).to.deep.equal(
      [
        ['relu', 'r'],
        [undefined, 'y'],
      ],
    );
    const shared = plan(
      model(
        '[first] a = Conv <pads = [1, 1, 1, 1]> (x, w) [relu] r = Relu (a) [sum] s = Add (r, a) [last] y = Conv (s, v)',
        typed('a', 'r', 's'),
      ),
    );
    expect(shared.reason('relu')).to.equal('no integer kernel for Relu');
  });

  it('lets regions and nodes go that lose more at their borders than they save', () => {
    const text = model('[only] y = Conv <pads = [1, 1, 1, 1]> (x, w)', '');
    const dear = { ...eager, costs: { ...eager.costs, quantize: 1e6 } };
    const { taken, reason } = plan(text, dear);
    expect(taken).to.deep.equal([]);
    expect(reason('only')).to.match(/^float is faster here: the region would lose [\d.e+]+ µs an inference$/);
    expect(plan(text).taken).to.deep.equal(['only']);
  });

  it('gives the reason of whoever excludes a node', () => {
    const text = model('[only] y = Conv <pads = [1, 1, 1, 1]> (x, w)', '');
    expect(plan(text, eager, () => 'because').reason('only')).to.equal('because');
  });

  it('says where each value has its parameters from', () => {
    const text = model(
      `[first] a = Conv <pads = [1, 1, 1, 1]> (x, w) [gate] g = Sigmoid (a) [turn] t = Transpose <perm = [0, 1, 3, 2]> (g)
       [product] p = Mul (t, a) [last] y = Conv (p, v)`,
      typed('a', 'g', 't', 'p'),
    );
    const { values, givers } = placementOf(plan(text).made);
    const told = Object.fromEntries(
      [...values].map(([{ name }, from]) => [
        name,
        from.kind === 'range' ? from.of.name : [from.min, from.max],
      ]),
    );
    expect(told).to.deep.equal({ x: 'x', a: 'a', g: [0, 1], t: [0, 1], p: 'p', y: 'y' });
    expect([...givers.keys()].map(({ name }) => name)).to.deep.equal(['a', 'g', 't', 'p', 'y']);
  });

  it('counts what a node saves by its work', () => {
    const { costs } = cpuX64Vnni;
    const [dense] = [...plan(model('[only] y = Conv <pads = [1, 1, 1, 1]> (x, w)', '')).made.nodes.values()];
    const small = saving(dense!, costs);
    expect(saving(dense!, { ...costs, integerMac: 0 })).to.be.above(small);
    expect(saving(dense!, { ...costs, floatMac: 0, floatOutput: 0 })).to.be.below(0);
  });
});

describe('targets', () => {
  const row: TargetRow = { op: 'Conv', kernel: 'K', inputs: ['activation'], output: 'own', kind: 'compute' };

  it('are named once each, and aliases lead to them', () => {
    const names = targets.map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
    for (const [alias, meant] of Object.entries(targetAliases)) {
      expect(names).not.to.include(alias);
      expect(names).to.include.members([...meant]);
    }
    expect(resolveTargets(['cpu', 'cpu-x64', 'cpu-arm64']).map(({ name }) => name)).to.deep.equal([
      'cpu-x64',
      'cpu-arm64',
    ]);
    const own = { ...cpuX64Vnni, name: 'mine' };
    expect(resolveTargets(['mine'], [own])).to.deep.equal([own]);
    expect(() => resolveTargets(['tpu'])).to.throw('there is no target "tpu"');
  });

  it('have rows that name the roles of their inputs', () => {
    expect(() => defineTarget({ ...eager, rows: [{ ...row, inputs: [] }] })).to.throw('names no input role');
  });

  it('answer with the first row that fits, or with every reason', () => {
    const [node] = model('[only] y = Conv (x, v)', '').graph.nodes();
    const no = (kernel: string, reason: string): TargetRow => ({ ...row, kernel, when: () => reason });
    expect(lookUp([no('A', 'is so'), row], node!)).to.deep.equal({ row });
    expect(lookUp([no('A', 'is so'), no('B', 'is not')], node!)).to.deep.include({
      reason: 'A: is so; B: is not',
    });
    expect(lookUp([{ ...row, domain: 'other' }], node!)).to.deep.include({
      reason: 'no integer kernel for Conv',
    });
    expect(lookUp([{ ...row, spoils: () => 'wrong' }], node!)).to.deep.include({ reason: 'K: wrong' });
  });

  it('estimate open dimensions: one sample, some of everything else', () => {
    const { graph } = parseModel(
      '<ir_version: 10, opset_import: ["": 21]> g (float[N,3,H] x, float[] z) => (float[N,3,H] y) { y = Relu (x) }',
    );
    expect(knownElements(graph.inputs[0])).to.equal(96);
    expect(knownElements(graph.inputs[1])).to.equal(0);
    expect(knownElements(undefined)).to.equal(0);
  });
});
