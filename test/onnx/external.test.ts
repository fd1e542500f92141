/** External data: read by range, inside the model's folder only. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { expect } from 'chai';
import { encodeModel } from '../../src/onnx/encode.js';
import { decodeModel, readModel } from '../../src/onnx/read.js';
import { codeOf } from './code-of.js';
import { int, join, part } from './proto.js';

const entry = (key: string, value: string) => part(13, [part(1, key), part(2, value)]);

/** A model with one external tensor of two floats. */
const external = (entries: Record<string, string>): Uint8Array => {
  const tensor = [
    int(1, 2),
    int(2, 1),
    part(8, 'w'),
    ...Object.entries(entries).map(([k, v]) => entry(k, v)),
    int(14, 1),
  ];
  return join(int(1, 9), part(7, [part(5, tensor), part(12, [part(1, 'w')])]), part(8, [int(2, 21)]));
};

describe('onnx: external data', () => {
  let root: string;
  let folder: string;
  beforeEach(() => {
    root = mkdtempSync(joinPath(tmpdir(), 'quantc-external-'));
    folder = joinPath(root, 'model');
    mkdirSync(joinPath(folder, 'deep'), { recursive: true });
    const data = Buffer.alloc(72);
    data.writeFloatLE(1.5, 64);
    data.writeFloatLE(-2, 68);
    for (const path of ['data.bin', 'deep/data.bin', '../outside.bin'])
      writeFileSync(joinPath(folder, path), data);
    symlinkSync('data.bin', joinPath(folder, 'link.bin'));
    symlinkSync('..', joinPath(folder, 'up'));
    symlinkSync('deep', joinPath(folder, 'link'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const read = (entries: Record<string, string>) => {
    const path = joinPath(folder, 'model.onnx');
    writeFileSync(path, external(entries));
    return readModel(path);
  };
  const numbers = (entries: Record<string, string>) => read(entries).graph.outputs[0]!.constant!.toNumbers();
  const place = { offset: '64', length: '8' };

  it('reads the range that is meant, from the folder or one below it', () => {
    for (const location of ['data.bin', './data.bin', 'deep/data.bin', 'deep//data.bin']) {
      expect(numbers({ location, ...place })).to.deep.equal([1.5, -2]);
    }
    expect(numbers({ location: 'data.bin', offset: '64' })).to.deep.equal([1.5, -2]);
    expect(numbers({ location: 'data.bin' })).to.deep.equal([0, 0]);
  });

  it('gives it back as it was said, other entries included', () => {
    const entries = { location: 'data.bin', ...place, checksum: 'abc', basepath: '?' };
    const bytes = external(entries);
    const model = decodeModel(bytes, { file: joinPath(folder, 'model.onnx') });
    const same = encodeModel(model, { external: () => ({ location: 'data.bin', offset: 64, length: 8 }) });
    expect(Buffer.compare(same, bytes)).to.equal(0);
    const moved = Buffer.from(
      encodeModel(model, { external: () => ({ location: 'other', offset: 0, length: 8 }) }),
    );
    expect(moved.includes('basepath')).to.equal(true);
    expect(moved.includes('checksum')).to.equal(false);
    const inline = decodeModel(encodeModel(model));
    expect(inline.graph.outputs[0]!.constant!.source.kind).to.equal('memory');
    expect(inline.graph.outputs[0]!.constant!.toNumbers()).to.deep.equal([1.5, -2]);
  });

  const refused: [string, string][] = [
    ['../outside.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['deep/../../outside.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['deep/../data.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['..\\outside.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['/etc/passwd', 'E_ONNX_EXTERNAL_PATH'],
    ['\\\\server\\share', 'E_ONNX_EXTERNAL_PATH'],
    ['C:\\data.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['C:data.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['file:///etc/passwd', 'E_ONNX_EXTERNAL_PATH'],
    ['', 'E_ONNX_EXTERNAL_PATH'],
    ['.', 'E_ONNX_EXTERNAL_PATH'],
    ['deep', 'E_ONNX_EXTERNAL_PATH'],
    ['data.bin\0.txt', 'E_ONNX_EXTERNAL_PATH'],
    ['link.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['up/outside.bin', 'E_ONNX_EXTERNAL_PATH'],
    ['link/data.bin', 'E_ONNX_EXTERNAL_PATH'],
    [`${'a/'.repeat(600)}x`, 'E_ONNX_EXTERNAL_PATH'],
    ['a'.repeat(300), 'E_ONNX_EXTERNAL_PATH'],
    ['é'.repeat(200), 'E_ONNX_EXTERNAL_PATH'],
    ['missing.bin', 'E_ONNX_EXTERNAL_MISSING'],
    ['data.bin/below', 'E_ONNX_EXTERNAL_MISSING'],
  ];
  for (const [location, code] of refused) {
    const shown =
      location.length > 40 ? `${location.slice(0, 10)}… (${location.length})` : location.replace('\0', '␀');
    it(`${JSON.stringify(shown)}: ${code}`, () => {
      expect(codeOf(() => read({ location, ...place }))).to.equal(code);
    });
  }

  it('refuses a range that the file does not have, and numbers that are none', () => {
    const wrong: [Record<string, string>, string][] = [
      [{ offset: '65', length: '8' }, 'E_ONNX_EXTERNAL_SIZE'],
      [{ offset: '900000000000000', length: '8' }, 'E_ONNX_EXTERNAL_SIZE'],
      [{ offset: '0', length: '72' }, 'E_ONNX_EXTERNAL_SIZE'],
      [{ offset: '0', length: '4' }, 'E_ONNX_EXTERNAL_SIZE'],
      [{ offset: '-8', length: '8' }, 'E_ONNX_EXTERNAL'],
      [{ offset: '1e1', length: '8' }, 'E_ONNX_EXTERNAL'],
      [{ offset: '', length: '8' }, 'E_ONNX_EXTERNAL'],
      [{ offset: '99999999999999999999', length: '8' }, 'E_ONNX_EXTERNAL'],
    ];
    for (const [entries, code] of wrong) {
      expect(
        codeOf(() => read({ location: 'data.bin', ...entries })),
        JSON.stringify(entries),
      ).to.equal(code);
    }
    expect(codeOf(() => read({ offset: '0', length: '8' }))).to.equal('E_ONNX_EXTERNAL');
  });

  it('needs a folder to look in', () => {
    expect(codeOf(() => decodeModel(external({ location: 'data.bin', ...place })))).to.equal(
      'E_ONNX_EXTERNAL_FOLDER',
    );
  });

  it('says when the data is gone by the time it is wanted', () => {
    const tensor = read({ location: 'data.bin', ...place }).graph.outputs[0]!.constant!;
    rmSync(joinPath(folder, 'data.bin'));
    expect(codeOf(() => tensor.bytes())).to.equal('E_TENSOR_READ');
  });

  it('refuses external data in training information, which is carried along unread', () => {
    const tensor = part(5, [int(1, 1), int(2, 1), entry('location', '../x'), int(14, 1)]);
    const bytes = join(int(1, 9), part(7, []), part(20, [part(1, [tensor])]));
    expect(codeOf(() => decodeModel(bytes))).to.equal('E_ONNX_EXTERNAL_TRAINING');
  });
});
