import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { sensitivity } from '../../src/compile/sensitivity.js';
import { type CompileEvent, type CompileRequest, compile, type QuantcError } from '../../src/index.js';

const folder = join(import.meta.dirname, '..', '..', 'models', 'shapes-cnn');

describe('budgets', function () {
  this.timeout(120_000);
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'quantc-budget-test-'));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const request = (
    out: string,
    budget: readonly string[],
    more: Partial<CompileRequest> = {},
  ): CompileRequest => ({
    model: join(folder, 'model.onnx'),
    calib: folder,
    algorithms: ['none'],
    out: join(root, out),
    cache: join(root, 'cache'),
    threads: 1,
    budget,
    ...more,
  });
  const failure = (asked: CompileRequest): Promise<QuantcError> =>
    compile(asked).then(
      () => expect.fail('it compiled'),
      (error: QuantcError) => error,
    );

  it('finds a mix where all integers lose too much and all float is too large, and then knows it', async () => {
    const budget = ['sqnr>=40dB and size<=0.4x'];
    const attempts = async (out: string) => {
      const events: CompileEvent[] = [];
      const start = performance.now();
      const [report] = await compile(request(out, budget, { onEvent: (event) => events.push(event) }));
      return {
        report: report!,
        compiled: events.filter(({ kind }) => kind === 'attempt').length,
        searched: events.some((event) => event.kind === 'stage' && event.stage === 'search'),
        bytes: readFileSync(join(root, out, report!.files[0]!.path)),
        seconds: (performance.now() - start) / 1000,
      };
    };
    const first = await attempts('first');
    const { budget: met, mix, bytesAfter, bytesBefore } = first.report;
    expect(met!.figures.map(({ term, met }) => [term, met])).to.deep.equal([
      ['sqnr>=40dB', true],
      ['size<=0.4x', true],
    ]);
    expect(bytesAfter / bytesBefore).to.be.at.most(0.4);
    const integers = mix!.front[mix!.chosen]!.integerNodes;
    expect(integers).to.be.above(0).and.below(mix!.front[0]!.integerNodes);
    const allIntegers = met!.tried.find(({ point }) => point === 0)!;
    expect(allIntegers.figures[0]).to.include({ met: false });
    expect(first.searched).to.equal(true);
    expect(first.compiled).to.be.above(1);

    const second = await attempts('second');
    expect(second.compiled).to.equal(1);
    expect(second.searched).to.equal(false);
    expect(second.bytes.equals(first.bytes)).to.equal(true);
    expect(second.report.budget).to.deep.equal(first.report.budget);
    expect(readdirSync(join(root, 'second')).sort()).to.deep.equal([
      'model.cpu-x64.onnx',
      'quantc.report.json',
    ]);
  });

  it('stops at once where all integers do, and goes on where it was when it is stopped', async () => {
    const [report] = await compile(request('easy', ['sqnr>=20dB', 'size<=0.3x']));
    expect(report!.mix!.chosen).to.equal(0);
    expect(report!.budget!.tried).to.have.length(1);
    const controller = new AbortController();
    let seen = 0;
    const stopped = await failure(
      request('stopped', ['sqnr>=41dB'], {
        cache: join(root, 'other'),
        signal: controller.signal,
        onEvent: (event) => {
          if (event.kind === 'share' && event.stage === 'search' && ++seen === 5) controller.abort();
        },
      }),
    );
    expect(stopped.code).to.equal('E_ABORTED');
    const kept = readdirSync(join(root, 'other')).length;
    expect(kept).to.be.at.least(4);
    expect(existsSync(join(root, 'stopped'))).to.equal(false);
  });

  it('ends with E_BUDGET where no mix will do, naming the nearest and what was tried, and writes nothing', async () => {
    const error = await failure(request('never', ['sqnr>=90dB, size<=0.3x']));
    expect([error.code, error.kind]).to.deep.equal(['E_BUDGET', 'proof']);
    expect(error.message)
      .to.include('all integers')
      .and.include('all float')
      .and.match(/sqnr>=90dB: \d+\.\d dB, not met/);
    expect(existsSync(join(root, 'never'))).to.equal(false);
  });

  it('refuses a budget that its data cannot decide before anything is run', async () => {
    const events: CompileEvent[] = [];
    const error = await failure(request('none', ['top1>=-1%'], { onEvent: (event) => events.push(event) }));
    expect([error.code, error.kind], String(error.stack)).to.deep.equal(['E_BUDGET_DATA', 'usage']);
    expect(events.filter(({ kind }) => kind === 'pass')).to.deep.equal([]);
    expect((await failure(request('none', ['top1>=-1%,,']))).code).to.equal('E_BUDGET_SYNTAX');
  });

  it('shares evaluation data out where there are no others, and says so', async () => {
    const { calib: _, ...rest } = request('shared', ['top1>=-50%'], { eval: folder });
    const [report] = await compile(rest);
    expect(report!.proof.evaluation!.samples).to.equal(600);
    expect(report!.notes.find(({ code }) => code === 'W_EVAL_SPLIT')!.message).to.include('600 samples');
    expect(report!.precision).to.equal('int8');
  });

  it('measures each layer by itself and taken out, the worst first', async () => {
    const shares: number[] = [];
    const asked = {
      model: join(folder, 'model.onnx'),
      calib: folder,
      cache: join(root, 'cache'),
      samples: 16,
    };
    const found = await sensitivity({ ...asked, onProgress: (share) => shares.push(share) });
    expect(found).to.include({ unit: 'dB', metric: 'kl', samples: 16, float: null });
    expect(found.layers.length).to.be.above(5);
    const alone = found.layers.map((layer) => layer.alone ?? Number.POSITIVE_INFINITY);
    expect(alone).to.deep.equal(alone.toSorted((a, b) => a - b));
    expect(Math.max(...found.layers.map(({ without }) => without!))).to.be.above(found.whole!);
    expect(shares.at(-1)).to.equal(1);
    const scored = await sensitivity({ ...asked, eval: folder });
    expect(scored).to.include({ unit: 'wrong', metric: 'wrong' });
  });
});
