import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { BuildStore, take } from '../../src/build/store.js';
import type { TargetReport } from '../../src/report/report.js';

const KEY = 'a'.repeat(64);
const report = { model: 'net.onnx' } as TargetReport;

describe('store of builds', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-store-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function filled(key = KEY, bytes = 1000): Promise<BuildStore> {
    const store = new BuildStore(folder);
    const workplace = store.workplace();
    writeFileSync(join(workplace, 'net.onnx'), Buffer.alloc(bytes, 7));
    writeFileSync(join(workplace, 'net.onnx_data'), Buffer.alloc(bytes, 9));
    await store.seal(workplace, [report], ['net.onnx', 'net.onnx_data']);
    store.keep(key, workplace);
    return store;
  }

  /** What a build would take: every file whole, or nothing. */
  async function taken(store: BuildStore): Promise<Buffer[] | undefined> {
    const found = store.find(KEY);
    if (found === undefined) return undefined;
    const copies: Buffer[] = [];
    for (const file of found.build.files) {
      const to = join(folder, 'copy', file.path);
      if (!(await take(found.folder, file, to))) return undefined;
      copies.push(readFileSync(to));
    }
    return copies;
  }

  it('gives back what was kept', async () => {
    const store = await filled();
    expect((await taken(store))!.map((each) => each[0])).to.deep.equal([7, 9]);
    expect(store.find(KEY)!.build.reports).to.deep.equal([report]);
    expect(store.find('b'.repeat(64))).to.equal(undefined);
  });

  it('never gives out what was damaged, in 200 ways', async () => {
    const damage = fc.record({
      file: fc.constantFrom('net.onnx', 'net.onnx_data', 'entry.json'),
      kind: fc.constantFrom('flip', 'cut', 'append', 'remove', 'folder'),
      at: fc.double({ min: 0, max: 0.999, noNaN: true }),
      bit: fc.integer({ min: 0, max: 7 }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, kind, at, bit }) => {
        rmSync(folder, { recursive: true, force: true });
        const store = await filled(KEY, 100);
        const path = join(folder, 'builds', KEY, file);
        const bytes = readFileSync(path);
        if (kind === 'flip') {
          bytes[Math.floor(at * bytes.length)]! ^= 1 << bit;
          writeFileSync(path, bytes);
        } else if (kind === 'cut') truncateSync(path, Math.floor(at * bytes.length));
        else if (kind === 'append') appendFileSync(path, 'x');
        else if (kind === 'remove') rmSync(path);
        else rmSync(join(folder, 'builds', KEY), { recursive: true });
        const copies = await taken(store);
        // An entry that reads the same after all, such as one with more behind its last line, may be used.
        if (copies !== undefined)
          expect(copies.map((each) => [each.length, each[0]])).to.deep.equal([
            [100, 7],
            [100, 9],
          ]);
        if (file !== 'entry.json') expect(copies).to.equal(undefined);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps the first of two that built the same', async () => {
    await filled();
    await filled();
    expect(readdirSync(join(folder, 'builds')).filter((name) => name === KEY)).to.have.length(1);
  });

  it('forgets what was not used for longest', async () => {
    const keys = ['1', '2', '3'].map((digit) => digit.repeat(64));
    let store = new BuildStore(folder);
    for (const [age, key] of keys.entries()) {
      store = await filled(key);
      const used = new Date(2020, age + 1, 1);
      utimesSync(join(folder, 'builds', key, 'entry.json'), used, used);
    }
    store.find(keys[0]!);
    store.sweep(6000);
    expect(keys.map((key) => store.find(key) !== undefined)).to.deep.equal([true, false, true]);
  });

  it('keeps nothing where it has no folder', async () => {
    const store = new BuildStore(undefined);
    const workplace = store.workplace();
    try {
      expect(store.keep(KEY, workplace)).to.equal(workplace);
      expect(store.find(KEY)).to.equal(undefined);
    } finally {
      rmSync(workplace, { recursive: true });
    }
  });
});
