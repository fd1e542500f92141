import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeNpy } from '../../src/calibration/npy.js';
import {
  type CompileRequest,
  compile,
  encodeModel,
  parseModel,
  planSaving,
  planStatic,
} from '../../src/index.js';
import { inferTypes } from '../../src/runtime/types.js';
import { filledTensor } from '../../src/text/fill.js';
import { eager } from './quantizing.js';

/**
 * Five products, of which the third gives values up to some hundreds, of which a sigmoid asks only whether they lie a
 * little above or below zero: within one step of a grid over all of them.
 */
const HARD = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,8,12,12] x) => (float[N,8,12,12] y) <
  float[8,8,1,1] a = ["fill": "normal:1:0:0.35"], float[8,8,1,1] b = ["fill": "normal:2:0:0.35"],
  float[8,8,1,1] c = ["fill": "normal:3:0:0.35"], float[8,8,1,1] d = ["fill": "normal:4:0:0.35"],
  float[8,8,1,1] e = ["fill": "normal:5:0:0.35"],
  float[8,1,1] up = {60, 1, 1, 1, 1, 1, 1, 1}
> {
  [one] p = Conv (x, a)
  [wave1] p2 = LeakyRelu (p)
  [two] q = Conv (p2, b)
  [wave2] q2 = LeakyRelu (q)
  [three] r = Conv (q2, c)
  [grow] s = Mul (r, up)
  [squash] t = Sigmoid (s)
  [four] u = Conv (t, d)
  [wave4] u2 = LeakyRelu (u)
  [five] y = Conv (u2, e)
}`;

describe('mix-precision', () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-mix-test-'));
    writeFileSync(at('hard.onnx'), encodeModel(parseModel(HARD)));
    writeFileSync(at('calib.npy'), encodeNpy(filledTensor('float', [8, 8, 12, 12], 'normal:9', '')!));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const request = (more: Partial<CompileRequest> = {}): CompileRequest => ({
    model: at('hard.onnx'),
    calib: at('calib.npy'),
    targets: [{ ...eager, name: 'eager' }],
    precision: 'int8',
    out: at('out'),
    cache: false,
    ...more,
  });

  it('keeps float the value that a grid cannot hold, and nothing that integers serve well', async () => {
    const [plain] = await compile(request({ algorithms: ['none'] }));
    const [mixed] = await compile(request({ algorithms: ['mix-precision'] }));
    const sqnr = (report: typeof plain) => report!.proof.outputs[0]!.sqnr!;
    expect(sqnr(mixed)).to.be.above(sqnr(plain) + 6);
    const float = mixed!.ledger.filter(({ precision }) => precision !== 'int8').map(({ node }) => node);
    expect(float).to.include.members(['three', 'squash']).and.not.include.members(['one', 'five']);
    expect(mixed!.ledger.find(({ node }) => node === 'squash')!.reason).to.match(
      /^kept float for \d+\.\d dB of the outputs/,
    );
    expect(mixed!.ledger.find(({ node }) => node === 'squash')!.kernel).to.not.match(/^QLinear/);
    expect(plain!.mix).to.equal(undefined);
    const { front, chosen, metric, samples } = mixed!.mix!;
    expect({ metric, samples }).to.deep.equal({ metric: 'sqnr', samples: 8 });
    expect(front[0]!.steps).to.deep.equal([]);
    expect(front[chosen]!.steps.flatMap(({ nodes }) => nodes)).to.include('squash');
    for (let i = 1; i < front.length; i++) {
      expect(front[i]!.decibels).to.be.above(front[i - 1]!.decibels!);
      expect(front[i]!.saving).to.be.at.most(front[i - 1]!.saving);
    }
    expect(mixed!.notes.map(({ code }) => code)).to.include('mix');
  });

  it('gives the same bytes with any number of threads', async () => {
    const bytes = [];
    for (const threads of [1, 2]) {
      const [report] = await compile(request({ threads, out: at(`threads-${threads}`) }));
      bytes.push(readFileSync(join(at(`threads-${threads}`), report!.files[0]!.path)));
    }
    expect(bytes[0]!.equals(bytes[1]!)).to.equal(true);
  });

  it('leaves models alone that integers serve well', async () => {
    writeFileSync(at('easy.onnx'), encodeModel(parseModel(HARD.replace('{60,', '{1,'))));
    const [report] = await compile(request({ model: at('easy.onnx'), algorithms: ['mix-precision'] }));
    expect(report!.mix!.front).to.have.length(1);
    expect(report!.ledger.every(({ precision }) => precision === 'int8')).to.equal(true);
  });

  it('reckons what a plan saves as its kernels save, less its borders', async () => {
    const model = parseModel(HARD);
    await inferTypes(model);
    const plan = planStatic(model.graph, eager);
    const whole = planSaving(plan);
    const three = [...plan.nodes].filter(([{ label }]) => label !== 'three');
    expect(planSaving({ ...plan, nodes: new Map(three) })).to.be.below(whole);
    expect(planSaving({ ...plan, nodes: new Map() })).to.equal(0);
  });
});
