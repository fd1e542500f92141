import { expect } from 'chai';
import { openJudge } from '../../src/calibration/judge.js';
import { decibels, parseModel, Tensor } from '../../src/index.js';
import { filledTensor } from '../../src/text/fill.js';
import { memoryData } from './memory-data.js';

const scaled = (factor: number, columns = 4) =>
  parseModel(`<ir_version: 10, opset_import: ["": 21]>
  g (float[N,${columns}] x) => (float[N,${columns}] y) < float s = {${factor}} > { y = Mul (x, s) }`);

const total = (noises: readonly number[]): number => noises.reduce((sum, each) => sum + each, 0);

describe('openJudge', () => {
  const x = filledTensor('float', [6, 4], 'normal:3', '')!;

  it('adds up the noise of feeds to that of the outputs, and finds none in the model itself', async () => {
    const judge = await openJudge(scaled(2), memoryData({ x }, { batch: 2 }), { byLikeness: true });
    expect([judge.metric, judge.samples, judge.feeds]).to.deep.equal(['sqnr', 6, 3]);
    expect(await judge.noise(scaled(2))).to.deep.equal([0, 0, 0]);
    const noises = await judge.noise(scaled(2.2));
    expect(total(noises)).to.be.closeTo(0.01, 1e-6);
    expect(decibels(total(noises))).to.be.closeTo(20, 1e-3);
    const [second] = await judge.noise(scaled(2.2), { feeds: [1] });
    expect(second).to.equal(noises[1]);
  });

  it('measures scores by the divergence of their distributions, which does not count what they have in common', async () => {
    const judge = await openJudge(scaled(1), memoryData({ x }));
    expect(judge.metric).to.equal('kl');
    const shifted = parseModel(`<ir_version: 10, opset_import: ["": 21]>
      g (float[N,4] x) => (float[N,4] y) < float s = {3} > { y = Add (x, s) }`);
    expect(total(await judge.noise(shifted))).to.be.below(1e-6);
    const values = x.toFloat32();
    let expected = 0;
    for (let row = 0; row < 6; row++) {
      const softmax = (factor: number) => {
        const powers = Array.from({ length: 4 }, (_, at) => Math.exp(values[row * 4 + at]! * factor));
        return powers.map((each) => each / total(powers));
      };
      const [p, q] = [softmax(1), softmax(0.5)];
      expected += total(p.map((each, at) => each * Math.log(each / q[at]!))) / 6;
    }
    expect(total(await judge.noise(scaled(0.5)))).to.be.closeTo(expected, 1e-6);
  });

  it('counts wrong answers where it shall go by labels, those of a filled batch once', async () => {
    const rows = Tensor.floats([1, 0, 0, 1, 1, 0], [3, 2]);
    const data = memoryData({ x: rows }, { labels: [0, 1, 1], batch: 2, exact: true });
    const judge = await openJudge(scaled(1, 2), data, { byLabels: true });
    expect(judge.metric).to.equal('wrong');
    expect(total(await judge.noise(scaled(1, 2)))).to.be.closeTo(1 / 3, 1e-9);
    expect(total(await judge.noise(scaled(-1, 2)))).to.be.closeTo(2 / 3, 1e-9);
  });

  it('says infinite where outputs are not finite, and keeps no more samples than there is room for', async () => {
    const judge = await openJudge(scaled(1), memoryData({ x }, { batch: 1 }), {
      byLikeness: true,
      maxBytes: 100,
    });
    expect(judge.samples).to.equal(3);
    const broken = parseModel(`<ir_version: 10, opset_import: ["": 21]>
      g (float[N,4] x) => (float[N,4] y) < float s = {0} > { y = Div (x, s) }`);
    expect(total(await judge.noise(broken))).to.equal(Number.POSITIVE_INFINITY);
  });
});
