import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { dump, parse } from 'npyjs';
import { encodeNpy, openNpy, openNpz, parseNpy } from '../../src/calibration/npy.js';
import { QuantcError } from '../../src/errors/error.js';
import { type DType, dtypeFacts } from '../../src/ir/dtype.js';
import { Tensor } from '../../src/ir/tensor.js';
import { elementCount } from '../../src/ir/type.js';

const DTYPES: readonly DType[] = [
  ...(['bool', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64'] as const),
  ...(['float16', 'float', 'double'] as const),
];

/** The bytes of an .npy file with this header text. */
function file(dict: string, data: Uint8Array, version = 1): Uint8Array {
  const text = Buffer.from(dict, 'latin1');
  const head = Buffer.alloc(version === 1 ? 10 : 12);
  head.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  if (version === 1) head.writeUInt16LE(text.length, 8);
  else head.writeUInt32LE(text.length, 8);
  return Buffer.concat([head, text, data]);
}

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof QuantcError) return error.code;
    throw error;
  }
  return 'none';
};

describe('.npy and .npz', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-npy-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('gives back what it wrote, for every dtype and rank', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...DTYPES),
        fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
        fc.integer({ min: 0, max: 255 }),
        (dtype, shape, fill) => {
          const bytes = new Uint8Array((dtypeFacts(dtype).bits / 8) * elementCount(shape));
          bytes.forEach((_, i) => {
            bytes[i] = (fill + 37 * i) & 255;
          });
          const tensor = Tensor.of(dtype, shape, bytes);
          const array = parseNpy(encodeNpy(tensor), 'x.npy');
          expect([array.dtype, array.shape]).to.deep.equal([dtype, shape]);
          if (shape.length > 0) expect(array.rows(0, shape[0]!).bytes()).to.deep.equal(bytes);
        },
      ),
    );
  });

  it('agrees with npyjs, both ways', () => {
    const values = Float32Array.from({ length: 24 }, (_, i) => i / 7 - 1);
    const ours = parseNpy(new Uint8Array(dump(values, [2, 3, 4])), 'x.npy');
    expect(ours.shape).to.deep.equal([2, 3, 4]);
    expect(ours.rows(0, 2).data()).to.deep.equal(values);
    const bytes = encodeNpy(Tensor.of('int64', [3], BigInt64Array.of(-1n, 2n, 3n)));
    const theirs = parse(Uint8Array.from(bytes).buffer);
    expect(theirs.data).to.deep.equal(BigInt64Array.of(-1n, 2n, 3n));
    expect(theirs.shape).to.deep.equal([3]);
  });

  it('reads rows from disk by range', () => {
    const path = join(folder, 'rows.npy');
    const values = Int32Array.from({ length: 30 }, (_, i) => i * i);
    writeFileSync(path, encodeNpy(Tensor.of('int32', [10, 3], values)));
    const rows = openNpy(path).rows(4, 2);
    expect(rows.shape).to.deep.equal([2, 3]);
    expect(rows.data()).to.deep.equal(values.slice(12, 18));
  });

  it('puts column-major and big-endian arrays in order', () => {
    const dict = (order: string, descr: string) =>
      `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (2, 3, 2), }\n`;
    const columnMajor = new Uint8Array(Int16Array.from({ length: 12 }, (_, i) => i).buffer);
    const array = parseNpy(file(dict('True', '<i2'), columnMajor), 'x.npy');
    // Element [i, j, k] lies at i + 2j + 6k.
    const expected = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11];
    expect([...(array.rows(0, 2).data() as Int16Array)]).to.deep.equal(expected);
    expect([...(array.rows(1, 1).data() as Int16Array)]).to.deep.equal(expected.slice(6));
    const swapped = Buffer.from(columnMajor).swap16();
    const big = parseNpy(file(dict('False', '>i2'), swapped), 'x.npy');
    expect([...(big.rows(0, 2).data() as Int16Array)]).to.deep.equal([...Array(12).keys()]);
  });

  it('takes headers of every version, key order and spelling that NumPy has written', () => {
    const data = new Uint8Array(8);
    for (const [dict, version] of [
      ["{'shape': (2,), 'fortran_order': False, 'descr': '<f4'}", 1],
      ["{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }   \n", 1],
      ["{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 1 , 2 ) }", 2],
      ["{'descr': '=f4', 'fortran_order': False, 'shape': (2, 1), }", 3],
    ] as const) {
      expect(parseNpy(file(dict, data, version), 'x.npy').dtype, dict).to.equal('float');
    }
  });

  it('refuses hostile headers with a code', () => {
    const data = new Uint8Array(8);
    const dict = (shape: string, descr = "'<f4'", order = 'False') =>
      `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }`;
    const cases: readonly [string, Uint8Array][] = [
      ['E_NPY_FORMAT', new Uint8Array(0)],
      ['E_NPY_FORMAT', new TextEncoder().encode('PK\u0003\u0004 surely a zip file')],
      ['E_NPY_FORMAT', file(dict('(2,)'), data).subarray(0, 40)],
      ['E_NPY_FORMAT', file(dict('(2,)'), data, 9)],
      ['E_NPY_FORMAT', file(dict('(3,)'), data)],
      ['E_NPY_FORMAT', file(dict('(1,)'), data)],
      ['E_NPY_FORMAT', file(dict('(-2,)'), data)],
      ['E_NPY_FORMAT', file(dict('(1e1,)'), data)],
      ['E_NPY_FORMAT', file(dict('(9007199254740993, 9007199254740993)'), data)],
      ['E_NPY_FORMAT', file(dict('(99999999999999999999999,)'), data)],
      ['E_NPY_FORMAT', file(dict(`(${'1,'.repeat(40)})`), data)],
      ['E_NPY_FORMAT', file(dict('(2,)', "'<f4'", '__import__("os")'), data)],
      ['E_NPY_FORMAT', file(`${dict('(2,)').slice(0, -1)} 'shape': (2,)}`, data)],
      ['E_NPY_FORMAT', file("{'descr': '<f4', 'shape': (2,)}", data)],
      ['E_NPY_FORMAT', file('[]', data)],
      ['E_NPY_DTYPE', file(dict('(1,)', "'|O'"), data)],
      ['E_NPY_DTYPE', file(dict('(1,)', "'|O8'"), data)],
      ['E_NPY_DTYPE', file(dict('(1,)', "'<U2'"), data)],
      ['E_NPY_DTYPE', file(dict('(1,)', "'<c8'"), data)],
      ['E_NPY_DTYPE', file(dict('(1,)', "[('a', '<f4'), ('b', '<f4')]"), data)],
    ];
    for (const [code, bytes] of cases) {
      expect(
        codeOf(() => parseNpy(bytes, 'x.npy')),
        Buffer.from(bytes).toString('latin1'),
      ).to.equal(code);
    }
    const long = file(dict('(2,)').padEnd(70_000), data, 2);
    expect(codeOf(() => parseNpy(long, 'x.npy'))).to.equal('E_NPY_FORMAT');
    expect(codeOf(() => openNpy(join(folder, 'absent.npy')))).to.equal('E_NPY_READ');
    expect(codeOf(() => openNpy(folder))).to.equal('E_NPY_READ');
  });

  it('survives any damage to a header', () => {
    const sound = encodeNpy(Tensor.of('float', [4, 2], new Float32Array(8)));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 127 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }),
        fc.nat({ max: sound.length }),
        (damage, length) => {
          const bytes = sound.slice(0, Math.max(length, 20));
          for (const [at, byte] of damage) if (at < bytes.length) bytes[at] = byte;
          try {
            const array = parseNpy(bytes, 'x.npy');
            if (array.shape.length > 0) array.rows(0, array.shape[0]!);
          } catch (error) {
            expect(error).to.be.instanceOf(QuantcError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('opens archives, stored and deflated, and refuses damaged ones', () => {
    const array = encodeNpy(Tensor.of('uint8', [5], Uint8Array.of(1, 2, 3, 4, 5)));
    for (const level of [0, 6] as const) {
      const path = join(folder, `level${level}.npz`);
      const zip = zipSync({ 'a.npy': array, 'readme.txt': Uint8Array.of(1), 'b.npy': array }, { level });
      writeFileSync(path, zip);
      const arrays = openNpz(path);
      expect([...arrays.keys()]).to.deep.equal(['a', 'b']);
      expect(arrays.get('b')!.rows(1, 2).data()).to.deep.equal(Uint8Array.of(2, 3));
      // Every byte of the archive in turn is damaged: an error with a code, or arrays.
      for (let at = 0; at < zip.length; at++) {
        const damaged = zip.slice();
        damaged[at]! ^= 0x55;
        writeFileSync(path, damaged);
        expect(['none', 'E_NPZ_FORMAT', 'E_NPY_FORMAT', 'E_NPY_DTYPE'], `byte ${at}`).to.include(
          codeOf(() => openNpz(path)),
        );
      }
    }
    writeFileSync(join(folder, 'none.npz'), 'PK but nothing more');
    expect(codeOf(() => openNpz(join(folder, 'none.npz')))).to.equal('E_NPZ_FORMAT');
  });
});
