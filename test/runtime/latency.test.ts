import { expect } from 'chai';
import { Tensor } from '../../src/index.js';
import { median, race } from '../../src/runtime/latency.js';
import { profile } from '../../src/runtime/profile.js';
import { parseModel } from '../../src/text/parse.js';

const product = (size: number) =>
  parseModel(`<ir_version: 10, opset_import: ["": 21]>
    g (float[1,${size}] x) => (float[1,${size}] y) <float[${size},${size}] w = ["fill": "normal:1"]> {
      a = MatMul (x, w)
      y = Relu (a)
    }`);
const feed = (size: number) => ({ x: Tensor.floats(new Float32Array(size).fill(0.5), [1, size]) });

describe('runtime/latency', () => {
  it('times every contender on every feed in every round', async () => {
    const contenders = ['one', 'other'].map((name) => ({ name, model: product(16) }));
    const results = await race(contenders, [feed(16), feed(16)], { rounds: 5, warmup: 1, threads: 1 });
    expect(results.map((each) => each.name)).to.deep.equal(['one', 'other']);
    for (const each of results) {
      expect(each.runs).to.have.length(10);
      expect(each.min).to.be.greaterThan(0).and.at.most(each.median);
      expect(each.median).to.equal(median(each.runs));
    }
  });

  it('takes the middle, or the mean of the two middles', () => {
    expect(median([3, 1, 2])).to.equal(2);
    expect(median([4, 1, 3, 2])).to.equal(2.5);
    expect(median([])).to.be.NaN;
  });
});

describe('runtime/profile', () => {
  it('names each kernel with its operator, the costliest first', async () => {
    const rows = await profile(product(256), [feed(256)], { rounds: 4, optimization: 'off', threads: 1 });
    expect(rows.map((row) => row.opType)).to.have.members(['MatMul', 'Relu']);
    for (const row of rows) expect(row).to.include({ runs: 4, provider: 'CPUExecutionProvider' });
    const times = rows.map((row) => row.microseconds);
    expect(times).to.deep.equal(times.toSorted((a, b) => b - a));
  });
});
