import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { readModel } from '../../src/index.js';
import type { Report } from '../../src/report/report.js';
import { parseModel } from '../../src/text/parse.js';
import { invoke } from './invoke.js';
import { type Workspace, workspace } from './workspace.js';

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('quantc compile', () => {
  let at: Workspace;
  before(() => {
    at = workspace();
  });
  after(() => at.remove());

  const compile = (out: string, ...more: string[]) =>
    invoke(['compile', at.model, '--out', at.path(out), '--calib', at.data, ...more]);

  it('writes a proven file and its report, and says what it did', async () => {
    const input = sha256(at.model);
    const { code, out, err } = await compile('plain', '--eval', at.data, '--target', 'cpu,cpu-x64-avx2');
    expect([code, err]).to.deep.equal([0, '']);
    for (const words of ['size', 'score', 'SQNR', 'top1', 'passed', 'QLinearConv', 'Written', 'Next'])
      expect(out).to.include(words);
    expect(readdirSync(at.path('plain')).sort()).to.deep.equal([
      'net.cpu-x64-avx2.onnx',
      'net.cpu-x64.onnx',
      'quantc.report.json',
    ]);
    const report = JSON.parse(readFileSync(at.path('plain', 'quantc.report.json'), 'utf8')) as Report;
    expect(report.targets.map(({ target }) => target)).to.deep.equal(['cpu-x64', 'cpu-x64-avx2']);
    for (const { files, bytesAfter, bytesBefore, ledger, proof } of report.targets) {
      expect(files.map(({ sha256: digest }) => digest)).to.deep.equal(
        files.map(({ path }) => sha256(at.path('plain', path))),
      );
      expect(bytesAfter / bytesBefore).to.be.below(0.4);
      expect(ledger.map(({ precision }) => precision)).to.deep.equal(Array(6).fill('int8'));
      expect(proof.evaluation).to.include({ metric: 'top1', samples: 12 });
      const first = ledger.find(({ node }) => node === 'first')!;
      expect(first.sqnr).to.be.above(20);
      expect(first.cosine).to.be.within(0.99, 1);
      expect(first.saturation).to.be.within(0, 0.01);
      expect(first.rangeUse).to.be.within(0.5, 1);
    }
    expect(readModel(at.path('plain', 'net.cpu-x64.onnx')).producerName).to.equal('quantc');
    expect(sha256(at.model)).to.equal(input);
  });

  it('prints the report as the only thing with --json, the same bytes with any number of threads', async () => {
    const runs = [
      await compile('one', '--json', '--threads', '1'),
      await compile('two', '--json', '--threads', '2'),
      await compile('two', '--json', '--threads', '2'),
    ];
    expect(runs.map(({ code, err }) => [code, err])).to.deep.equal(Array(3).fill([0, '']));
    const [first, ...others] = runs.map(({ out }) => JSON.parse(out) as Report);
    for (const other of others) {
      expect(other.targets[0]!.files).to.deep.equal(first!.targets[0]!.files);
      expect(other.targets[0]!.ledger.map(({ kernel }) => kernel)).to.deep.equal(
        first!.targets[0]!.ledger.map(({ kernel }) => kernel),
      );
    }
    expect(readFileSync(at.path('one', 'net.cpu-x64.onnx'))).to.deep.equal(
      readFileSync(at.path('two', 'net.cpu-x64.onnx')),
    );
  });

  it('ends with 1 for a warning under --strict, and leaves nothing', async () => {
    const { code, err } = await invoke([
      'compile',
      at.model,
      '--out',
      at.path('strict', 'a'),
      '--precision',
      'int8',
      '--strict',
    ]);
    expect([code, err.split(':')[0]]).to.deep.equal([1, 'E_STRICT']);
    expect(readdirSync(at.folder)).not.to.include('strict');
  });

  it('keeps what was there when it fails', async () => {
    mkdirSync(at.path('kept'));
    writeFileSync(at.path('kept', 'quantc.report.json'), 'mine');
    const { code, err } = await compile('kept', '--exclude', 'nothing*');
    expect([code, err.split(':')[0]]).to.deep.equal([2, 'E_EXCLUDE_NOTHING']);
    expect(readdirSync(at.path('kept'))).to.deep.equal(['quantc.report.json']);
    expect(readFileSync(at.path('kept', 'quantc.report.json'), 'utf8')).to.equal('mine');
  });

  it('never writes to the model, even through a link', async () => {
    mkdirSync(at.path('linked'));
    symlinkSync(at.model, at.path('linked', 'net.cpu-x64.onnx'));
    const before = readFileSync(at.model);
    const { code, err } = await compile('linked');
    expect([code, err.split(':')[0]]).to.deep.equal([2, 'E_OUT_IS_INPUT']);
    expect(readFileSync(at.model)).to.deep.equal(before);
    expect(readdirSync(at.path('linked'))).to.deep.equal(['net.cpu-x64.onnx']);
  });

  it('says so when the folder cannot be written to', async () => {
    const { code, err } = await compile('net.onnx');
    expect([code, err.split(':')[0]]).to.deep.equal([2, 'E_OUT_FOLDER']);
  });

  it('keeps excluded nodes float, and says by which pattern', async () => {
    const { code, out } = await compile('excluded', '--exclude', 'fir*', '--json');
    const [report] = (JSON.parse(out) as Report).targets;
    expect(code).to.equal(0);
    expect(report!.ledger.find(({ node }) => node === 'first')).to.include({
      precision: 'float',
      reason: 'kept float by the pattern "fir*"',
    });
  });

  it('follows the passes on stderr, and writes graphs that can be read again', async () => {
    const trace = await invoke(
      ['compile', at.model, '--out', at.path('traced'), '--calib', at.data, '--json'],
      {
        QUANTC_TRACE: '3',
        QUANTC_TRACE_DIR: at.path('graphs'),
      },
    );
    expect(trace.code).to.equal(0);
    expect(trace.err)
      .to.match(/^\d{3} insert-qdq +[\d.]+ ms {2}\d+ changes/m)
      .and.to.include('+ first: QLinearConv');
    JSON.parse(trace.out);
    const dumps = readdirSync(at.path('graphs', 'cpu-x64'));
    const last = dumps.find((name) => name.endsWith('insert-qdq.onnxtxt'))!;
    expect(last).to.match(/^\d{3}-/);
    expect(readFileSync(at.path('graphs', 'cpu-x64', last), 'utf8')).to.include('QuantizeLinear');
    const quiet = await invoke(['explain', at.model], { QUANTC_TRACE: '1' });
    expect(quiet.err).to.include('plan-integer-kernels').and.not.to.include('+ ');
  });

  it('shows others what it made: explain, inspect, print and compare', async () => {
    const emitted = at.path('plain', 'net.cpu-x64.onnx');
    const json = async (...words: string[]) => {
      const { code, out, err } = await invoke([...words, '--json']);
      expect([code, err]).to.deep.equal([0, '']);
      return JSON.parse(out);
    };
    const explained = await json('explain', at.model);
    expect(explained).to.include({ model: 'net.onnx', target: 'cpu-x64', precision: 'int8' });
    expect(explained.nodes.map(({ kernel }: { kernel: string }) => kernel)).to.include('QLinearConv');
    expect((await invoke(['explain', at.model, '--all'])).out)
      .to.include('first')
      .and.include('QLinearConv');
    const dynamic = await invoke(['explain', at.model, '--precision', 'int8-dynamic']);
    expect(dynamic.out).to.include('Left in float').and.include('no integer kernel for GlobalAveragePool');

    const facts = await json('inspect', emitted, '--largest', '2');
    expect(facts.operators).to.include({ QuantizeLinear: 5, Conv: 2 });
    expect(facts.inputs).to.deep.equal([{ name: 'x', type: 'float[N,16,24,24]' }]);
    expect(facts.constants.largest).to.have.length(2);

    const text = await invoke(['print', at.model, '--elide']);
    expect(text.out).to.include('sha256');
    const whole = parseModel((await invoke(['print', at.model])).out);
    expect([...whole.graph.nodes()].map(({ name }) => name)).to.include('head');
    expect((await invoke(['print', at.model, '--canonical', '--elide'])).code).to.equal(0);

    const compared = await json(
      'compare',
      at.model,
      emitted,
      '--eval',
      at.data,
      '--rounds',
      '2',
      '--threads',
      '1',
    );
    expect(compared).to.include({ samples: 12, synthetic: false });
    expect(compared.outputs[0].sqnr).to.be.above(20);
    expect(compared.layers.length, 'layers are found through the report').to.be.at.least(4);
    const layer = compared.layers.find(({ node }: { node: string }) => node === 'first');
    expect(layer).to.include({ name: 'r', opType: 'Conv', quantized: true });
    expect(layer.grid.rangeUse).to.be.above(0.5);
    const told = await invoke([
      'compare',
      at.model,
      emitted,
      '--eval',
      at.data,
      '--rounds',
      '1',
      '--layers',
      '2',
    ]);
    expect(told.out).to.include('cut off').and.include('steps used').and.include('the worst 2');
    expect(compared.latency).to.have.length(2);
    const same = await invoke(['compare', at.model, at.model, '--rounds', '1']);
    expect(same.out).to.include('exact').and.include('0 differ').and.include('random sample');
  });

  it('lists targets and passes', async () => {
    const targets = JSON.parse((await invoke(['targets', '--json'])).out);
    expect(targets.targets.map(({ name }: { name: string }) => name)).to.include('cpu-arm64');
    expect((await invoke(['targets'])).out).to.include('GlobalAveragePool');
    const passes = JSON.parse((await invoke(['passes', '--json'])).out);
    expect(passes['int8'].map(({ name }: { name: string }) => name)).to.include('insert-qdq');
    expect((await invoke(['passes'])).out).to.include('fold-batch-normalization');
  });
});
