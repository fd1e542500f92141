/** Parts of the page that only some reports have: histograms, trainings, sensitivity, times, refusals. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { reportPage } from '../../src/report/html/page.js';
import { type Report, reportText, type TargetReport } from '../../src/report/report.js';
import { readSensitivity } from '../../src/report/sensitivity.js';
import { readTraining } from '../../src/report/training.js';

const HOSTILE = '</script><img src=x onerror=alert(1)>';
const sketch = { min: -1, max: 3, total: 100, zeros: 40, start: -1, width: 1, counts: [10, 20, 25, 5] };

function target(facts: Partial<TargetReport> = {}): TargetReport {
  return {
    ...{ model: 'net.onnx', target: 'cpu', precision: 'int8', opset: 21, bytesBefore: 400, bytesAfter: 100 },
    ...{ files: [], session: {}, remarks: [], notes: [], names: {} },
    proof: {
      ...{ status: 'passed', executor: 'CPU', samples: 1, synthetic: false, kernels: {}, broken: [] },
      outputs: [{ name: 'y', sqnr: 30, cosine: 1, maxError: 0 }],
    },
    ledger: [{ node: 'Conv_0', opType: 'Conv', graph: '', precision: 'int8', sqnr: 12.5, saturation: 0.05 }],
    ...facts,
  };
}
const report = (...targets: TargetReport[]): Report => ({ quantc: '0.1.0', targets });
const histogram = { value: 'x', node: 'Conv_0', low: -1, high: 2, bits: 8, sketch };

describe('sections of the report page', () => {
  it('name the method to go on with, and nothing where none is needed', () => {
    const next = {
      because: `it lost 2 points of ${HOSTILE}`,
      command: "quantc finetune 'net.onnx' --static",
    };
    const page = reportPage(report(target({ next })));
    expect(page).to.include('Falls short').and.to.include('quantc finetune');
    expect(page).not.to.include(HOSTILE);
    expect(reportPage(report(target()))).not.to.include('Falls short');
  });

  it('draw what calibration saw, with the grid, and say how many there are', () => {
    const calibration = { ranges: 'percentile', values: 9, histograms: [histogram] };
    const page = reportPage(report(target({ calibration })));
    for (const said of [
      'The 1 of 9 quantized activations',
      'Ranges by percentile',
      'grid -1 … 2',
      'seen -1 … 3',
      '5 % cut off',
      '40 % zeros',
    ])
      expect(page, said).to.include(said);
    expect(page.match(/class="histogram"/g)).to.have.length(1);
    expect(reportPage(report(target()))).not.to.include('What calibration saw');
  });

  it('tell what plugins did, those that did nothing as well', () => {
    const changes = Array.from({ length: 100 }, (_, at) => `joined Neg_${at} ${HOSTILE}`);
    const plugins = [
      {
        plugin: 'own-passes',
        passes: [
          { pass: 'join', runs: 3, changed: 250, declined: 1, changes, declines: ['Neg_7 is read twice'] },
          { pass: 'silent', runs: 1, changed: 1, declined: 0, changes: [], declines: [] },
        ],
      },
      { plugin: 'own-device', passes: [], target: 'npu', observer: 'tails' },
      { plugin: 'idle', passes: [] },
    ];
    const page = reportPage(report(target({ plugins })));
    for (const said of [
      'What plugins did',
      '250 changes',
      'and 230 more',
      'Neg_7 is read twice',
      '1 change <span',
      'target <code>npu</code>',
      'ranges <code>tails</code>',
      'no pass of it runs here',
    ])
      expect(page, said).to.include(said);
    expect(page.match(/joined Neg_/g)).to.have.length(20);
    expect(page).not.to.include(HOSTILE);
    expect(reportPage(report(target()))).not.to.include('What plugins did');
  });

  it('leave out what is of least interest where all would be too long, and say so', () => {
    const long = 'A reason that is not the same for any two nodes, as those of providers are, with number';
    const large = (nodes: number): TargetReport =>
      target({
        ledger: Array.from({ length: nodes }, (_, at) => ({
          ...{ node: `/model/layers.${at}/attention/projection/Conv_${at}`, opType: 'Conv', graph: '' },
          ...(at % 10 === 0
            ? { precision: 'int8', sqnr: 10 + (at % 50), saturation: 0 }
            : { precision: 'float', reason: at % 3 === 0 ? `${long} ${at}` : undefined }),
          ...(at === nodes - 1 && {
            suggestion: { kind: 'protect', text: 'keep the very last one' } as never,
          }),
        })) as TargetReport['ledger'],
        calibration: {
          ...{ ranges: 'mse', values: 200 },
          histograms: Array.from({ length: 48 }, (_, at) => ({ ...histogram, value: `value-${at}-` })),
        },
      });
    const small = reportPage(report(large(300)));
    expect(small).not.to.include('Left out');
    expect(small.match(/class="histogram"/g)).to.have.length(48);
    const pages = [4, 10].map((count) =>
      reportPage(report(...Array.from({ length: count }, () => large(6000)))),
    );
    for (const page of pages) {
      expect(page.length).to.be.below(1.5e6);
      expect(page).to.include('Left out, so that the page stays small: ');
      expect(page).to.include('keep the very last one').and.to.include('value-0-');
    }
    const [four, ten] = pages as [string, string];
    expect(four)
      .to.match(/Every node: 6000, the \d+ of most interest/)
      .and.to.match(/<p class="left-out">[^<]*\d+ histograms, and \d+ rows/);
    expect(four.match(/class="histogram"/g)!.length % 4).to.equal(0);
    expect(ten.length).to.be.above(5e5);
  });

  it('draw learning curves, of the report and of files', () => {
    const folder = mkdtempSync(join(tmpdir(), 'quantc-training-'));
    const file = join(folder, 'net.grids.json');
    const curve = Array.from({ length: 1000 }, (_, step) => ({
      step,
      loss: 1 / (step + 1),
      parts: {},
      rate: 1,
      norm: 1,
    }));
    writeFileSync(
      file,
      JSON.stringify({ bits: 3, freeze: 'ov', heldOut: { before: 0.5, after: 0.25 }, curve, weights: [] }),
    );
    const training = readTraining(file);
    expect(training.steps).to.equal(1000);
    expect(training.curve).to.have.length(200);
    expect(training.curve[0]!.step).to.equal(0);
    expect(training.curve.at(-1)!.step).to.equal(999);
    const said = '1000 steps, weights of 3 bits, ov held as rounded';
    expect(reportPage(report(target({ training })))).to.include(said);
    expect(reportPage(report(target()), { training: [training] })).to.include(said);
    writeFileSync(file, '{"curve": 3}');
    expect(() => readTraining(file))
      .to.throw()
      .with.property('code', 'E_REPORT_TRAINING');
    expect(() => readSensitivity(file))
      .to.throw()
      .with.property('code', 'E_REPORT_SENSITIVITY');
    rmSync(folder, { recursive: true });
  });

  it('draw sensitivity maps of layers and of weights', () => {
    const layer = { node: 'Conv_0', opType: 'Conv', alone: 25, without: null, saves: 3 };
    const layers = {
      model: 'net.onnx',
      target: 'cpu',
      unit: 'dB' as const,
      samples: 8,
      whole: 20,
      layers: [layer],
    };
    const figures = [
      { bits: 2, bytes: 10, noise: 0.5 },
      { bits: 4, bytes: 20, noise: 0.005 },
    ];
    const weights = [{ nodes: ['MatMul_1'], weight: 'w', role: 'v of layer 0', figures }];
    const bits = { model: 'net.onnx', metric: 'kl' as const, samples: 8, bits: [2, 4], weights };
    const page = reportPage(report(target()), { sensitivity: [layers, bits] });
    for (const said of [
      'with all in integers: 20.0 dB',
      '25.0 dB',
      'v of layer 0',
      '--heat:100%',
      '--heat:0%',
      '0.50',
    ])
      expect(page, said).to.include(said);
  });

  it('tell times that were raced, and targets that refused', () => {
    const own = target();
    const refused = [{ target: 'npu', code: 'E_NO', message: 'it cannot', hint: 'Take another.' }];
    const page = reportPage(
      { ...report(own, target({ target: 'b', bytesAfter: 90 })), refused },
      {
        latencies: new Map([[own, { float: 2, ours: 1 }]]),
      },
    );
    for (const said of [
      'Time of one sample: 0.50× of float',
      '0.50× (1.00 ms)',
      'it cannot',
      'Take another.',
    ])
      expect(page, said).to.include(said);
  });

  it('show figures that JSON has none for', () => {
    const exact = target({
      ledger: [{ node: 'a', opType: 'Add', graph: '', precision: 'float', sqnr: Number.POSITIVE_INFINITY }],
    });
    const evaluation = {
      metric: 'sqnr',
      source: 'd',
      samples: 2,
      float: Number.POSITIVE_INFINITY,
      quantized: 13.5,
    };
    const text = reportText(report({ ...exact, proof: { ...exact.proof, evaluation } }));
    const page = reportPage(JSON.parse(text));
    expect(page).to.include('Score: signal to noise').and.to.include('13.5 dB');
    // The script says `undefined` as scripts do.
    expect(page.replace(/<script>[\s\S]*<\/script>/, '')).not.to.match(/NaN|Infinity|undefined/);
  });

  it('let no name become markup, wherever it stands', () => {
    const marked = (text: string): number => text.match(/<[a-z!/]/gi)!.length;
    const page = (name: string): string => {
      const verdict = {
        ...{ provider: name, nodes: 2, taken: 1, coverage: 0.5, partitions: [] },
        breaks: [{ node: name, op: name, rule: name, reason: name, source: name, mend: name }],
      } as unknown as TargetReport['verdict'];
      const layer = { node: name, opType: name, alone: 25, without: 3, saves: 3 };
      return reportPage(
        report(
          target({
            ...{ model: name, target: name, shape: name, precision: name, verdict },
            files: [{ path: name, bytes: 1 }],
            remarks: [name],
            notes: [{ level: 'warning', code: name, message: name }],
            calibration: { ranges: name, values: 1, histograms: [{ ...histogram, value: name, node: name }] },
            training: {
              freeze: name,
              loss: name,
              steps: 2,
              heldOut: { before: 1, after: 2 },
              curve: [
                { step: 0, loss: 1 },
                { step: 1, loss: 2 },
              ],
            },
            ledger: [
              { node: name, opType: name, graph: name, precision: name, kernel: name, reason: name, sqnr: 3 },
            ],
          }),
          target(),
        ),
        { sensitivity: [{ model: name, target: name, unit: 'dB', samples: 1, whole: 3, layers: [layer] }] },
      );
    };
    expect(marked(page(HOSTILE))).to.equal(marked(page('n')));
    expect(page(HOSTILE)).not.to.include('<img');
  });
});
