/** Decoders whose weights are rounded over texts of their own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type CompileRequest, compile } from '../../src/compile.js';
import { encodeModel, type QuantcError } from '../../src/index.js';
import { parseModel } from '../../src/text/parse.js';
import { counting, open } from '../transformer/decoders.js';

describe('weights of a decoder without data', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-own-texts-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function compiled(text: string, more: Partial<CompileRequest> = {}) {
    const model = join(folder, 'model.onnx');
    writeFileSync(model, encodeModel(parseModel(text)));
    const out = join(folder, 'out');
    const request = { model, out, precision: 'int4', cache: false, threads: 1, proofSamples: 1 } as const;
    const [report] = await compile({ ...request, ...more });
    return {
      bytes: readFileSync(join(out, report!.files[0]!.path)),
      said: report!.notes.filter(({ code }) => code === 'own-texts').map(({ message }) => message),
    };
  }

  it('are rounded over texts that it draws from itself, the same every time', async () => {
    const first = await compiled(counting());
    expect(first.said).to.have.length(1);
    expect(first.said[0]).to.match(/over 40 texts of 32 tokens that the model drew from itself/);
    const second = await compiled(counting(), { threads: 2 });
    expect(second.bytes.equals(first.bytes)).to.equal(true);
    const alone = await compiled(counting(), { weightMethod: 'mse' });
    expect(alone.said).to.deep.equal([]);
    expect(alone.bytes.equals(first.bytes)).to.equal(false);
  });

  it('are rounded one by one where it is no decoder, which the report says', async () => {
    const { said } = await compiled(open());
    expect(said).to.have.length(1);
    expect(said[0]).to.match(/depends on later ones/);
    const refused = await compiled(open(), { weightMethod: 'gptq' }).catch((error: unknown) => error);
    expect((refused as QuantcError).code).to.equal('E_CALIBRATION_MISSING');
  });
});
