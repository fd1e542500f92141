import { expect } from 'chai';
import { difference, differenceText } from '../../src/report/difference.js';
import type { Report, TargetReport } from '../../src/report/report.js';

function target(name: string, facts: Partial<TargetReport> = {}): TargetReport {
  return {
    model: 'net.onnx',
    target: name,
    precision: 'int8',
    opset: 21,
    bytesBefore: 4e6,
    bytesAfter: 1e6,
    files: [],
    session: {},
    remarks: [],
    proof: {
      status: 'passed',
      executor: 'CPU',
      samples: 1,
      synthetic: false,
      outputs: [{ name: 'y', sqnr: 30, cosine: 1, maxError: 0 }],
      kernels: {},
      broken: [],
      evaluation: { metric: 'top1', source: 'data', samples: 10, float: 0.9, quantized: 0.89 },
    },
    ledger: [
      { node: 'a', opType: 'Conv', graph: '', precision: 'int8' },
      { node: 'b', opType: 'Conv', graph: '', precision: 'int8' },
    ],
    notes: [],
    names: {},
    ...facts,
  };
}
const report = (...targets: TargetReport[]): Report => ({ quantc: '0.1.0', targets });

describe('difference of reports', () => {
  it('is nothing between a report and itself', () => {
    const one = report(target('cpu'), target('webgpu'));
    expect(difference(one, one).map(({ state }) => state)).to.deep.equal(['same', 'same']);
    expect(differenceText(difference(one, one))).to.equal('Nothing changed.\n');
  });

  it('tells figures that changed, and which are worse', () => {
    const { proof, ledger } = target('cpu');
    const later = target('cpu', {
      bytesAfter: 0.9e6,
      proof: {
        ...proof,
        outputs: [{ ...proof.outputs[0]!, sqnr: 28 }],
        evaluation: { ...proof.evaluation!, quantized: 0.87 },
      },
      ledger: [ledger[0]!, { ...ledger[1]!, precision: 'float' }],
    });
    const [change] = difference(report(target('cpu')), report(later));
    expect(change!.figures).to.deep.equal([
      { what: 'size', before: '1 MB', after: '900 kB', worse: false },
      { what: 'top1', before: '89.00 %', after: '87.00 %', worse: true },
      { what: 'output y', before: '30.0 dB', after: '28.0 dB', worse: true },
    ]);
    expect(change!.nodes).to.deep.equal([{ what: 'b', before: 'int8', after: 'float' }]);
    expect(differenceText([change!])).to.equal(`### net.onnx → cpu

| | before | after | |
|---|---|---|---|
| size | 1 MB | 900 kB |  |
| top1 | 89.00 % | 87.00 % | worse |
| output y | 30.0 dB | 28.0 dB | worse |

- \`b\`: int8 → float
`);
  });

  it('takes equality for the best, and less perplexity for better', () => {
    const { proof } = target('cpu');
    const evaluation = { ...proof.evaluation!, metric: 'perplexity' };
    const at = (sqnr: number | null, quantized: number) =>
      report(
        target('cpu', {
          proof: {
            ...proof,
            outputs: [{ ...proof.outputs[0]!, sqnr }],
            evaluation: { ...evaluation, quantized },
          },
        }),
      );
    const worse = (before: Report, after: Report) =>
      difference(before, after)[0]!.figures.map(({ what, worse: is }) => [what, is]);
    expect(worse(at(null, 20), at(90, 19))).to.deep.equal([
      ['perplexity', false],
      ['output y', true],
    ]);
    expect(worse(at(90, 19), at(null, 20))).to.deep.equal([
      ['perplexity', true],
      ['output y', false],
    ]);
  });

  it('tells targets that came and went, and keeps names within their cells', () => {
    const text = differenceText(difference(report(target('cpu')), report(target('webgpu'))));
    expect(text).to.equal('### net.onnx → webgpu: added\n\n### net.onnx → cpu: removed\n');
    const { proof } = target('cpu');
    const named = (sqnr: number) =>
      report(
        target('cpu', { proof: { ...proof, outputs: [{ ...proof.outputs[0]!, name: 'a|b\nc', sqnr }] } }),
      );
    expect(differenceText(difference(named(30), named(20)))).to.include(
      '| output a\\|b c | 30.0 dB | 20.0 dB | worse |',
    );
  });
});
