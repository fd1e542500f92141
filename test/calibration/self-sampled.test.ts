import { expect } from 'chai';
import {
  drawTexts,
  type SelfSampling,
  selfSamplingOf,
  textsAsData,
} from '../../src/calibration/self-sampled.js';
import { parseModel } from '../../src/index.js';
import { counting, masked, open } from '../transformer/decoders.js';

const how = (text: string, weights = 10_000): SelfSampling => {
  const found = selfSamplingOf(parseModel(text), weights);
  if (typeof found === 'string') throw new Error(found);
  return found;
};

describe('texts that a decoder draws from itself', () => {
  it('begin with any word, are the same every time, and end where positions do', async () => {
    const plan = how(counting());
    expect(plan).to.include({ ids: 'input_ids', words: 40, texts: 40, length: 128 });
    const drawn = await drawTexts(parseModel(counting()), plan);
    if (typeof drawn === 'string') throw new Error(drawn);
    expect(drawn.length).to.equal(32);
    const first = Array.from({ length: 40 }, (_, text) => drawn.tokens[text * 32]!);
    expect(new Set(first).size).to.equal(40);
    expect(drawn.tokens.every((token) => token >= 0 && token < 40)).to.equal(true);
    expect(new Set(drawn.tokens).size).to.be.above(20);
    expect(await drawTexts(parseModel(counting()), plan)).to.deep.equal(drawn);
  });

  it('are fed with mask and positions where the model has them', async () => {
    const model = parseModel(masked());
    const plan = { ...how(masked()), texts: 3, length: 16 };
    const drawn = await drawTexts(model, plan);
    if (typeof drawn === 'string') throw new Error(drawn);
    const data = textsAsData(
      drawn,
      plan,
      model.graph.inputs.map(({ name }) => name),
    );
    const feeds = [];
    for await (const feed of data) feeds.push(feed);
    expect(feeds).to.have.length(3);
    expect(feeds[1]!['input_ids']!.toNumbers()).to.deep.equal([...drawn.tokens.subarray(16, 32)]);
    expect(feeds[1]!['position_ids']!.toNumbers().at(-1)).to.equal(15);
    expect(feeds[1]!['attention_mask']!.toNumbers()).to.deep.equal(new Array(16).fill(1));
  });

  it('are refused where later tokens change what is said of earlier ones', async () => {
    expect(await drawTexts(parseModel(open()), how(open()))).to.match(/depends on later ones/);
  });

  it('are not asked of what is no decoder, or too large', () => {
    expect(selfSamplingOf(parseModel(counting()), 1e10)).to.match(/too large/);
    const pictures = '<opset_import: ["": 21]> g (float[N,3] x) => (float[N,3] y) { y = Relu (x) }';
    expect(selfSamplingOf(parseModel(pictures), 10)).to.match(/\[batch, tokens\]|holds no integers/);
  });

  it('get shorter before they get fewer than sixteen', () => {
    const large = how(counting(), 2e7);
    expect(large.length).to.be.below(128);
    expect(large.texts).to.be.above(15);
  });
});
