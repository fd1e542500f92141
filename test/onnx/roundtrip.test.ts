/** What goes in comes out: every field of every message, known or not, in the very bytes. */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import { verify } from '../../src/index.js';
import { encodeModel, encodeTensor } from '../../src/onnx/encode.js';
import { readMessageFromFile } from '../../src/onnx/file-read.js';
import { decodeModelProto } from '../../src/onnx/model-proto.js';
import { decodeModel, decodeTensor } from '../../src/onnx/read.js';
import { sharedPath } from '../shared.js';
import { contentOf, float, int, join, type Piece, part, unknown } from './proto.js';
import { richModel, tensor } from './rich-model.js';

const { onnx } = onnxProto;

/** Fails where contents differ, and says where; then demands that even the bytes are the same. */
function expectSame(before: Uint8Array, after: Uint8Array, what: string): void {
  if (Buffer.compare(before, after) === 0) return;
  const [left, right] = [contentOf(before), contentOf(after)];
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  const from = Math.max(0, at - 80);
  expect(right.slice(from, at + 80), `${what}: fields`).to.equal(left.slice(from, at + 80));
  expect.fail(`${what}: the same fields in other bytes`);
}

describe('onnx: round trip', () => {
  it('keeps every field of a model that uses all of them, unknown ones included', () => {
    const bytes = richModel();
    expectSame(bytes, encodeModel(decodeModel(bytes)), 'in memory');
    expectSame(bytes, encodeModel(decodeModel(bytes), { valueInfo: 'declared' }), 'declared types alone');
    const again = encodeModel(decodeModel(encodeModel(decodeModel(bytes))));
    expectSame(bytes, again, 'twice');
  });

  it('keeps them too when the file is walked in small steps and all data stays in it', () => {
    const folder = mkdtempSync(joinPath(tmpdir(), 'quantc-onnx-'));
    try {
      const path = joinPath(folder, 'rich.onnx');
      const bytes = richModel();
      writeFileSync(path, bytes);
      for (const limits of [
        { range: 1, whole: 0 },
        { range: 8, whole: 64 },
      ]) {
        const file = openSync(path, 'r');
        const record = readMessageFromFile('ModelProto', file, path, bytes.length, limits);
        closeSync(file);
        const model = decodeModelProto(record, undefined);
        const kinds = new Set([...model.graph.initializers].map((value) => value.constant!.source.kind));
        expect(kinds).to.include('file');
        if (limits.whole === 0) expect(kinds).to.include('derived');
        expectSame(bytes, encodeModel(model), JSON.stringify(limits));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('keeps the operator suite', function () {
    const root = sharedPath('onnx-suite');
    if (root === undefined) return this.skip();
    let models = 0;
    let tensors = 0;
    for (const name of readdirSync(root)) {
      const path = joinPath(root, name, 'model.onnx');
      if (!existsSync(path)) continue;
      models += 1;
      const bytes = readFileSync(path);
      const model = decodeModel(bytes, { file: path });
      expectSame(bytes, encodeModel(model), name);
      expect(verify(model), name).to.deep.equal([]);
      for (const file of readdirSync(joinPath(root, name), { recursive: true, encoding: 'utf8' })) {
        if (!file.endsWith('.pb')) continue;
        const data = readFileSync(joinPath(root, name, file));
        // Sequences and optionals may be stored as other messages: those are not for this codec.
        const read = onnxTensor(data);
        if (read === undefined) continue;
        tensors += 1;
        expectSame(data, encodeTensor(decodeTensor(data)), `${name}/${file}`);
      }
    }
    expect(models).to.equal(955);
    expect(tensors).to.be.greaterThan(2000);
  });

  it('keeps the real models and other tools’ quantized ones', function () {
    const root = sharedPath('models');
    if (root === undefined) return this.skip();
    for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.onnx')) continue;
      const path = joinPath(root, file);
      const bytes = readFileSync(path);
      expectSame(bytes, encodeModel(decodeModel(bytes, { file: path }), { valueInfo: 'declared' }), file);
    }
  });

  it('means to onnx-proto what the input meant, for all models that it knows (IR ≤ 8)', function () {
    const root = sharedPath('onnx-suite');
    if (root === undefined) return this.skip();
    let compared = 0;
    for (const name of readdirSync(root)) {
      const path = joinPath(root, name, 'model.onnx');
      if (!existsSync(path)) continue;
      const bytes = readFileSync(path);
      const before = onnx.ModelProto.decode(bytes);
      if (Number(before.irVersion) > 8) continue;
      compared += 1;
      const after = onnx.ModelProto.decode(encodeModel(decodeModel(bytes)));
      expect(onnx.ModelProto.toObject(after), name).to.deep.equal(onnx.ModelProto.toObject(before));
    }
    expect(compared).to.be.greaterThan(300);
  });
});

/** Whether a `.pb` holds a tensor, by the one field that a tensor cannot do without: a data type. */
function onnxTensor(bytes: Uint8Array): object | undefined {
  try {
    const message = onnx.TensorProto.decode(bytes);
    return message.dataType ? message : undefined;
  } catch {
    return undefined;
  }
}

describe('onnx: what onnx-proto loses', () => {
  // Why it is an oracle of the tests only, and never writes a file: ONNX has grown since, and it drops what it does not know.
  it('drops everything of IR 9 and later, and all unknown fields, where our codec keeps it', () => {
    const bytes = richModel();
    const copy = onnx.ModelProto.encode(onnx.ModelProto.decode(bytes)).finish();
    const lost = ['variant', 'node value', 'two devices', 'info', 'group map', 'beta', 'function value'];
    for (const word of lost) {
      expect(Buffer.from(bytes).includes(word), word).to.equal(true);
    }
    expect(copy.length).to.be.lessThan(bytes.length - 500);
    for (const word of ['variant', 'two devices', 'group map', 'beta', 'function value']) {
      expect(Buffer.from(copy).includes(word), word).to.equal(false);
      expect(Buffer.from(encodeModel(decodeModel(bytes))).includes(word), word).to.equal(true);
    }
  });
});

describe('onnx: round trip of any model', () => {
  const word = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' });
  const maybe = (make: fc.Arbitrary<Piece>): fc.Arbitrary<Piece[]> =>
    fc.option(
      make.map((each) => [each]),
      { nil: [] },
    );
  const rest = maybe(
    fc.oneof(
      word.map(unknown),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => int(500, n)),
    ),
  );
  const raw = fc
    .tuple(
      fc.constantFrom(
        [1, 4],
        [2, 1],
        [6, 4],
        [7, 8],
        [10, 2],
        [11, 8],
        [16, 2],
        [22, 0.5],
        [25, 0.25],
        [27, 0.75],
      ),
      fc.array(fc.nat(5), { maxLength: 3 }),
      fc.infiniteStream(fc.nat(255)),
    )
    .map(([[code, width], dims, stream]) => {
      const length = Math.ceil(dims.reduce((product, each) => product * each, 1) * width!);
      return { code: code!, dims, data: Uint8Array.from({ length }, () => stream.next().value as number) };
    });
  const node = (index: number) =>
    fc
      .tuple(
        fc.array(fc.nat(index), { maxLength: 3 }),
        maybe(word.map((name) => part(3, name))),
        fc.array(
          fc.oneof(
            fc.float().map((value) => [float(2, value), int(20, 1)]),
            fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => [int(3, value), int(20, 2)]),
            fc.uint8Array({ maxLength: 9 }).map((value) => [part(4, value), int(20, 3)]),
            fc
              .array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1, maxLength: 4 })
              .map((list) => [...list.map((value) => int(8, value)), int(20, 7)]),
            raw.map(({ code, dims, data }) => [
              part(5, tensor(dims, code, 'a', [part(9, data)])),
              int(20, 4),
            ]),
          ),
          { maxLength: 3 },
        ),
        rest,
      )
      .map(([inputs, name, attributes, after]) => [
        ...inputs.map((each) => part(1, each === index ? '' : `v${each}`)),
        part(2, `v${index + 1}`),
        ...name,
        part(4, 'Op'),
        ...attributes.map((value, at) => part(5, [part(1, `a${at}`), ...value])),
        part(7, 'd'),
        ...after,
      ]);
  const dims = fc.array(
    fc.oneof(
      fc.nat().map((value) => part(1, [int(1, value)])),
      word.map((value) => part(1, [part(2, value)])),
      fc.constant(part(1, [])),
    ),
    { maxLength: 4 },
  );
  const info = (name: string) =>
    fc
      .tuple(fc.integer({ min: 1, max: 28 }), dims, rest)
      .map(([code, shape, after]) => [
        part(1, name),
        part(2, [part(1, [int(1, code), part(2, shape)])]),
        ...after,
      ]);
  const model = fc
    .integer({ min: 0, max: 5 })
    .chain((count) =>
      fc.tuple(
        fc.tuple(...Array.from({ length: count }, (_, index) => node(index))),
        fc.array(raw, { maxLength: 3 }),
        fc.tuple(info('v0'), info(`v${count}`)),
        fc
          .subarray(Array.from({ length: Math.max(0, count - 1) }, (_, index) => index + 1))
          .chain((some) => fc.tuple(...some.map((index) => info(`v${index}`)))),
        fc.tuple(rest, rest, fc.integer({ min: 1, max: 14 })),
      ),
    )
    .map(([nodes, constants, [input, output], infos, [inGraph, inModel, version]]) =>
      join(
        int(1, version),
        part(7, [
          ...nodes.map((each) => part(1, each)),
          part(2, 'g'),
          ...constants.map(({ code, dims: shape, data }, at) =>
            part(5, tensor(shape, code, `c${at}`, [part(9, data)])),
          ),
          part(11, input),
          part(12, output),
          ...infos.map((each) => part(13, each)),
          ...inGraph,
        ]),
        part(8, [int(2, 21)]),
        ...inModel,
      ),
    );

  it('gives the very bytes back', () => {
    fc.assert(
      fc.property(model, (bytes) => expectSame(bytes, encodeModel(decodeModel(bytes)), 'generated')),
      { numRuns: 400 },
    );
  });
});
