import { expect } from 'chai';
import { type Model, type Node, type Projection, parseModel, rolesOf } from '../../src/index.js';
import { inferTypes } from '../../src/runtime/types.js';
import { sharedPath } from '../shared.js';
import { canonical, fused, scramble } from './prepared.js';

const HEAD = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>';

/** What is multiplied, told by the weight's name as the author of a graph wrote it. */
const weight = (projection: Projection | undefined): string | undefined => projection?.node.inputs[1]?.name;

async function typed(text: string): Promise<Model> {
  const model = parseModel(`${HEAD}\n${text}`);
  await inferTypes(model);
  return model;
}

/** Names of the projections, as the exporter gave them, by the scrambled node: what the truth is told by. */
function truth(model: Model): Map<Node, string> {
  return new Map([...model.graph.nodes()].map((node) => [node, node.name]));
}

describe('roles', () => {
  const cases = [
    {
      name: 'stories260k',
      layers: 5,
      q: /q_proj/,
      k: /k_proj/,
      v: /v_proj/,
      o: /o_proj/,
      gate: /gate_proj/,
      up: /up_proj/,
      down: /down_proj/,
    },
    {
      name: 'shakewiki-3.4m',
      layers: 4,
      q: /q_proj/,
      k: /k_proj/,
      v: /v_proj/,
      o: /o_proj/,
      gate: /gate_proj/,
      up: /up_proj/,
      down: /down_proj/,
    },
    {
      name: 'kwt1-keyword',
      layers: 12,
      q: /\/q\//,
      k: /\/k\//,
      v: /\/v\//,
      o: /\/o\//,
      gate: undefined,
      up: /fc1/,
      down: /fc2/,
    },
    {
      name: 'bert-tiny-messy',
      layers: 24,
      q: /self\/query/,
      k: /self\/key/,
      v: /self\/value/,
      o: /attention\/output/,
      gate: undefined,
      up: /intermediate/,
      down: /layer_\._\d+\/output/,
    },
  ];
  for (const each of cases) {
    it(`of ${each.name} are all right, its names scrambled`, async function () {
      const path = sharedPath('models', each.name, 'model.onnx');
      if (path === undefined) return this.skip();
      this.timeout(60_000);
      const model = await canonical(path);
      const names = truth(model);
      const { attentions, feedForwards, rejections } = rolesOf(scramble(model).graph);
      const named = (projection: Projection | undefined): string => names.get(projection!.node)!;
      expect(attentions.length).to.equal(each.layers);
      expect(feedForwards.length).to.equal(each.layers);
      expect(rejections).to.deep.equal([]);
      for (const { q, k, v, o, cross } of attentions) {
        expect(named(q)).to.match(each.q);
        expect(named(k)).to.match(each.k);
        expect(named(v)).to.match(each.v);
        expect(named(o)).to.match(each.o);
        expect(cross).to.equal(false);
      }
      for (const { gate, up, down } of feedForwards) {
        if (each.gate === undefined) expect(gate).to.equal(undefined);
        else expect(named(gate)).to.match(each.gate);
        expect(named(up)).to.match(each.up);
        expect(named(down)).to.match(each.down);
      }
    });
  }

  for (const name of ['stories260k', 'shakewiki-3.4m']) {
    it(`of ${name} are the same once its attention is one operator`, async function () {
      const path = sharedPath('models', name, 'model.onnx');
      if (path === undefined) return this.skip();
      this.timeout(60_000);
      const model = await fused(path, [
        'fuse-rms-normalization',
        'fuse-silu',
        'fuse-rotary-embedding',
        'fuse-group-query-attention',
      ]);
      const { attentions, feedForwards, head, embeddings } = rolesOf(model.graph);
      for (const [layer, { q, k, v, o, heads, kvHeads, rotary }] of attentions.entries()) {
        const at = (role: string) => `/layers.${layer}/${role}_proj/MatMul`;
        expect([q, k, v, o].map((each) => each?.node.name)).to.deep.equal(['q', 'k', 'v', 'o'].map(at));
        expect({ heads, kvHeads }).to.deep.equal({ heads: 8, kvHeads: 4 });
        expect(rotary?.interleaved).to.equal(false);
      }
      expect(feedForwards.map(({ gate }) => gate?.node.name)).to.deep.equal(
        attentions.map((_, layer) => `/layers.${layer}/gate_proj/MatMul`),
      );
      expect(head?.name).to.equal('/lm_head/MatMul');
      expect(embeddings.map(({ node, isVocabulary }) => [node.name, isVocabulary])).to.deep.equal([
        ['/embed_tokens/Gather', true],
      ]);
    });
  }

  for (const name of [
    'mobilenetv2',
    'resnet8-tiny',
    'resnet20-cifar',
    'yolox-nano',
    'ultraface-rfb320',
    'magika',
    'nsnet2-gru',
    'espcn-x3',
  ]) {
    it(`of ${name} are none`, async function () {
      const path = sharedPath('models', name, 'model.onnx');
      if (path === undefined) return this.skip();
      this.timeout(60_000);
      const { attentions, feedForwards, embeddings, head, norms } = rolesOf((await canonical(path)).graph);
      expect([attentions, feedForwards, embeddings, norms]).to.deep.equal([[], [], [], []]);
      expect(head).to.equal(undefined);
    });
  }

  it('tell columns apart where one product makes queries, keys and values', async () => {
    const model = await typed(`g (float[B,T,16] x) => (float[B,T,16] y) <
  float[16,32] w = ["fill": "normal:1"], float[16,16] wo = ["fill": "normal:2"],
  int64[3] parts = {16, 8, 8}, int64[4] heads = {0, 0, 2, 8}, int64[4] one_head = {0, 0, 1, 8}, int64[3] joined = {0, 0, 16}
> {
  all = MatMul (x, w)
  q0, k0, v0 = Split <axis = -1> (all, parts)
  q1 = Reshape (q0, heads)
  k1 = Reshape (k0, one_head)
  v1 = Reshape (v0, one_head)
  q = Transpose <perm = [0, 2, 1, 3]> (q1)
  k = Transpose <perm = [0, 2, 3, 1]> (k1)
  v = Transpose <perm = [0, 2, 1, 3]> (v1)
  s = MatMul (q, k)
  p = Softmax <axis = -1> (s)
  o = MatMul (p, v)
  t = Transpose <perm = [0, 2, 1, 3]> (o)
  r = Reshape (t, joined)
  y = MatMul (r, wo)
}`);
    const [attention] = rolesOf(model.graph).attentions;
    expect([attention!.q, attention!.k, attention!.v].map((each) => each?.columns)).to.deep.equal([
      [0, 16],
      [16, 24],
      [24, 32],
    ]);
    expect(weight(attention!.o)).to.equal('wo');
  });

  it('say so where every head has its queries, keys and values side by side', async () => {
    const model = await typed(`g (float[B,T,16] x) => (float[B,2,T,8] o) <
  float[16,48] w = ["fill": "normal:1"], int64[4] heads = {0, 0, 2, 24}
> {
  all = MatMul (x, w)
  apart = Reshape (all, heads)
  turned = Transpose <perm = [0, 2, 1, 3]> (apart)
  q, k, v = Split <axis = -1, num_outputs = 3> (turned)
  kt = Transpose <perm = [0, 1, 3, 2]> (k)
  s = MatMul (q, kt)
  p = Softmax <axis = -1> (s)
  o = MatMul (p, v)
}`);
    const [attention] = rolesOf(model.graph).attentions;
    expect([attention!.q, attention!.k, attention!.v].map((each) => each?.perHead)).to.deep.equal([
      true,
      true,
      true,
    ]);
  });

  it('find the weights, and not the adapters beside them; see a second sequence; see gates and their router', async () => {
    const model =
      await typed(`g (float[B,T,16] x, float[B,S,16] e) => (float[B,T,16] y, float[B,T,4] routes) <
  float[16,16] wq = ["fill": "normal:1"], float[16,16] wk = ["fill": "normal:2"], float[16,16] wv = ["fill": "normal:3"],
  float[16,16] wo = ["fill": "normal:4"], float[16,2] a = ["fill": "normal:5"], float[2,16] b = ["fill": "normal:6"],
  float[16,24] wg = ["fill": "normal:7"], float[24,16] wd = ["fill": "normal:8"], float[16,24] wu = ["fill": "normal:9"],
  float[16,4] wr = ["fill": "normal:10"], int64[4] heads = {0, 0, 2, 8}, int64[3] joined = {0, 0, 16}
> {
  q0 = MatMul (x, wq)
  small = MatMul (x, a)
  added = MatMul (small, b)
  qa = Add (q0, added)
  k0 = MatMul (e, wk)
  v0 = MatMul (e, wv)
  q1 = Reshape (qa, heads)
  k1 = Reshape (k0, heads)
  v1 = Reshape (v0, heads)
  q = Transpose <perm = [0, 2, 1, 3]> (q1)
  k = Transpose <perm = [0, 2, 3, 1]> (k1)
  v = Transpose <perm = [0, 2, 1, 3]> (v1)
  s = MatMul (q, k)
  p = Softmax <axis = -1> (s)
  o = MatMul (p, v)
  t = Transpose <perm = [0, 2, 1, 3]> (o)
  r = Reshape (t, joined)
  m = MatMul (r, wo)
  h = Add (x, m)
  g0 = MatMul (h, wg)
  u0 = MatMul (h, wu)
  act = Gelu (g0)
  gu = Mul (act, u0)
  d = MatMul (gu, wd)
  y = Add (h, d)
  logits = MatMul (y, wr)
  routes = Softmax <axis = -1> (logits)
}`);
    const { attentions, feedForwards, rejections } = rolesOf(model.graph);
    expect(attentions.length).to.equal(1);
    const [{ q, k, v, o, cross }] = attentions as [(typeof attentions)[0]];
    expect([q, k, v, o].map(weight)).to.deep.equal(['wq', 'wk', 'wv', 'wo']);
    expect(q?.beside?.map((node) => node.inputs[1]!.name)).to.deep.equal(['b']);
    expect(cross).to.equal(true);
    expect(feedForwards.map(({ gate, up, down }) => [gate, up, down].map(weight))).to.deep.equal([
      ['wg', 'wu', 'wd'],
    ]);
    expect(rejections.map(({ reason }) => reason)).to.deep.equal([
      'its result weighs no values: a classifier or a router',
    ]);
  });

  it('are read off the operators that are a whole attention', async () => {
    const model =
      await typed(`g (float[B,T,16] x, int32[B] s, int32 n) => (float[B,T,16] y, float[B,T,16] z) <
  float[16,48] w = ["fill": "normal:1"], float[48] b = ["fill": "normal:2"], float[16,16] wo = ["fill": "normal:3"],
  float[16,32] wp = ["fill": "normal:4"]
> {
  a = com.microsoft.Attention <num_heads = 2> (x, w, b)
  y = MatMul (a, wo)
  packed = MatMul (x, wp)
  g1 = com.microsoft.GroupQueryAttention <num_heads = 2, kv_num_heads = 1> (packed, "", "", "", "", s, n)
  z = MatMul (g1, wo)
}`);
    const [own, group] = rolesOf(model.graph).attentions;
    expect([own!.q, own!.k, own!.v].map((each) => each?.columns)).to.deep.equal([
      [0, 16],
      [16, 32],
      [32, 48],
    ]);
    expect(weight(own!.o)).to.equal('wo');
    expect([group!.q, group!.k, group!.v].map((each) => each?.columns)).to.deep.equal([
      [0, 16],
      [16, 24],
      [24, 32],
    ]);
    expect({ heads: group!.heads, kvHeads: group!.kvHeads, headSize: group!.headSize }).to.deep.equal({
      heads: 2,
      kvHeads: 1,
      headSize: 8,
    });
  });
});
