import { expect } from 'chai';
import fc from 'fast-check';
import { type ProviderTable, parseModel, verdictOf } from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';

/** A provider that takes little, and says why. */
const table: ProviderTable = {
  provider: 'nnapi',
  operators: new Set(['Relu', 'Sigmoid', 'Add', 'QuantizeLinear', 'DequantizeLinear', 'com.microsoft:Gelu']),
  source: 'the list',
  readsUnits: true,
  notAlone: ['QuantizeLinear', 'DequantizeLinear'],
  rules: [
    {
      id: 'nnapi/small',
      doc: 'at most eight elements',
      source: 'a file',
      mend: 'shrink',
      check: ({ node }) => (node.inputs[0]?.shape?.[0] === 8 ? true : 'it is not of eight elements'),
    },
    {
      id: 'nnapi/quantized',
      doc: 'nothing is float',
      source: 'another file',
      ops: ['Relu', 'Sigmoid', 'Add'],
      check: ({ dequantizes }) => dequantizes.some((each) => each !== undefined) || 'it computes in float',
    },
  ],
};
const float: ProviderTable = { ...table, rules: [], readsUnits: false };

async function judged(text: string, by = table) {
  const model = parseModel(text);
  await createEngine().inferTypes(model);
  return verdictOf(model, by);
}
const HEADER = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]> g';

describe('verdictOf', () => {
  it('takes what obeys, as one partition, and counts a node with its Q and DQ once', async () => {
    const verdict = await judged(`${HEADER} (uint8[8] x) => (uint8[8] y) < float s = {0.1}, uint8 z = {3} > {
      a = DequantizeLinear (x, s, z) [one] b = Sigmoid (a) c = QuantizeLinear (b, s, z)
      d = DequantizeLinear (c, s, z) [two] e = Relu (d) y = QuantizeLinear (e, s, z) }`);
    expect(verdict).to.deep.equal({
      provider: 'nnapi',
      nodes: 2,
      taken: 2,
      coverage: 1,
      partitions: [{ nodes: 2, first: 'one', last: 'two' }],
      breaks: [],
    });
  });

  it('names every rule that a node breaks, with its source and what mends it', async () => {
    const verdict = await judged(
      `${HEADER} (float[6] x) => (float[6] y) { [one] a = Relu (x) [two] y = Erf (a) }`,
    );
    expect(verdict.breaks).to.deep.equal([
      {
        node: 'one',
        op: 'Relu',
        rule: 'nnapi/small',
        reason: 'it is not of eight elements',
        source: 'a file',
        mend: 'shrink',
      },
      {
        node: 'one',
        op: 'Relu',
        rule: 'nnapi/quantized',
        reason: 'it computes in float',
        source: 'another file',
      },
      {
        node: 'two',
        op: 'Erf',
        rule: 'nnapi/operator',
        reason: 'nnapi has no builder for Erf',
        source: 'the list',
      },
    ]);
    expect(verdict).to.include({ nodes: 2, taken: 0, coverage: 0 });
    expect(verdict.partitions).to.deep.equal([]);
  });

  it('says of a torn unit what tears it', async () => {
    const verdict = await judged(`${HEADER} (uint8[8] x) => (uint8[8] y) < float s = {0.1}, uint8 z = {3} > {
      a = DequantizeLinear (x, s, z) [one] b = Add (a, a) [two] c = Sigmoid (b) y = QuantizeLinear (c, s, z) }`);
    expect(verdict.breaks.filter(({ node }) => node === 'one').map(({ rule }) => rule)).to.deep.equal([
      'nnapi/quantized',
      'nnapi/qdq-unit',
    ]);
    expect(verdict.breaks.find(({ rule }) => rule === 'nnapi/qdq-unit')?.reason).to.match(
      /output 0 is not read by one QuantizeLinear alone$/,
    );
  });

  it('gives back a partition of one operator that is not taken alone', async () => {
    const text = `${HEADER} (float[8] x) => (float[8] y) < float s = {0.1}, uint8 z = {3} > {
      [q] a = QuantizeLinear (x, s, z) [d] b = DequantizeLinear (a, s, z) [one] c = Erf (b) [q2] e = QuantizeLinear (c, s, z)
      [d2] y = DequantizeLinear (e, s, z) }`;
    const taking: ProviderTable = { ...table, rules: [] };
    expect(await judged(text, taking)).to.include({ nodes: 5, taken: 4 });
    const lone = await judged(
      text.replace('[d2] y = DequantizeLinear (e, s, z)', '[end] y = Cast <to = 1> (e)'),
      taking,
    );
    expect(lone).to.include({ nodes: 5, taken: 2 });
    expect(lone.breaks.map(({ node, rule }) => [node, rule])).to.deep.equal([
      ['one', 'nnapi/operator'],
      ['q2', 'nnapi/alone'],
      ['end', 'nnapi/operator'],
    ]);
  });

  it('leaves subgraphs, unless the provider takes them', async () => {
    const text = `${HEADER} (bool c, float[8] x) => (float[8] y) {
      [choice] y = If (c) <then_branch = t () => (float[8] a) { [inner] a = Relu (x) }, else_branch = e () => (float[8] b) { [other] b = Sigmoid (x) }> }`;
    const main = await judged(text, float);
    expect(main.breaks.map(({ node, rule }) => [node, rule])).to.deep.equal([
      ['choice', 'nnapi/operator'],
      ['inner', 'nnapi/subgraph'],
      ['other', 'nnapi/subgraph'],
    ]);
    const all = await judged(text, { ...float, subgraphs: true });
    expect(all).to.include({ nodes: 3, taken: 2 });
    expect(all.partitions).to.have.length(2);
  });

  it('reads Q and DQ as nodes, or constants, where the provider knows no units', async () => {
    const text = `${HEADER} (float[8] x) => (float[8] y) < float s = {0.1}, int8[8] w = {1, 2, 3, 4, 5, 6, 7, 8} > {
      v = DequantizeLinear (w, s) y = Add (x, v) }`;
    expect(await judged(text, float)).to.include({ nodes: 2, taken: 2 });
    expect(await judged(text, { ...float, foldsDequantized: true })).to.include({ nodes: 1, taken: 1 });
    const contrib = text.replaceAll('DequantizeLinear', 'com.microsoft.DequantizeLinear');
    expect(await judged(contrib, float)).to.include({ nodes: 2, taken: 2 });
  });

  it('holds for chains of anything: what is taken is in partitions, and the rest breaks rules', () => {
    const op = fc.constantFrom('Relu', 'Sigmoid', 'Erf', 'Tanh');
    fc.assert(
      fc.property(fc.array(op, { minLength: 1, maxLength: 12 }), (ops) => {
        const lines = ops.map((each, at) => `v${at + 1} = ${each} (v${at})`);
        const model = parseModel(
          `${HEADER} (float[8] v0) => (float[8] v${ops.length}) { ${lines.join(' ')} }`,
        );
        const { nodes, taken, partitions, breaks } = verdictOf(model, float);
        const legal = ops.map((each) => float.operators.has(each));
        expect([nodes, taken]).to.deep.equal([ops.length, legal.filter(Boolean).length]);
        expect(breaks).to.have.length(nodes - taken);
        expect(partitions.reduce((sum, each) => sum + each.nodes, 0)).to.equal(taken);
        expect(partitions).to.have.length(legal.filter((is, at) => is && !legal[at - 1]).length);
      }),
    );
  });
});
