import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { no, QuantcError, rewrite, Tensor, value } from '../../src/index.js';
import { expectGolden, expectSameOutputs, expectText, graphText, runPass } from '../../src/testing/index.js';

const NET = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,4] x) => (float[N,4] y) {
  a = Neg (x)
  b = Neg (a)
  y = Abs (b)
}`;
/** Neg(Neg(x)) → x. */
const cancel = rewrite({
  name: 'cancel',
  doc: 'Neg(Neg(x)) → x',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Neg(op.Neg($.x)),
  check: ({ x }) => x.dtype === 'float' || no(`${x.name} is no float`),
  replace: ({ x }) => x,
});
/** Wrong: Neg(Neg(x)) → Neg(x) is the same only behind Abs. */
const wrong = rewrite({
  name: 'wrong',
  doc: 'Neg(Neg(x)) → Exp(x)',
  bind: { x: value },
  pattern: (op, $) => op.Neg(op.Neg($.x)),
  replace: ({ x }, op) => op.Exp(x),
});

async function failure(attempt: () => unknown): Promise<QuantcError> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof QuantcError) return error;
    throw error;
  }
  return expect.fail('nothing was thrown');
}

describe('test kit', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-kit-test-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('runs a pass over a text, and tells what it did', async () => {
    const run = await runPass(NET, cancel);
    expect([run.fired, run.changes, run.declines]).to.deep.equal([true, ['Neg(b): cancel'], []]);
    expectText(
      run.text,
      `<
  ir_version: 10,
  opset_import: ["": 21]
>
g (float[N,4] x) => (float[N,4] y) {
  y = Abs (x)
}
`,
    );
    const again = await runPass(run.text, cancel);
    expect(again.fired).to.equal(false);
    const declined = await runPass(NET.replaceAll('float', 'double'), cancel);
    expect(declined.declines).to.deep.equal(['Neg(b): x is no float']);
  });

  it('compares outputs, of what was run and of texts, with the feeds that are given', async () => {
    await expectSameOutputs(NET, (await runPass(NET, cancel)).model);
    const { model } = await runPass(NET, wrong);
    const error = await failure(() => expectSameOutputs(NET, model));
    expect(error.code).to.equal('E_TEST_OUTPUTS');
    expect(error.message).to.match(/y: element \d+ is .* instead of/);
    const same = { x: Tensor.floats([0.56714329, 0.56714329, 0.56714329, 0.56714329], [1, 4]) };
    await failure(() => expectSameOutputs(NET, model, { feeds: same }));
    await expectSameOutputs(NET, model, { feeds: same, tolerance: 3 });
    expect((await failure(() => expectSameOutputs(NET, model, { seed: 3, sqnr: 40 }))).message).to.contain(
      'dB',
    );
  });

  it('shows which lines of a text differ', async () => {
    const { text } = await runPass(NET, cancel);
    const error = await failure(() => expectText(text, text.replace('Abs', 'Relu')));
    expect(error.code).to.equal('E_TEST_GOLDEN');
    expect(error.message).to.contain('\n-   y = Relu (x)\n+   y = Abs (x)\n');
  });

  it('compares with files, and writes them where it is asked to', async () => {
    const file = join(folder, 'cancel', 'expected.onnxtxt');
    const { text } = await runPass(NET, cancel);
    const before = { ...process.env };
    try {
      delete process.env['QUANTC_GOLDEN'];
      expect((await failure(() => expectGolden(text, file))).hint).to.contain('QUANTC_GOLDEN=update');
      process.env['QUANTC_GOLDEN'] = 'update';
      process.env['CI'] = '1';
      await failure(() => expectGolden(text, file));
      delete process.env['CI'];
      expectGolden(text, file);
      expect(readFileSync(file, 'utf8').trim()).to.equal(text.trim());
      delete process.env['QUANTC_GOLDEN'];
      expectGolden(text, file);
      writeFileSync(file, 'another');
      expect((await failure(() => expectGolden(text, file))).place.file).to.equal(file);
    } finally {
      for (const key of ['CI', 'QUANTC_GOLDEN']) {
        if (before[key] === undefined) delete process.env[key];
        else process.env[key] = before[key];
      }
    }
  });

  it('refuses a graph that is broken before the pass sees it', async () => {
    const broken = NET.replace('y = Abs (b)', 'y = Abs (b)\n  b = Neg (x)');
    const error = await failure(() => runPass(broken, cancel));
    expect(error.code).to.match(/^E_/);
  });

  it('draws constants over 64 bytes as digests', async () => {
    const run = await runPass(NET.replace('{', '< float[64] w = ["fill": "normal:1"] > {'), cancel);
    expect(graphText(run.model)).to.match(/float\[64\] w = /);
  });
});
