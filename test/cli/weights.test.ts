import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeNpy } from '../../src/calibration/npy.js';
import { encodeModel, parseModel } from '../../src/index.js';
import { filledTensor } from '../../src/text/fill.js';
import { invoke } from './invoke.js';

describe('quantc on bits of weights', () => {
  let folder: string;
  let model: string;
  let data: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-weights-'));
    [model, data] = [join(folder, 'm.onnx'), join(folder, 'x.npy')];
    const text = `<ir_version: 10, opset_import: ["": 21]> g (float[N,64] x) => (float[N,10] y) <
      float[64,64] w1 = ["fill": "normal:1:0:0.1"], float[64,10] w2 = ["fill": "normal:2:0:0.1"]
    > { [one] a = MatMul (x, w1) b = Relu (a) [two] y = MatMul (b, w2) }`;
    writeFileSync(model, encodeModel(parseModel(text)));
    writeFileSync(data, encodeNpy(filledTensor('float', [8, 64], 'normal:3', 'x')!));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('measures them as JSON, with a picture and what gradients foretell', async () => {
    const svg = join(folder, 'bits.svg');
    const words = [
      'sensitivity',
      model,
      '--calib',
      data,
      '--weights',
      '--bits',
      '2,8',
      '--fisher',
      '--no-cache',
    ];
    const { code, out } = await invoke([...words, '--svg', svg, '--json']);
    expect(code).to.equal(0);
    const report = JSON.parse(out);
    expect(report.bits).to.deep.equal([2, 8]);
    expect(report.weights.flatMap(({ nodes }: { nodes: string[] }) => nodes).toSorted()).to.deep.equal([
      'one',
      'two',
    ]);
    for (const { figures, gradient } of report.weights) {
      expect(figures[0].noise).to.be.above(figures[1].noise);
      expect(figures[0].bytes).to.be.below(figures[1].bytes);
      expect(gradient).to.be.above(0);
    }
    expect(readFileSync(svg, 'utf8')).to.contain('</svg>');
    expect((await invoke(words)).out).to.contain('what bits of weights cost');
  });

  it('refuses what is not for them, and protection that means nothing', async () => {
    const refused = async (...words: string[]) => (await invoke([...words, '--json'])).out;
    expect(await refused('sensitivity', model, '--calib', data, '--svg', 'x.svg')).to.contain('E_CLI_VALUE');
    expect(await refused('sensitivity', model, '--calib', data, '--weights', '--bits', '5')).to.contain(
      'E_CLI_VALUE',
    );
    const out = join(folder, 'out');
    const compiled = ['compile', model, '--out', out, '--no-cache', '--precision'];
    expect(await refused(...compiled, 'int4', '--protect', 'ov')).to.contain('E_PROTECT_NOTHING');
    expect(await refused(...compiled, 'float', '--protect', 'ov')).to.contain('E_PROTECT_PRECISION');
    expect(await refused(...compiled, 'int4', '--protect', 'layers:x')).to.contain('E_PROTECT_SYNTAX');
  });
});
