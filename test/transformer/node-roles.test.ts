import { expect } from 'chai';
import { type Model, nodeRoles, parseModel, roleText } from '../../src/index.js';
import { inferTypes } from '../../src/runtime/types.js';
import { sharedPath } from '../shared.js';
import { canonical, scramble } from './prepared.js';

const HEAD = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>';

async function typed(text: string): Promise<Model> {
  const model = parseModel(`${HEAD}\n${text}`);
  await inferTypes(model);
  return model;
}

/** Roles by the weight's name as the author wrote it, the graph's own names scrambled. */
function rolesIn(model: Model): Record<string, string> {
  const written = new Map(
    [...model.graph.nodes()].flatMap((node) => {
      const weight = node.inputs.find((input) => input?.isConstant && input.constant!.shape.length >= 2);
      return weight ? [[node, weight.name] as const] : [];
    }),
  );
  const found = nodeRoles(scramble(model));
  return Object.fromEntries(
    [...found].map(([node, roles]) => [written.get(node)!, roleText(roles)] as const).toSorted(),
  );
}

const weight = (name: string, shape: string, seed: number) =>
  `float[${shape}] ${name} = ["fill": "normal:${seed}:0:0.1"]`;

/** Attention of 2 heads of 8 over `from`, of what stands in `to`; named by a prefix. */
const attention = (p: string, to: string, from: string, out: string) => `
  ${p}q0 = MatMul (${to}, ${p}wq) ${p}k0 = MatMul (${from}, ${p}wk) ${p}v0 = MatMul (${from}, ${p}wv)
  ${p}q1 = Reshape (${p}q0, heads) ${p}k1 = Reshape (${p}k0, heads) ${p}v1 = Reshape (${p}v0, heads)
  ${p}q = Transpose <perm = [0, 2, 1, 3]> (${p}q1) ${p}k = Transpose <perm = [0, 2, 3, 1]> (${p}k1)
  ${p}v = Transpose <perm = [0, 2, 1, 3]> (${p}v1)
  ${p}s = MatMul (${p}q, ${p}k) ${p}p = Softmax <axis = -1> (${p}s) ${p}o = MatMul (${p}p, ${p}v)
  ${p}t = Transpose <perm = [0, 2, 1, 3]> (${p}o) ${p}r = Reshape (${p}t, joined)
  ${p}m = MatMul (${p}r, ${p}wo) ${out} = Add (${to}, ${p}m)`;
const weights = (p: string, seed: number) =>
  ['wq', 'wk', 'wv', 'wo'].map((name, at) => weight(`${p}${name}`, '16,16', seed + at)).join(', ');
const feedForward = (p: string, from: string, to: string) => `
  ${p}f = MatMul (${from}, ${p}w1) ${p}g = Relu (${p}f) ${p}e = MatMul (${p}g, ${p}w2) ${to} = Add (${from}, ${p}e)`;
const feedWeights = (p: string, seed: number) =>
  `${weight(`${p}w1`, '16,32', seed)}, ${weight(`${p}w2`, '32,16', seed + 1)}`;
const SIZES = 'int64[4] heads = {0, 0, 2, 8}, int64[3] joined = {0, 0, 16}';

describe('roles by node', () => {
  it('count a decoder layer with self- and cross-attention as one', async () => {
    const layers = ['a', 'b'];
    const model = await typed(`g (float[B,T,16] h0, float[B,S,16] enc) => (float[B,T,16] h2) <
      ${layers.map((p, at) => `${weights(`${p}s`, 10 * at + 1)}, ${weights(`${p}c`, 10 * at + 5)}, ${feedWeights(p, 10 * at + 30)}`).join(', ')}, ${SIZES}
    > { ${layers
      .map(
        (p, at) =>
          attention(`${p}s`, `h${at}`, `h${at}`, `${p}x`) +
          attention(`${p}c`, `${p}x`, 'enc', `${p}y`) +
          feedForward(p, `${p}y`, `h${at + 1}`),
      )
      .join('')} }`);
    const expected = Object.fromEntries(
      layers.flatMap((p, layer) =>
        [
          ...['q', 'k', 'v', 'o'].flatMap((role) => ['s', 'c'].map((kind) => [`${p}${kind}w${role}`, role])),
          [`${p}w1`, 'up'],
          [`${p}w2`, 'down'],
        ].map(([name, role]) => [name, `${role} of layer ${layer}`]),
      ),
    );
    expect(rolesIn(model)).to.deep.equal(Object.fromEntries(Object.entries(expected).toSorted()));
  });

  it('see products packed and cut by Slice, with the columns of each', async () => {
    const cut = (name: string, from: number, to: number) =>
      `${name} = Slice (all, from${from}, from${to}, axis)`;
    const model = await typed(`g (float[B,T,16] x) => (float[B,T,16] y) <
      ${weight('w', '16,48', 1)}, ${weight('wo', '16,16', 2)}, ${SIZES}, int64[1] axis = {2},
      ${[0, 16, 32, 48].map((at) => `int64[1] from${at} = {${at}}`).join(', ')}
    > {
      all = MatMul (x, w) ${cut('q0', 0, 16)} ${cut('k0', 16, 32)} ${cut('v0', 32, 48)}
      q1 = Reshape (q0, heads) k1 = Reshape (k0, heads) v1 = Reshape (v0, heads)
      q = Transpose <perm = [0, 2, 1, 3]> (q1) k = Transpose <perm = [0, 2, 3, 1]> (k1)
      v = Transpose <perm = [0, 2, 1, 3]> (v1)
      s = MatMul (q, k) p = Softmax <axis = -1> (s) o = MatMul (p, v)
      t = Transpose <perm = [0, 2, 1, 3]> (o) r = Reshape (t, joined) y = MatMul (r, wo)
    }`);
    const [roles] = [...nodeRoles(model).values()];
    expect(roles!.map(({ role, columns }) => [role, columns])).to.deep.equal([
      ['q', [0, 16]],
      ['k', [16, 32]],
      ['v', [32, 48]],
    ]);
    expect(rolesIn(model)).to.deep.equal({ w: 'q, k, v of layer 0', wo: 'o of layer 0' });
  });

  it('see attention over positions of an image, made by convolutions that mix channels alone', async () => {
    const conv = (name: string, from: string) => `${name} = Conv <kernel_shape = [1, 1]> (${from}, w${name})`;
    const model = await typed(`g (float[B,16,6,6] x) => (float[B,16,6,6] y) <
      ${['q', 'k', 'v', 'o'].map((name, at) => weight(`w${name}`, '16,16,1,1', at + 1)).join(', ')},
      ${weight('first', '16,16,3,3', 9)}, int64[3] flat = {0, 16, 36}, int64[4] image = {0, 16, 6, 6}
    > {
      c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, first)
      ${conv('q', 'c')} ${conv('k', 'c')} ${conv('v', 'c')}
      qf = Reshape (q, flat) kf = Reshape (k, flat) vf = Reshape (v, flat)
      qt = Transpose <perm = [0, 2, 1]> (qf) vt = Transpose <perm = [0, 2, 1]> (vf)
      s = MatMul (qt, kf) p = Softmax <axis = -1> (s) a = MatMul (p, vt)
      at = Transpose <perm = [0, 2, 1]> (a) back = Reshape (at, image)
      ${conv('o', 'back')} y = Add (x, o)
    }`);
    expect(rolesIn(model)).to.deep.equal({
      ...{ wk: 'k of layer 0', wo: 'o of layer 0', wq: 'q of layer 0', wv: 'v of layer 0' },
    });
  });

  it('see operators that are a whole attention: of ai.onnx, of com.microsoft, of integers', async () => {
    const apart = 'q = MatMul (x, wq) k = MatMul (x, wk) v = MatMul (x, wv)';
    const cases: Readonly<Record<string, string>> = {
      ai: 'a = Attention <q_num_heads = 2, kv_num_heads = 2> (q, k, v)',
      heads: 'a = com.microsoft.MultiHeadAttention <num_heads = 2> (q, k, v)',
    };
    for (const [name, operator] of Object.entries(cases)) {
      const text = `g (float[B,T,16] x) => (float[B,T,16] y) < ${weights('', 1)} > { ${apart} ${operator} y = MatMul (a, wo) }`;
      const model = parseModel(`${name === 'ai' ? HEAD.replace('"": 21', '"": 23') : HEAD}\n${text}`);
      await inferTypes(model);
      expect(rolesIn(model), name).to.deep.equal({
        ...{ wk: 'k of layer 0', wo: 'o of layer 0', wq: 'q of layer 0', wv: 'v of layer 0' },
      });
    }
  });

  for (const name of ['mnist-opset8', 'ppocr-det', 'silero-vad', 'style-starry', 'qdq-mobilenetv2']) {
    it(`of ${name} are none`, async function () {
      const path = sharedPath('models', name, 'model.onnx');
      if (path === undefined) return this.skip();
      this.timeout(60_000);
      expect(nodeRoles(await canonical(path)).size).to.equal(0);
    });
  }
});
