import { expect } from 'chai';
import { encodeModel, parseProtection, QuantcError } from '../../src/index.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { webgpu } from '../../targets/webgpu.js';
import { expectKept, type Options, quantized } from './quantizing.js';

const HEADS = 'int64[4] heads = {0, 0, 2, 32}, int64[3] joined = {0, 0, 64}';
const TAIL = `
  kt = Transpose <perm = [0, 2, 3, 1]> (k1)
  qt = Transpose <perm = [0, 2, 1, 3]> (q1)
  vt = Transpose <perm = [0, 2, 1, 3]> (v1)
  s = MatMul (qt, kt)
  p = Softmax <axis = -1> (s)
  a = MatMul (p, vt)
  t = Transpose <perm = [0, 2, 1, 3]> (a)
  r = Reshape (t, joined)
  [o] y = MatMul (r, wo)`;

const weight = (name: string, shape: string, seed: number) =>
  `float[${shape}] ${name} = ["fill": "normal:${seed}:0:0.1"]`;

const model = (
  initializers: readonly string[],
  body: string,
  signature = '(float[N,6,64] x) => (float[N,6,64] y)',
) =>
  `<ir_version: 10, opset_import: ["": 21]> g ${signature} < ${[...initializers, HEADS].join(', ')} > { ${body} }`;

const apart = model(
  [weight('wq', '64,64', 1), weight('wk', '64,64', 2), weight('wv', '64,64', 3), weight('wo', '64,64', 4)],
  `[q] q0 = MatMul (x, wq) [k] k0 = MatMul (x, wk) [v] v0 = MatMul (x, wv)
  q1 = Reshape (q0, heads) k1 = Reshape (k0, heads) v1 = Reshape (v0, heads) ${TAIL}`,
);

/** Queries, keys and values of one product, side by side. */
const packed = model(
  [weight('w', '64,192', 1), weight('wo', '64,64', 4), 'float[192] b = ["fill": "normal:9:0:0.1"]'],
  `[qkv] all = MatMul (x, w) biased = Add (all, b)
  q0, k0, v0 = Split <axis = -1, num_outputs = 3> (biased)
  q1 = Reshape (q0, heads) k1 = Reshape (k0, heads) v1 = Reshape (v0, heads) ${TAIL}`,
);

/** The same with the three of each head side by side. */
const perHead = `<ir_version: 10, opset_import: ["": 21]> g (float[N,6,64] x) => (float[N,6,64] y) <
  ${weight('w', '64,192', 1)}, ${weight('wo', '64,64', 4)}, int64[4] heads = {0, 0, 2, 96}, int64[3] joined = {0, 0, 64}
> {
  [qkv] all = MatMul (x, w)
  apart = Reshape (all, heads)
  turned = Transpose <perm = [0, 2, 1, 3]> (apart)
  qt, k1, vt = Split <axis = -1, num_outputs = 3> (turned)
  kt = Transpose <perm = [0, 1, 3, 2]> (k1)
  s = MatMul (qt, kt)
  p = Softmax <axis = -1> (s)
  a = MatMul (p, vt)
  t = Transpose <perm = [0, 2, 1, 3]> (a)
  r = Reshape (t, joined)
  [o] y = MatMul (r, wo)
}`;

/** A table that is the head's weight, too, and an attention between. */
const tied = model(
  [
    ...[weight('words', '96,64', 7), weight('wq', '64,64', 1), weight('wk', '64,64', 2)],
    ...[weight('wv', '64,64', 3), weight('wo', '64,64', 4)],
  ],
  `[look] x = Gather (words, ids)
  [q] q0 = MatMul (x, wq) [k] k0 = MatMul (x, wk) [v] v0 = MatMul (x, wv)
  q1 = Reshape (q0, heads) k1 = Reshape (k0, heads) v1 = Reshape (v0, heads) ${TAIL}
  wt = Transpose <perm = [1, 0]> (words)
  [head] logits = MatMul (y, wt)`,
  '(int64[N,6] ids) => (float[N,6,96] logits)',
);

const int4 = (text: string, protect: readonly string[], options: Options = {}) =>
  quantized(text, { precision: 'int4', weights: { bits: 4 }, protect, ...options });

const rows = (result: Awaited<ReturnType<typeof quantized>>, ...nodes: string[]) =>
  nodes.map((node) => result.row(node).precision);

async function refused(protect: string, text = apart): Promise<QuantcError> {
  const error = await int4(text, [protect]).catch((thrown: unknown) => thrown);
  expect(error).to.be.instanceOf(QuantcError);
  return error as QuantcError;
}

describe('passes/protect-layers', () => {
  it('keeps values and outputs in 16 bits while the rest gets 4, and says so', async () => {
    const result = await int4(apart, ['ov']);
    expect(rows(result, 'q', 'k', 'v', 'o')).to.deep.equal(['int4', 'int4', 'fp16-weights', 'fp16-weights']);
    expect(result.row('v')).to.include({ bytesBefore: 16384, bytesAfter: 8192 });
    expect(result.row('v').reason).to.equal('protected by "ov": v of layer 0');
    expect(result.count('MatMulNBits')).to.equal(2);
    await expectKept(result, 15);
  });

  it('gives them 8 bits where that is asked, in the blocks of those, on both executors', async () => {
    for (const target of [undefined, webgpu]) {
      const result = await int4(apart, ['ov:int8'], target && { target });
      expect(rows(result, 'q', 'v', 'o')).to.deep.equal(['int4', 'int8-blocks', 'int8-blocks']);
      const bits = [...result.after.graph.nodes()].flatMap((node) => node.int('bits') ?? []);
      expect(bits.toSorted()).to.deep.equal([4, 4, 8, 8]);
    }
  });

  it('goes by role and layer, by layer, by the name of a node or of a weight, and lets 16 bits win', async () => {
    const kept = async (...protect: string[]) =>
      ['q', 'k', 'v', 'o'].filter(
        (
          (row) => (node: string) =>
            row(node) !== 'int4'
        )(await rowsOf(protect)),
      );
    const rowsOf = async (protect: string[]) => {
      const result = await int4(apart, protect);
      return (node: string) => result.row(node).precision;
    };
    expect(await kept('k+v')).to.deep.equal(['k', 'v']);
    expect(await kept('qk@0')).to.deep.equal(['q', 'k']);
    expect(await kept('v@-1')).to.deep.equal(['v']);
    expect(await kept('layers:0')).to.deep.equal(['q', 'k', 'v', 'o']);
    expect(await kept('wk', 'o')).to.deep.equal(['k', 'o']);
    expect(await kept('w*')).to.deep.equal(['q', 'k', 'v', 'o']);
    const both = await int4(apart, ['v', 'qkvo:int8']);
    expect(rows(both, 'q', 'v')).to.deep.equal(['int8-blocks', 'fp16-weights']);
  });

  it('cuts a product that makes queries, keys and values, and changes no result by it', async () => {
    const result = await int4(packed, ['ov']);
    expect(rows(result, 'qkv_0_128', 'qkv_128_192')).to.deep.equal(['int4', 'fp16-weights']);
    expect(result.row('qkv_128_192').reason).to.equal('protected by "ov": v of layer 0, cut out of qkv');
    const all = await quantized(packed, { precision: 'int8-weights', protect: ['*:fp16', 'v'] });
    const session = { threads: 1, optimization: 'off' as const };
    const [output] = await compareOutputs(encodeModel(all.before), encodeModel(all.after), all.data, {
      reference: session,
      candidate: session,
    });
    expect(output!.sqnr).to.be.above(60);
  });

  it('keeps all of a product whose heads lie between each other, with the reason', async () => {
    const result = await int4(perHead, ['v']);
    expect(rows(result, 'qkv', 'o')).to.deep.equal(['fp16-weights', 'int4']);
    expect(result.row('qkv').reason).to.contain('they lie head by head');
  });

  it('protects what shares a weight with it: a head and its table', async () => {
    for (const [what, other] of [
      ['lm-head', 'look'],
      ['embedding', 'head'],
    ] as const) {
      const result = await int4(tied, [`${what}:int8`]);
      expect(rows(result, 'look', 'head')).to.deep.equal(['int8-blocks', 'int8-blocks']);
      expect(result.row(other).reason).to.contain('whose weight it shares');
    }
  });

  it('leaves protected products out of integer arithmetic', async () => {
    for (const precision of ['int8', 'int8-dynamic'] as const) {
      const result = await quantized(apart, { precision, protect: ['ov'] });
      expect(rows(result, 'v', 'o'), precision).to.deep.equal(['fp16-weights', 'fp16-weights']);
      expect(result.row('q').precision, precision).to.match(/^int8/);
      await expectKept(result, 20);
      const eight = await quantized(apart, { precision, protect: ['ov:int8'] });
      expect(rows(eight, 'v', 'o'), precision).to.deep.equal(['int8-weights', 'int8-weights']);
    }
  });

  it('leaves to the user what is excluded by name', async () => {
    const result = await int4(apart, ['ov'], {
      exclude: (node) => (node.name === 'v' ? 'kept float by the pattern "v"' : undefined),
    });
    expect(result.row('v')).to.include({ precision: 'float', reason: 'kept float by the pattern "v"' });
  });

  it('refuses what means nothing, telling what there is', async () => {
    for (const what of ['gate', 'v@3', 'nowhere*', 'layers:1']) {
      const { code, message, hint } = await refused(what);
      expect(code).to.equal('E_PROTECT_NOTHING');
      expect(message).to.contain(`"${what}"`);
      expect(hint).to.contain('Roles here: q, k, v, o, in layers 0 to 0');
    }
    const plain =
      '<ir_version: 10, opset_import: ["": 21]> g (float[N,64] x) => (float[N,64] y) < float[64,64] w = ["fill": "normal:1"] > { y = MatMul (x, w) }';
    expect((await refused('ov', plain)).hint).to.contain('No attention was found');
  });

  it('refuses what cannot be read', () => {
    for (const text of ['', ':int8', 'layers:a', 'layers:']) {
      expect(() => parseProtection(text), text)
        .to.throw(QuantcError)
        .with.property('code', 'E_PROTECT_SYNTAX');
    }
    expect(parseProtection('onnx::MatMul_12').name?.test('onnx::MatMul_12')).to.equal(true);
  });
});
