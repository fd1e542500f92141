import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeNpy } from '../../src/calibration/npy.js';
import { type CompileRequest, compile, encodeModel, parseModel } from '../../src/index.js';
import { filledTensor } from '../../src/text/fill.js';

/**
 * Three products, behind the second of which values up to some hundreds are grown, of which a sigmoid asks only whether
 * they lie a little above or below zero: within one step of 8 bits over all of them.
 */
const HARD = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,8,12,12] x) => (float[N,8,12,12] y) <
  float[8,8,3,3] a = ["fill": "normal:1:0:0.15"], float[8,8,1,1] b = ["fill": "normal:2:0:0.35"],
  float[8,8,1,1] c = ["fill": "normal:3:0:0.35"], float[8,1,1] up = {60, 1, 1, 1, 1, 1, 1, 1}
> {
  [one] p = Conv <pads = [1, 1, 1, 1]> (x, a)
  [wave] p2 = LeakyRelu (p)
  [two] q = Conv (p2, b)
  [grow] s = Mul (q, up)
  [squash] t = Sigmoid (s)
  [three] u = Conv (t, c)
  [end] y = Tanh (u)
}`;

describe('bits by what the outputs say', () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-widths-'));
    writeFileSync(at('hard.onnx'), encodeModel(parseModel(HARD)));
    writeFileSync(at('calib.npy'), encodeNpy(filledTensor('float', [8, 8, 12, 12], 'normal:9', '')!));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const compiled = async (
    precision: CompileRequest['precision'] & string,
    more: Partial<CompileRequest> = {},
  ) => {
    const request = { model: at('hard.onnx'), calib: at('calib.npy'), targets: ['npu-qnn'], out: at('out') };
    const [report] = await compile({ ...request, precision, algorithms: ['none'], cache: false, ...more });
    const wide = report!.ledger.filter((row) => /a16$/.test(row.precision)).map(({ node }) => node);
    return { report: report!, sqnr: report!.proof.outputs[0]!.sqnr!, wide };
  };

  it('gives 16 bits to the values that 8 cannot hold, converts at their borders, and is taken whole', async () => {
    const [narrow, mixed] = [await compiled('a8w8'), await compiled('mixed')];
    expect(narrow.wide).to.deep.equal([]);
    expect(mixed.wide).to.include.members(['squash']).and.not.include.members(['one', 'wave']);
    expect(mixed.sqnr).to.be.above(narrow.sqnr + 3);
    expect(mixed.report.verdict).to.include({ coverage: 1 });
    expect(mixed.report.notes.find(({ code }) => code === 'bits')!.message).to.match(
      /values have 16 bits: .* dB → /,
    );
  });

  it('keeps 8 bits for the weights that 4 would ruin', async () => {
    const { report, sqnr } = await compiled('a16w4');
    const precisions = report.ledger.map(({ precision }) => precision);
    expect(precisions).to.include('w8a16');
    expect(sqnr).to.be.above(18);
    expect(report.verdict).to.include({ coverage: 1 });
  });

  it('reports how far two ways of running the graph lie apart', async () => {
    const { report } = await compiled('a8w8');
    const [{ integer, asWritten, between }] = report.proof.spread as [
      NonNullable<typeof report.proof.spread>[0],
    ];
    expect(integer).to.be.above(10);
    expect(asWritten).to.be.above(10);
    expect(between === null || between > 20).to.equal(true);
  });

  it('asks for 16 bits where a pattern says so', async () => {
    const { wide } = await compiled('a8w8', { wide: ['squash'] });
    expect(wide).to.deep.equal(['squash']);
  });
});
