import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Tensor } from '../../src/ir/tensor.js';
import { isTransposeOf } from '../../src/ir/transposed.js';

const ROWS = 300;
const COLUMNS = 7;
const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => i + 0.5);
const turned = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => {
  return values[(i % ROWS) * COLUMNS + Math.floor(i / ROWS)]!;
});

describe('ir/transposed', () => {
  const a = Tensor.of('float', [ROWS, COLUMNS], values);

  it('knows a transpose in memory and in a file', () => {
    expect(isTransposeOf(a, Tensor.of('float', [COLUMNS, ROWS], turned))).to.equal(true);
    const folder = mkdtempSync(join(tmpdir(), 'quantc-transposed-'));
    const path = join(folder, 'w.bin');
    writeFileSync(path, Buffer.concat([Buffer.alloc(3), new Uint8Array(turned.buffer)]));
    const length = turned.byteLength;
    const filed = new Tensor('float', [COLUMNS, ROWS], { kind: 'file', path, offset: 3, length });
    expect(isTransposeOf(a, filed)).to.equal(true);
    expect(isTransposeOf(filed, a)).to.equal(true);
    rmSync(folder, { recursive: true });
  });

  it('tells the last element that differs, and what is of another shape or dtype, from one', () => {
    const other = turned.slice();
    other[other.length - 1] = 0;
    expect(isTransposeOf(a, Tensor.of('float', [COLUMNS, ROWS], other))).to.equal(false);
    expect(isTransposeOf(a, a)).to.equal(false);
    expect(isTransposeOf(a, Tensor.of('int32', [COLUMNS, ROWS], new Int32Array(turned.buffer)))).to.equal(
      false,
    );
    const derived = Tensor.derive('float', [COLUMNS, ROWS], [], () => turned);
    expect(isTransposeOf(a, derived)).to.equal(false);
  });
});
