/** Files too large to load: sparse ones, so that they cost no disk. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { expect } from 'chai';
import { addInitializer, Graph, Model, Tensor } from '../../src/index.js';
import { encodeModel } from '../../src/onnx/encode.js';
import { layOut } from '../../src/onnx/external-layout.js';
import { readModel } from '../../src/onnx/read.js';
import { codeOf } from './code-of.js';
import { int, join, part, varint } from './proto.js';

describe('onnx: large files', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(joinPath(tmpdir(), 'quantc-large-'));
    path = joinPath(folder, 'large.onnx');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A file of these bytes, with a hole of `length` zeros after `at` of them. */
  function holed(bytes: Uint8Array, at: number, length: number): void {
    const file = openSync(path, 'w');
    writeSync(file, bytes, 0, at, 0);
    writeSync(file, bytes, at, bytes.length - at, at + length);
    ftruncateSync(file, bytes.length + length);
    closeSync(file);
  }

  it('a model of 2 GiB or more is refused, with the way out', () => {
    holed(int(1, 9), 2, 2 ** 31);
    try {
      readModel(path);
      expect.fail('no error');
    } catch (error) {
      expect(error).to.include({ code: 'E_ONNX_TOO_LARGE' });
      expect((error as { hint: string }).hint).to.match(/external data/);
    }
  });

  it('weights of a large file stay in the file until asked for', () => {
    const length = 1 << 30;
    const name = part(8, 'w');
    const head = join(int(1, length / 4), int(2, 1), name, varint(9 * 8 + 2), varint(length));
    const initializer = join(varint(5 * 8 + 2), varint(head.length + length), head);
    const rest = join(part(2, 'g'), part(12, [part(1, 'w')]));
    const opening = join(
      int(1, 9),
      varint(7 * 8 + 2),
      varint(rest.length + initializer.length + length),
      rest,
      initializer,
    );
    holed(join(opening, part(8, [int(2, 21)])), opening.length, length);
    const before = process.memoryUsage().rss;
    const model = readModel(path);
    const tensor = [...model.graph.initializers][0]!.constant!;
    expect(tensor.source).to.deep.include({ kind: 'file', path, offset: opening.length, length });
    expect(model.opset).to.equal(21);
    expect(process.memoryUsage().rss - before).to.be.lessThan(200 << 20);
  });

  it('a large file that is none of ours, or cut short, is refused as fast', () => {
    holed(join(int(1, 9), varint(7 * 8 + 2), varint(2 ** 30)), 8, 100 << 20);
    expect(codeOf(() => readModel(path))).to.equal('E_ONNX_MALFORMED');
    holed(new Uint8Array(16).fill(255), 16, 100 << 20);
    expect(codeOf(() => readModel(path))).to.equal('E_ONNX_MALFORMED');
  });

  it('what is no file, or cannot be read, is refused', () => {
    expect(codeOf(() => readModel(folder))).to.equal('E_ONNX_READ');
    expect(codeOf(() => readModel('/dev/zero'))).to.equal('E_ONNX_READ');
    expect(codeOf(() => readModel(joinPath(folder, 'missing.onnx')))).to.equal('E_ONNX_READ');
  });

  it('a model too large for one file goes beside it by itself, and cannot be encoded whole', () => {
    const graph = new Graph('g');
    for (let i = 0; i < 3; i++) {
      const source = { kind: 'file', path, offset: 0, length: 2 ** 30 } as const;
      addInitializer(graph, new Tensor('float', [2 ** 28], source), `w${i}`);
    }
    const model = new Model(graph);
    expect(codeOf(() => encodeModel(model))).to.equal('E_ONNX_TOO_LARGE');
    const layout = layOut(model, 'auto', 'x_data')!;
    expect([...layout.places.values()].map((place) => place.offset)).to.deep.equal([0, 2 ** 30, 2 ** 31]);
    expect(layout.files).to.deep.equal([{ location: 'x_data', length: 3 * 2 ** 30 }]);
    expect(layOut(model, 'never', 'x_data')).to.equal(undefined);
    const chunks = layOut(model, 'auto', 'x_data', 2 ** 31)!;
    expect(chunks.files).to.deep.equal([
      { location: 'x_data', length: 2 ** 31 },
      { location: 'x_data_1', length: 2 ** 30 },
    ]);
    const places = [...chunks.places.values()].map(({ location, offset }) => [location, offset]);
    expect(places).to.deep.equal([
      ['x_data', 0],
      ['x_data', 2 ** 30],
      ['x_data_1', 0],
    ]);
  });
});
