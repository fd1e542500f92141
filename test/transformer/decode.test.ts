import { expect } from 'chai';
import { type Model, printModel, Tensor } from '../../src/index.js';
import { greedyDecode } from '../../src/runtime/greedy.js';
import { withSession } from '../../src/runtime/session.js';
import { sharedPath } from '../shared.js';
import { computed, counting, masked, narrow, open, pooled, rotating } from './decoders.js';
import { canonical, DECODER_FUSIONS, fused, operators } from './prepared.js';

const decode = (model: Model | string, prompt: readonly number[], count: number): Promise<number[]> =>
  withSession(model, { threads: 1 }, (session) => greedyDecode(session, prompt, count));

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error);
const messageOf = async (model: Promise<Model>): Promise<string> =>
  model.then(
    () => 'no error',
    (error: unknown) => `${codeOf(error)} ${(error as Error).message}`,
  );

describe('decoding with a cache', () => {
  for (const [name, prompt] of [
    ['stories260k', [1, 403, 407, 261, 378]],
    ['shakewiki-3.4m', [199, 48, 300, 86, 483]],
  ] as const) {
    it(`gives the 64 tokens that ${name} gives without one`, async function () {
      const path = sharedPath('models', name, 'model.onnx');
      if (path === undefined) return this.skip();
      this.timeout(120_000);
      const model = await fused(path, DECODER_FUSIONS, true);
      expect(await decode(model, prompt, 64)).to.deep.equal(await decode(path, prompt, 64));
    });
  }

  for (const [name, text] of [
    ['positions counted from a shape', counting()],
    ['positions and mask from outside', masked()],
    ['rows of positions cut from a table', computed()],
  ] as const) {
    it(`gives the tokens of a decoder with ${name}`, async () => {
      const [before, after] = [await canonical(text), await fused(text, DECODER_FUSIONS, true)];
      expect(operators(after)['GroupQueryAttention']).to.be.greaterThan(0);
      expect(operators(after)['Softmax']).to.equal(undefined);
      for (const prompt of [[3], [7, 1, 39, 20]])
        expect(await decode(after, prompt, 20)).to.deep.equal(await decode(before, prompt, 20));
    });
  }

  for (const [name, text] of [
    ['counted', narrow(counting())],
    ['given', narrow(masked())],
  ] as const) {
    it(`gives the tokens of a decoder whose heads no operator takes, positions ${name}`, async () => {
      const [before, after] = [await canonical(text), await fused(text, DECODER_FUSIONS, true)];
      const { GroupQueryAttention, Softmax } = operators(after);
      expect({ GroupQueryAttention, Softmax }).to.deep.equal({ GroupQueryAttention: undefined, Softmax: 2 });
      for (const prompt of [[3], [7, 1, 39, 20]])
        expect(await decode(after, prompt, 20)).to.deep.equal(await decode(before, prompt, 20));
    });
  }

  for (const norms of [false, true]) {
    it(`gives the tokens of a decoder with computed rotations${norms ? ' and norms of single heads' : ''}`, async () => {
      const names = [...DECODER_FUSIONS, 'pack-qkv'];
      const [before, after] = [await canonical(rotating(norms)), await fused(rotating(norms), names, true)];
      const {
        GroupQueryAttention,
        Softmax,
        RotaryEmbedding,
        Transpose,
        MatMul,
        SimplifiedLayerNormalization,
        SkipSimplifiedLayerNormalization,
      } = operators(after);
      expect({ GroupQueryAttention, Softmax, RotaryEmbedding, Transpose }).to.deep.equal({
        GroupQueryAttention: 1,
        Softmax: undefined,
        RotaryEmbedding: undefined,
        Transpose: undefined,
      });
      // Queries, keys and values are one product where no norm stands between.
      expect(MatMul).to.equal(norms ? 8 : 6);
      expect(SimplifiedLayerNormalization).to.equal(norms ? 3 : 1);
      expect(SkipSimplifiedLayerNormalization).to.equal(1);
      for (const prompt of [[3], [7, 1, 39, 20]])
        expect(await decode(after, prompt, 24)).to.deep.equal(await decode(before, prompt, 24));
    });
  }

  it('names inputs and outputs as generation loops look for them', async () => {
    const { graph } = await fused(counting(), DECODER_FUSIONS, true);
    expect(graph.inputs.map(({ name, shape }) => `${name} ${shape}`)).to.deep.equal([
      'input_ids B,T',
      'attention_mask B,total_sequence_length',
      'position_ids B,T',
      'past_key_values.0.key B,2,past_sequence_length,8',
      'past_key_values.0.value B,2,past_sequence_length,8',
      'past_key_values.1.key B,2,past_sequence_length,8',
      'past_key_values.1.value B,2,past_sequence_length,8',
    ]);
    expect(graph.outputs.map(({ name }) => name)).to.deep.equal([
      'logits',
      'present.0.key',
      'present.0.value',
      'present.1.key',
      'present.1.value',
    ]);
  });

  it('answers for sequences of one batch that are padded at their ends as for each alone', async () => {
    const [before, after] = [await canonical(masked()), await fused(masked(), DECODER_FUSIONS, true)];
    const ids = Tensor.ints([5, 6, 7, 8, 9, 10, 11, 0, 0, 0], [2, 5]);
    const feeds = {
      input_ids: ids,
      attention_mask: Tensor.ints([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], [2, 5]),
      position_ids: Tensor.ints([0, 1, 2, 3, 4, 0, 1, 0, 0, 0], [2, 5]),
    };
    const run = (model: Model) =>
      withSession(model, { optimization: 'off', threads: 1 }, (session) => session.run(feeds, ['logits']));
    const [one, other] = [
      (await run(before))['logits']!.toFloat32(),
      (await run(after))['logits']!.toFloat32(),
    ];
    for (let at = 0; at < 7 * 40; at++) expect(other[at]).to.be.closeTo(one[at]!, 1e-3);
  });

  it('takes several tokens at once behind a past', async () => {
    const model = await fused(counting(), DECODER_FUSIONS, true);
    await withSession(model, { optimization: 'off', threads: 1 }, async (session) => {
      const whole = await session.run({ input_ids: Tensor.ints([3, 1, 4, 1, 5, 9], [1, 6]) });
      const first = await session.run({ input_ids: Tensor.ints([3, 1], [1, 2]) });
      const past = Object.fromEntries(
        Object.entries(first).flatMap(([name, tensor]) =>
          name.startsWith('present.') ? [[name.replace('present', 'past_key_values'), tensor]] : [],
        ),
      );
      const rest = await session.run({
        ...past,
        input_ids: Tensor.ints([4, 1, 5, 9], [1, 4]),
        attention_mask: Tensor.ints([1, 1, 1, 1, 1, 1], [1, 6]),
        position_ids: Tensor.ints([2, 3, 4, 5], [1, 4]),
      });
      const [a, b] = [whole['logits']!.toFloat32().subarray(80), rest['logits']!.toFloat32()];
      for (let at = 0; at < b.length; at++) expect(b[at]).to.be.closeTo(a[at]!, 1e-3);
    });
  });

  it('is refused, with the reason, to what is no decoder', async () => {
    expect(await messageOf(fused(open(), DECODER_FUSIONS, true))).to.match(
      /^E_KV_CACHE .*no causal attention/,
    );
    expect(await messageOf(fused(pooled(), DECODER_FUSIONS, true))).to.match(
      /^E_KV_CACHE .*reads tokens together/,
    );
    const fixed = counting(1)
      .replace('int64[B,T] input_ids', 'int64[1,6] input_ids')
      .replace('float[B,T,40]', 'float[1,6,40]');
    expect(await messageOf(fused(fixed, DECODER_FUSIONS, true))).to.match(/^E_KV_CACHE .*fixed to 6 tokens/);
  });

  it('makes the same bytes twice', async () => {
    const [one, other] = [
      await fused(masked(), DECODER_FUSIONS, true),
      await fused(masked(), DECODER_FUSIONS, true),
    ];
    expect(printModel(one)).to.equal(printModel(other));
  });
});

describe('greedy decoding', () => {
  it('refuses an empty prompt', async () => {
    const model = await canonical(counting(1));
    expect(await decode(model, [], 3).catch(codeOf)).to.equal('E_DECODE');
  });
});
