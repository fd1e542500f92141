import { expect } from 'chai';
import { upgradeOpset } from '../../passes/upgrade-opset.js';
import { cloneModel, definePass, type Model, type Node, verify } from '../../src/index.js';
import { differenceOf } from '../../src/testing/closeness.js';
import { printModel } from '../../src/text/print.js';
import { BEFORE_SEVEN, OLD_GRAPHS } from './old-opsets.js';
import { parseAt, runDrawn, upgrade } from './upgrading.js';

const operatorsOf = (model: Model): string =>
  [...model.graphs()]
    .flatMap((graph) => [...graph.nodes()])
    .map((node: Node) => node.opType)
    .join(' ');

async function expectEqualOutputs(before: Model, after: Model): Promise<void> {
  for (const draw of [0, 1]) {
    const difference = differenceOf(await runDrawn(before, draw), await runDrawn(after, draw), {
      tolerance: 1e-6,
    });
    expect(difference).to.equal(undefined);
  }
}

describe('upgrade-opset', () => {
  describe('keeps what ONNX Runtime computes', () => {
    for (const [name, opset, graph, operators] of OLD_GRAPHS) {
      it(`${name}, from ${opset}`, async () => {
        const before = parseAt(graph, opset);
        const after = cloneModel(before).model;
        const { declines } = await upgrade(after);
        expect(declines).to.deep.equal([]);
        expect([after.opset, after.irVersion]).to.deep.equal([21, 10]);
        expect(verify(after)).to.deep.equal([]);
        if (operators !== undefined) expect(operatorsOf(after)).to.equal(operators);
        await expectEqualOutputs(before, after);
      });
    }
  });

  describe('computes what was written before opset 7, which ONNX Runtime no longer runs', () => {
    for (const [name, opset, graph, today] of BEFORE_SEVEN) {
      it(`${name}, from ${opset}`, async () => {
        const model = parseAt(graph, opset);
        const { declines } = await upgrade(model);
        expect(declines).to.deep.equal([]);
        await expectEqualOutputs(parseAt(today, 21), model);
      });
    }
  });

  describe('leaves the whole model alone', () => {
    const kept: readonly [string, number, string, RegExp][] = [
      [
        'when a mask is read',
        7,
        'g (float[4] x) => (float[4] y, float[4] m) { c = Clip<max=1.0>(x) y, m = Dropout(c) }',
        /Dropout 12: its mask/,
      ],
      [
        'when only the run knows how to round',
        10,
        'g (float[1,1,4,4] x, float[4] s) => (float[A,B,C,D] y) { c = Clip<max=1.0>(x) y = Resize(c, s) }',
        /Resize 11: its scales/,
      ],
      [
        'when statistics of training are read',
        9,
        `g (float[2,2] x, float[2] s) => (float[2,2] y, float[2] e) { c = Clip<max=1.0>(x) y, a, b, d, e = BatchNormalization(c, s, s, s, s) }`,
        /BatchNormalization 14: its saved/,
      ],
      [
        'when lengths of sequences are given to a Scan 8',
        8,
        `g (int64[2] n, float[2,2] i, float[2,3,2] x) => (float[2,2] f, float[2,3,2] o) {
          c = Clip<max=1.0>(i)
          f, o = Scan<num_scan_inputs=1, body = b (float[2] a, float[2] c) => (float[2] d, float[2] e) { d = Add(a, c) e = Identity(d) }>(n, c, x) }`,
        /Scan 9: its sequences/,
      ],
      [
        'when integers go into Erf',
        9,
        'g (int32[4] x, float[2] z) => (int32[4] y, float[2] c) { c = Clip<max=1.0>(z) y = Erf(x) }',
        /Erf 13/,
      ],
      [
        'when an operator is unknown',
        12,
        'g (float[4] x) => (float[4] y) { c = Clip(x) u = Unsqueeze<axes=[0]>(c) y = Soothe(u) }',
        /Soothe has no known versions/,
      ],
      [
        'when an operator did not exist yet',
        12,
        'g (float[4] x) => (float[4] y) { u = Unsqueeze<axes=[0]>(x) y = HardSwish(u) }',
        /HardSwish does not exist in ai.onnx 12/,
      ],
      [
        'when an operator came after 21',
        23,
        'g (float[2,3] x, float[3] s) => (float[2,3] y) { c = Cast<to=1>(x) y = RMSNormalization(c, s) }',
        /exists from 23 on/,
      ],
      [
        'when an element type came after 21',
        22,
        'g (bfloat16[4] x) => (bfloat16[4] y) { y = Softplus(x) }',
        /takes bfloat16 from 22 on/,
      ],
      [
        'when an attribute came after 21',
        23,
        'g (float[4] x, float s) => (uint8[4] y) { y = QuantizeLinear<precision=10>(x, s) }',
        /uses precision of 23/,
      ],
      [
        'when a pool could have a window behind the data',
        22,
        'g (float[1,1,5,5] x) => (float[1,1,2,2] y) { y = MaxPool<kernel_shape=[2,2], strides=[3,3], pads=[1,1,3,3], ceil_mode=1>(x) }',
        /ceil_mode/,
      ],
    ];
    for (const [name, opset, graph, reason] of kept) {
      it(name, async () => {
        const model = parseAt(graph, opset);
        const text = printModel(model, { types: false });
        const { declines, facts, ledger } = await upgrade(model);
        expect(declines.join('\n')).to.match(reason);
        expect(printModel(model, { types: false })).to.equal(text);
        expect(facts.get('opset-21')).to.equal(false);
        const note = ledger.notes.find(({ code }) => code === 'upgrade-opset');
        expect(note?.level).to.equal('warning');
        expect(note?.message).to.match(reason);
      });
    }

    it('and passes that need opset 21 pass by, once noted', async () => {
      let runs = 0;
      const later = definePass({ name: 'later', doc: '', needs: ['opset-21'], run: () => void runs++ });
      const old = await upgrade(parseAt('g (float[4] x) => (float[4] y) { y = Soothe(x) }', 12), [
        later,
        later,
      ]);
      expect(old.ledger.notes.filter(({ code }) => code === 'pass-skipped')).to.have.lengthOf(1);
      expect(runs).to.equal(0);
      await upgrade(parseAt('g (float[4] x) => (float[4] y) { y = Neg(x) }', 12), [later]);
      expect(runs).to.equal(1);
    });
  });

  describe('comes down from later opsets', () => {
    const lowered: readonly [string, number, string][] = [
      [
        'arithmetic',
        25,
        'g (float[2,3] x) => (float[2,3] y) { a = Softplus(x) b = Identity(a) y = Add(b, x) }',
      ],
      ['casts', 24, 'g (float[4] x) => (int32[4] y) { y = Cast<to=6, round_mode="up">(x) }'],
      [
        'quantization',
        23,
        'g (float[4] x) => (float[4] y) <float s = {0.1}> { q = QuantizeLinear<precision=0>(x, s) y = DequantizeLinear<output_dtype=0>(q, s) }',
      ],
      [
        'pools whose last window begins in the data',
        22,
        'g (float[1,1,6,6] x) => (float[1,1,3,3] y) { y = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x) }',
      ],
    ];
    for (const [name, opset, graph] of lowered) {
      it(`${name}, from ${opset}`, async () => {
        const before = parseAt(graph, opset);
        const after = cloneModel(before).model;
        const { declines } = await upgrade(after);
        expect(declines).to.deep.equal([]);
        expect(after.opset).to.equal(21);
        await expectEqualOutputs(before, after);
      });
    }

    it('and lets ONNX Runtime load what says IR 14 for no reason', async () => {
      const model = parseAt('g (float[4] x) => (float[4] y) { y = Neg(x) }', 28);
      model.irVersion = 14;
      await upgrade(model);
      expect([model.opset, model.irVersion]).to.deep.equal([21, 13]);
    });
  });

  it('raises every function by the version that it imports', async () => {
    const calls = 'g (float[2,3] x) => (float[3] y) { m = own.Middle<over=[0]>(x) y = own.Limited(m) }';
    const model = parseAt(
      `${calls}
      <domain: "own", opset_import: ["": 13]>
      Middle <over> (x) => (y) { y = ReduceMean<axes: ints = @over, keepdims=0>(x) }
      <domain: "own", opset_import: ["": 9]>
      Limited (x) => (y) { y = Clip<max=0.5>(x) }`,
      13,
      '"own": 1',
    );
    const today = parseAt(
      `${calls}
      <domain: "own", opset_import: ["": 21]>
      Middle <over> (x) => (y) { a = Constant<value_ints: ints = @over>() y = ReduceMean<keepdims=0>(x, a) }
      <domain: "own", opset_import: ["": 21]>
      Limited (x) => (y) { k = Constant<value = float {0.5}>() y = Clip(x, , k) }`,
      21,
      '"own": 1',
    );
    await upgrade(model);
    expect(model.functions.map(({ opsets }) => opsets.get(''))).to.deep.equal([21, 21]);
    expect(verify(model)).to.deep.equal([]);
    await expectEqualOutputs(today, model);
  });

  it('does nothing at 21', async () => {
    const model = parseAt('g (float[4] x) => (float[4] y) { y = Neg(x) }', 21);
    const { changes, facts } = await upgrade(model);
    expect(changes).to.deep.equal([]);
    expect(facts.get('opset-21')).to.equal(true);
  });

  it('is named as its file', () => expect(upgradeOpset.name).to.equal('upgrade-opset'));
});
