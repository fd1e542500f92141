/** Mobile targets on the command line: what their providers take, and what fails a build. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { encodeModel, parseModel, type TargetReport } from '../../src/index.js';
import { targetAliases } from '../../targets/index.js';
import { invoke } from './invoke.js';
import { type Workspace, workspace } from './workspace.js';

/** What QNN has no builder for, in the middle. */
const STRANGE = `<ir_version: 10, opset_import: ["": 21]>
g (float[1,16,8,8] x) => (float[1,16,8,8] y) <float[16,16,3,3] w = ["fill": "normal:1:0:0.1"]> {
  [first] a = Conv <pads = [1, 1, 1, 1]> (x, w)
  [odd] e = Sinh (a)
  [last] y = Conv <pads = [1, 1, 1, 1]> (e, w)
}`;

describe('quantc for mobile targets', () => {
  let at: Workspace;
  let strange: string;
  before(() => {
    at = workspace();
    strange = at.path('strange.onnx');
    writeFileSync(strange, encodeModel(parseModel(STRANGE)));
  });
  after(() => at.remove());

  it('explains what the provider takes, and lets the build pass', async () => {
    const { code, out } = await invoke(['explain', at.model, '--target', 'npu-qnn', '--strict']);
    expect(out).to.match(/qnn takes (\d+) of \1 nodes \(100 %\) in 1 partition/);
    expect(code).to.equal(0);
  });

  it('names the rule, the source and the partitions where it leaves something, and fails a strict build', async () => {
    const { code, out, err } = await invoke(['explain', strange, '--target', 'npu-qnn', '--strict']);
    expect(code).to.equal(1);
    expect(out)
      .to.match(/in 2 partitions/)
      .and.to.match(/Partitions\n +3 {2}\S+ … \S+\n/)
      .and.to.match(
        /qnn\/operator: 1 node\n +no builder for Sinh: odd\n +mended by: nothing here\n +source: \S+/,
      );
    expect(err).to.match(/E_COVERAGE[\s\S]*qnn\/operator is broken by odd\s+\(Sinh\)/);
  });

  it('judges a file as it stands', async () => {
    const { out } = await invoke(['explain', at.model, '--target', 'npu-qnn', '--as-is', '--json']);
    const found = JSON.parse(out);
    expect(found).to.include({ target: 'npu-qnn', precision: 'as it stands' });
    expect(found.verdict).to.include({ provider: 'qnn', taken: 0 });
    const rules = new Set(found.verdict.breaks.map(({ rule }: { rule: string }) => rule));
    expect([...rules]).to.include.members(['qnn/static-shapes', 'qnn/quantized']);
    const sized = await invoke(['explain', at.model, '--target', 'npu-nnapi', '--as-is', '--dim', 'N=1']);
    expect(sized.out).to.match(/nnapi takes 6 of 6 nodes \(100 %\) in 1 partition/);
    const idle = at.path('idle.onnx');
    const text = `<ir_version: 10, opset_import: ["": 21, "local": 1]> g (float[1,4] x) => (float[1,4] y) {
      [i] a = Identity (x) [k] c = Constant <value = float {1}> () [f] b = local.twice (a) [n] y = Add (b, c) }
      <domain: "local", opset_import: ["": 21]> twice (p) => (q) { [r] q = Relu (p) }`;
    writeFileSync(idle, encodeModel(parseModel(text)));
    const lazy = JSON.parse(
      (await invoke(['explain', idle, '--target', 'npu-nnapi', '--as-is', '--json'])).out,
    );
    expect(lazy.verdict, 'what ONNX Runtime drops is not judged').to.include({ nodes: 2, taken: 2 });
    const cpu = await invoke(['explain', at.model, '--target', 'cpu', '--as-is']);
    expect([cpu.code, cpu.err]).to.satisfy(
      ([code, err]: [number, string]) => code === 2 && /E_EXPLAIN_PROVIDER/.test(err),
    );
  });

  it('gives each of the mobile targets its own verdict', async () => {
    const { out } = await invoke(['explain', at.model, '--target', 'npu', '--as-is', '--json']);
    const { targets } = JSON.parse(out);
    expect(targets.map(({ target }: { target: string }) => target)).to.deep.equal(targetAliases['npu']);
    const text = await invoke(['explain', at.model, '--target', 'npu']);
    expect(text.out).to.match(/Verdicts\n(?: +npu-\S+ +\S+ +takes \d+ of \d+ nodes.*\n)+$/);
  });

  it('goes on with other targets where one is refused, and prints one document where the build fails', async () => {
    const open = at.path('open.onnx');
    writeFileSync(
      open,
      encodeModel(
        parseModel(
          '<ir_version: 10, opset_import: ["": 21]> g (float[1,L] x) => (float[] y) { [n] y = Relu (x) }',
        ),
      ),
    );
    const words = ['explain', at.model, '--target', 'npu', '--precision', 'a8w8', '--json'];
    const { code, out } = await invoke(words);
    const told = JSON.parse(out).targets.map(({ error, verdict }: { error?: object; verdict?: object }) => [
      error !== undefined,
      verdict !== undefined,
    ]);
    expect(told).to.deep.include([true, false]).and.to.deep.include([false, true]);
    expect(code).to.equal(0);
    const strict = await invoke(['explain', strange, '--target', 'npu', '--as-is', '--json', '--strict']);
    expect(JSON.parse(strict.out).error.code).to.equal('E_COVERAGE');
    expect([strict.code, strict.err]).to.deep.equal([1, '']);
    const all = await invoke(['explain', open, '--target', 'npu-qnn']);
    expect([all.code, /E_DIM_OPEN/.test(all.err)]).to.deep.equal([2, true]);
  });

  it('compiles within a budget on coverage, and reports the verdict', async () => {
    const words = ['compile', at.model, '--target', 'npu-qnn', '--calib', at.data, '--no-cache'];
    const { code, out } = await invoke([
      ...words,
      '--out',
      at.path('taken'),
      '--strict',
      '--budget',
      'coverage>=95%',
    ]);
    expect(code, out).to.equal(0);
    expect(out)
      .to.match(/qnn +takes (\d+) of \1 nodes/)
      .and.to.include('coverage>=95%: 100.00 %');
    const report = JSON.parse(readFileSync(at.path('taken', 'quantc.report.json'), 'utf8'));
    const [{ verdict }] = report.targets as [TargetReport];
    expect(verdict).to.include({ provider: 'qnn', coverage: 1 });
    expect(verdict!.breaks).to.deep.equal([]);
    const file = at.path('taken', report.targets[0].files[0].path);
    const judged = JSON.parse(
      (await invoke(['explain', file, '--target', 'npu-qnn', '--as-is', '--json'])).out,
    );
    expect(judged.verdict, 'the file that was written').to.deep.equal(verdict);
  });

  it('writes nothing where the build is strict, or the budget missed, and something is left', async () => {
    const words = ['compile', strange, '--target', 'npu-qnn', '--no-cache', '--out', at.path('left')];
    const strict = await invoke([...words, '--strict']);
    expect(strict.code).to.equal(1);
    expect(strict.err).to.match(/E_COVERAGE|E_STRICT/);
    const budget = await invoke([...words, '--budget', 'coverage>=99%']);
    expect(budget.code, budget.err).to.equal(1);
    expect(budget.err)
      .to.match(/E_BUDGET/)
      .and.to.include('qnn/operator');
    expect(existsSync(at.path('left', 'quantc.report.json'))).to.equal(false);
    const cpu = await invoke([
      'compile',
      at.model,
      '--no-cache',
      '--out',
      at.path('left'),
      '--budget',
      'coverage>=99%',
    ]);
    expect([cpu.code, /E_BUDGET_TARGET/.test(cpu.err)]).to.deep.equal([2, true]);
  });
});
