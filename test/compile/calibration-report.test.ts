/** What a report keeps of calibration: quantized values alone, the worst first, and no more than it has room for. */
import { expect } from 'chai';
import { CalibrationRecord } from '../../src/compile/calibration-report.js';
import type { Value } from '../../src/ir/graph.js';
import { Ledger } from '../../src/pipeline/ledger.js';
import type { Observation } from '../../src/pipeline/pass.js';
import { parseModel } from '../../src/text/parse.js';

const sketch = { min: 0, max: 1, total: 4, zeros: 0, start: 0, width: 0.5, counts: [1, 3] };
const grid = { min: 0, max: 1, bits: 8 };
const NODES = 60;

/** x → Relu → … → y, with the error of each node, and what calibration saw of each value. */
function chain(errors: readonly (number | undefined)[]) {
  const names = ['x', ...errors.map((_, at) => (at === errors.length - 1 ? 'y' : `v${at}`))];
  const lines = errors.map((_, at) => `  [n${at}] ${names[at + 1]} = Relu(${names[at]})`);
  const model = parseModel(
    `<ir_version: 10, opset_import: ["" : 21]>\ng (float[4] x) => (float[4] y) {\n${lines.join('\n')}\n}`,
  );
  const ledger = new Ledger();
  const seen = new Map<Value, Observation>();
  const record = new CalibrationRecord();
  for (const [at, node] of [...model.graph.nodes()].entries()) {
    ledger.record(node, { sqnr: errors[at] });
    seen.set(node.outputs[0]!, { min: 0, max: 1, sketch });
  }
  seen.set(model.graph.inputs[0]!, { min: 0, max: 1, sketch });
  record.add(seen);
  const grids = new Map(names.map((name) => [name, grid]));
  return { record, ledger, grids };
}

describe('calibration in a report', () => {
  it('has the values whose layers lose most, worst first, and tells how many there are', () => {
    const { record, ledger, grids } = chain(Array.from({ length: NODES }, (_, at) => 60 - at));
    const found = record.report('auto', grids, ledger)!;
    expect(found.values).to.equal(NODES + 1);
    expect(found.histograms).to.have.length(48);
    expect(found.histograms[0]).to.deep.equal({
      ...{ value: 'y', node: 'n59', low: 0, high: 1, bits: 8 },
      sketch,
    });
  });

  it('takes the error of the node before where a kernel computes both', () => {
    const { record, ledger, grids } = chain([10, undefined, 30]);
    const found = record.report('auto', grids, ledger)!.histograms;
    expect(found.map(({ value, node }) => [value, node])).to.deep.equal([
      ['v0', 'n0'],
      ['v1', 'n0'],
      ['y', 'n2'],
      ['x', undefined],
    ]);
  });

  it('is absent where nothing was quantized, or nothing was counted', () => {
    const { record, ledger, grids } = chain([10]);
    expect(record.report('auto', new Map(), ledger)).to.equal(undefined);
    expect(record.report('auto', undefined, ledger)).to.equal(undefined);
    expect(new CalibrationRecord().report('minmax', grids, ledger)).to.equal(undefined);
  });
});
