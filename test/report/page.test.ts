/** The report's page: nothing of a model becomes markup, and a browser shows and searches it without a complaint. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { reportPage } from '../../src/report/html/page.js';
import type { Report, TargetReport } from '../../src/report/report.js';
import { swiftShaderMissing } from '../../src/runtime/webgpu/packs.js';
import { openPage } from './headless.js';

const NODES = 2000;

function target(name: string, node = (index: number) => `Conv_${index}`): TargetReport {
  return {
    model: 'net.onnx',
    target: name,
    precision: 'int8',
    opset: 21,
    bytesBefore: 4e6,
    bytesAfter: 1.1e6,
    files: [{ path: `net.${name}.onnx`, bytes: 1.1e6 }],
    session: {},
    remarks: ['Mind the gap.'],
    proof: {
      status: 'passed',
      executor: 'ONNX Runtime CPU',
      samples: 16,
      synthetic: false,
      outputs: [
        { name: 'scores', sqnr: 31.4, cosine: 1, maxError: 0.1 },
        { name: 'same', sqnr: null, cosine: 1, maxError: 0 },
      ],
      kernels: { QLinearConv: 20, Softmax: 1 },
      broken: [],
      evaluation: { metric: 'top1', source: 'data', samples: 100, float: 0.91, quantized: 0.905 },
    },
    ledger: Array.from({ length: NODES }, (_, index) => ({
      node: node(index),
      opType: index % 7 === 0 ? 'Softmax' : 'Conv',
      graph: '',
      precision: index % 7 === 0 ? 'float' : 'int8',
      sqnr: 20 + (index % 40),
      ...(index % 7 === 0 && { reason: 'no integer kernel for it' }),
    })),
    notes: [{ level: 'warning', code: 'W_SOMETHING', message: 'something is odd' }],
    mix: {
      metric: 'sqnr',
      samples: 8,
      trials: 40,
      chosen: 1,
      front: [10, 20, 30].map((decibels, index) => ({
        steps: [],
        integerNodes: 3 - index,
        decibels,
        saving: 3000 - 1000 * index,
        bytes: 0,
      })),
    },
    budget: { figures: [{ term: 'size<=0.3x', value: 0.275, limit: 0.3, met: true }], tried: [] },
    names: {},
  };
}
const report = (...targets: TargetReport[]): Report => ({ quantc: '0.1.0', targets });

describe('report page', () => {
  it('tells sizes, scores, errors, mixes, budgets and notes', () => {
    const page = reportPage(report(target('cpu-x64'), target('webgpu')));
    for (const said of [
      '4 MB',
      '0.28× of float',
      '1.1 MB',
      '91.00 %',
      '90.50 %',
      '31.4 dB',
      'exact',
      'QLinearConv',
      'size&lt;=0.3x',
      'Mind the gap.',
      'W_SOMETHING',
      'href="#target-1"',
    ])
      expect(page, said).to.include(said);
    // Of each target the mixes; of both together what they come to, and the float model.
    expect(page.match(/<circle/g)).to.have.length(3 + 3 + 3);
    expect(page).not.to.match(/(?:src|href)="https?:/);
  });

  it('lets no name of a model become markup', () => {
    const hostile = fc.stringMatching(/^[<>"'&/!\-a-z\]]{1,12}$/);
    const marked = (text: string): number => text.match(/<[a-z!/]/gi)?.length ?? 0;
    const plain = marked(reportPage(report(target('cpu', () => 'n'))));
    fc.assert(
      fc.property(hostile, (name) => {
        expect(marked(reportPage(report(target('cpu', () => name))))).to.equal(plain);
      }),
      { numRuns: 50, examples: [['</script>'], ['<!--'], ["'><img>"]] },
    );
  });

  it('opens in a browser, searches and sorts, without a complaint', async function () {
    const missing = swiftShaderMissing();
    if (missing !== undefined) {
      console.warn(`    SKIPPED: no browser to open the report in: ${missing}`);
      return this.skip();
    }
    this.timeout(120_000);
    const folder = mkdtempSync(join(tmpdir(), 'quantc-report-'));
    const file = join(folder, 'report.html');
    const hostile = (index: number) =>
      index === 0 ? '<img src=x onerror=alert(1)></script>' : `Conv_${index}`;
    const text = reportPage(report(target('cpu-x64', hostile), target('webgpu')));
    writeFileSync(file, text);
    expect(text.length).to.be.below(1.5e6);
    const page = await openPage(file);
    try {
      const rows = "document.querySelectorAll('[data-ledger] tbody')[0].rows";
      expect(await page.evaluate(`${rows}.length`)).to.equal(101);
      await page.evaluate(`${rows}[100].querySelector('button').click()`);
      expect(await page.evaluate(`${rows}.length`)).to.equal(401);
      expect(await page.evaluate(`${rows}[0].cells[0].textContent`)).to.equal(hostile(0));
      const search = (words: string) =>
        page.evaluate(
          `{ const box = document.querySelector('[data-ledger] input'); box.value = '${words}'; box.dispatchEvent(new Event('input')); }`,
        );
      await search('conv_19 INT8');
      expect(await page.evaluate("document.querySelector('.count').textContent")).to.match(/^\d\d of 2000$/);
      await search('nothing like it');
      expect(await page.evaluate(`${rows}.length`)).to.equal(0);
      await search('');
      const click = "document.querySelectorAll('[data-ledger] th button')[4].click()";
      await page.evaluate(`${click}; ${click}`);
      expect(await page.evaluate(`${rows}[0].cells[4].textContent`)).to.equal('59');
      // Every part stands there, and nothing is wider than the window.
      const shown = "[...document.querySelectorAll('summary')].map((each) => each.textContent).join()";
      expect(await page.evaluate(shown)).to.match(
        /Who computes what,What layers lose,.*Every node: 2000,Notes/,
      );
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).to.equal(true);
      expect(await page.evaluate("document.querySelectorAll('img').length")).to.equal(0);
      // A slash goes to the nearest search, Escape clears it.
      const press = (key: string, at: string) =>
        page.evaluate(
          `${at}.dispatchEvent(new KeyboardEvent('keydown', { key: '${key}', bubbles: true, cancelable: true }))`,
        );
      await search('softmax');
      await page.evaluate("document.querySelector('[data-ledger] input').scrollIntoView()");
      await press('/', 'document.body');
      expect(
        await page.evaluate("document.activeElement === document.querySelector('[data-ledger] input')"),
      ).to.equal(true);
      await press('Escape', 'document.activeElement');
      expect(await page.evaluate("document.querySelector('.count').textContent")).to.match(/^2000 of 2000/);
      expect(page.complaints).to.deep.equal([]);
    } finally {
      await page.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
