import { expect } from 'chai';
import { frontOf, type Result, resultsOf } from '../../src/report/pareto.js';
import type { TargetReport } from '../../src/report/report.js';

function target(
  name: string,
  bytesAfter: number,
  top1?: number,
  facts: Partial<TargetReport> = {},
): TargetReport {
  return {
    ...{ model: 'net.onnx', target: name, precision: 'int8', opset: 21, bytesBefore: 400, bytesAfter },
    ...{ files: [], session: {}, remarks: [], ledger: [], notes: [], names: {} },
    proof: {
      ...{ status: 'passed', executor: 'CPU', samples: 1, synthetic: false, kernels: {}, broken: [] },
      outputs: [{ name: 'y', sqnr: 30, cosine: 1, maxError: 0 }],
      ...(top1 !== undefined && {
        evaluation: { metric: 'top1', source: 'data', samples: 10, float: 0.9, quantized: top1 },
      }),
    },
    ...facts,
  };
}
const names = (all: readonly Result[]): string[] => all.map(({ name }) => name);

describe('what can be had for what', () => {
  it('weighs scores where all have the same metric, with the float model among them', () => {
    const { quality, all } = resultsOf([target('a', 100, 0.88), target('b', 150, 0.89)]);
    expect(quality).to.equal('top1');
    expect(names(all)).to.deep.equal(['a, int8', 'b, int8', 'float']);
  });

  it('weighs decibels where one has no score', () => {
    const { quality, all } = resultsOf([target('a', 100, 0.88), target('b', 150)]);
    expect(quality).to.equal('sqnr');
    expect(all.map((each) => each.quality)).to.deep.equal([30, 30]);
  });

  it('knows what a search for a budget tried, and its times', () => {
    const figures = [{ term: 'size<=1x', value: 1, limit: 1, met: true }];
    const measured = { bytes: 120, sqnr: 35, score: 0.895, latency: { float: 2, ours: 1 } };
    const budget = {
      figures,
      tried: [
        { point: 0, figures },
        { point: 3, figures, measured },
      ],
      latency: { float: 2, ours: 0.5 },
    };
    const { all } = resultsOf([target('a', 100, 0.88, { budget })]);
    expect(all.map(({ kind, bytes, time }) => [kind, bytes, time])).to.deep.equal([
      ['written', 100, 0.25],
      ['tried', 120, 0.5],
      ['float', 400, 1],
    ]);
  });

  it('has on its front what nothing else beats', () => {
    const results = [
      [100, 1],
      [100, 2],
      [120, 2],
      [130, 3],
      [200, 2.5],
    ].map(
      ([bytes, quality]): Result => ({
        name: `${bytes}/${quality}`,
        bytes: bytes!,
        quality: quality!,
        kind: 'written',
      }),
    );
    expect(names(frontOf(results, ({ bytes }) => bytes))).to.deep.equal(['100/2', '130/3']);
    expect(frontOf(results, ({ time }) => time)).to.deep.equal([]);
  });
});
