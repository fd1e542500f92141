import { expect } from 'chai';
import type { DataSet } from '../../src/calibration/dataset.js';
import { halfOf } from '../../src/compile/halves.js';
import { Tensor } from '../../src/index.js';
import { memoryData } from '../calibration/memory-data.js';

async function seen(data: DataSet): Promise<number[]> {
  const values: number[] = [];
  for await (const { feeds, start, count, padding } of data.batches()) {
    expect(start).to.equal(values.length);
    values.push(...feeds['x']!.toNumbers().slice(0, count));
    expect(feeds['x']!.count).to.equal(count + padding);
  }
  return values;
}

describe('halfOf', () => {
  const x = Tensor.floats([0, 1, 2, 3, 4, 5, 6], [7]);
  const labels = [10, 11, 12, 13, 14, 15, 16];

  it('shares samples out between two sets, labels with them', async () => {
    const data = memoryData({ x }, { labels, batch: 4 });
    expect(await seen(halfOf(data, 0))).to.deep.equal([0, 2, 4, 6]);
    expect(await seen(halfOf(data, 1))).to.deep.equal([1, 3, 5]);
    expect([...halfOf(data, 1).labels!]).to.deep.equal([11, 13, 15]);
    expect(halfOf(data, 0).digest()).to.not.equal(halfOf(data, 1).digest());
  });

  it('shares out whole feeds where the batch is fixed', async () => {
    const data = memoryData({ x }, { labels, batch: 2, exact: true });
    expect(await seen(halfOf(data, 0))).to.deep.equal([0, 1, 4, 5]);
    const second = halfOf(data, 1);
    expect([await seen(second), second.count]).to.deep.equal([[2, 3, 6], 3]);
    expect([...second.labels!]).to.deep.equal([12, 13, 16]);
  });

  it('gives its first samples', async () => {
    const half = halfOf(memoryData({ x }, { labels }), 1);
    expect(await seen(half.first(2))).to.deep.equal([1, 3]);
    expect([...half.first(2).labels!]).to.deep.equal([11, 13]);
    expect(half.first(9).count).to.equal(3);
  });
});
