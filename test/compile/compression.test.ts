/** Pruned and palettized models as `compile` delivers them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { type CompileRequest, compile } from '../../src/compile.js';
import { encodeModel, parseModel } from '../../src/index.js';
import { codeOf } from '../code-of.js';

describe('compression', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-compression-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const model = join(folder, 'model.onnx');
  before(() =>
    writeFileSync(
      model,
      encodeModel(
        parseModel(`<ir_version: 10, opset_import: ["": 21]>
          g (float[1,64] x) => (float[1,64] y) <float[64,64] w = ["fill": "normal:1"], float[64,64] u = ["fill": "normal:2"]> {
            h = MatMul (x, w)
            r = Relu (h)
            y = MatMul (r, u)
          }`),
      ),
    ),
  );
  const compiled = async (request: Partial<CompileRequest>) => {
    const out = join(folder, 'out');
    const [report] = await compile({ model, precision: 'float', cache: false, out, ...request });
    return { report: report!, bytes: readFileSync(join(out, report!.files[0]!.path)) };
  };

  it('tells what files come to once they are compressed, where that is asked for', async () => {
    const { report, bytes } = await compiled({ prune: 'magnitude:75%' });
    expect(report.deflated!.before).to.be.above(0.85 * report.bytesBefore);
    // Streams end their blocks elsewhere than one call does.
    expect(report.deflated!.after).to.be.closeTo(deflateRawSync(bytes).length, 64);
    expect(report.deflated!.after).to.be.below(0.5 * bytes.length);
    expect(report.bytesAfter).to.equal(bytes.length);
    expect((await compiled({})).report.deflated).to.equal(undefined);
  });

  it('emits palettes that ONNX Runtime proves, the same bytes each time', async () => {
    const { report, bytes } = await compiled({ palettize: 3, prune: 'magnitude:50%' });
    expect(report.proof.status).to.equal('passed');
    expect(bytes.length).to.be.below(0.2 * report.bytesBefore);
    expect(report.ledger.filter(({ precision }) => precision === 'palette-3')).to.have.length(2);
    expect((await compiled({ palettize: 3, prune: 'magnitude:50%' })).bytes.equals(bytes)).to.equal(true);
  });

  it('refuses what cannot go together', async () => {
    expect(await codeOf(() => compiled({ palettize: 4, precision: 'int4' }))).to.equal('E_PALETTE_PRECISION');
    expect(
      await codeOf(() => compiled({ prune: 'magnitude:50%', precision: 'int4', weightMethod: 'adaround' })),
    ).to.equal('E_PRUNE_METHOD');
    expect(await codeOf(() => compiled({ dense: ['x'] }))).to.equal('E_PRUNE_DENSE');
    expect(await codeOf(() => compiled({ prune: 'wanda:50%' }))).to.equal('E_CALIBRATION_MISSING');
  });
});
