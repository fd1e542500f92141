import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { dataOf, textOf } from '../../src/compile/answer-text.js';
import { AnswerCache } from '../../src/compile/cache.js';
import { cacheFolder, defaultCacheFolder } from '../../src/compile/cache-folder.js';
import { QuantcError } from '../../src/errors/error.js';
import { modelDigest, parseModel, readModel, setConstant, Tensor } from '../../src/index.js';

describe('the cache', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-cache-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const counted = <T>(answer: T) => {
    const compute = async (): Promise<T> => {
      compute.calls += 1;
      return answer;
    };
    compute.calls = 0;
    return compute;
  };
  const only = (): string => {
    const [name, ...rest] = readdirSync(folder);
    expect(rest).to.deep.equal([]);
    return join(folder, name!);
  };

  it('answers later compilations from its folder, and only the same question', async () => {
    const answer = counted({ db: Number.POSITIVE_INFINITY, counts: Float64Array.of(1, 2, -0) });
    const first = await new AnswerCache(folder).remember('k', [{ a: 1, b: [2] }], answer);
    const again = new AnswerCache(folder);
    expect(await again.remember('k', [{ b: [2], a: 1 }], answer)).to.deep.equal(first);
    expect([answer.calls, again.hits, again.misses]).to.deep.equal([1, 1, 0]);
    expect(first).to.deep.equal({ db: Number.POSITIVE_INFINITY, counts: Float64Array.of(1, 2, -0) });
    for (const [kind, key] of [
      ['k', [{ a: 1, b: ['2'] }]],
      ['k', [{ a: 1, b: 2 }]],
      ['other', [{ a: 1, b: [2] }]],
    ] as const)
      await again.remember(kind, key, answer);
    expect(answer.calls).to.equal(4);
  });

  it('keeps the order of what an answer holds', async () => {
    const answer = { second: 1, first: { z: 1, a: 2 } };
    for (const at of [folder, folder, undefined]) {
      const told = await new AnswerCache(at).remember('order', [], async () => answer);
      expect(JSON.stringify(told)).to.equal(JSON.stringify(answer));
    }
  });

  it('gives every asker a copy', async () => {
    const cache = new AnswerCache(undefined);
    const answer = counted([1, 2]);
    const [one, two] = await Promise.all([cache.remember('k', [], answer), cache.remember('k', [], answer)]);
    one.push(3);
    expect(two).to.deep.equal([1, 2]);
    expect(await cache.remember('k', [], answer)).to.deep.equal([1, 2]);
    expect(answer.calls).to.equal(1);
  });

  it('keeps no failure, and tells it to all who wait', async () => {
    const cache = new AnswerCache(folder);
    let calls = 0;
    const fails = async (): Promise<number> => {
      calls += 1;
      await new Promise((done) => setTimeout(done, 5));
      throw new QuantcError('E_ABORTED', 'stopped');
    };
    const asked = await Promise.allSettled([cache.remember('k', [], fails), cache.remember('k', [], fails)]);
    expect(asked.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    expect(calls).to.equal(1);
    expect(readdirSync(folder)).to.deep.equal([]);
    expect(await cache.remember('k', [], async () => 7)).to.equal(7);
  });

  it('refuses what does not come back as it was', async () => {
    const cache = new AnswerCache(folder);
    for (const bad of [new Map(), 1n, () => 1, { $: 1 }, new Date(), undefined, BigInt64Array.of(1n)]) {
      const error = await cache.remember('k', [], async () => bad).catch((thrown: unknown) => thrown);
      expect((error as QuantcError).code, String(bad)).to.equal('F_CACHE_DATA');
    }
  });

  it('brings any data back', () => {
    const data = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.double(),
        fc.string(),
        fc.boolean(),
        fc.constant(null),
        fc.float32Array(),
        fc.float64Array(),
        fc.array(tie('any')),
        fc.dictionary(
          fc.string().filter((name) => !['$', '__proto__'].includes(name)),
          tie('any'),
          {
            noNullPrototype: true,
          },
        ),
      ),
    })).any;
    fc.assert(fc.property(data, (each) => void expect(dataOf(textOf(each))).to.deep.equal(each)));
  });

  it('computes again what was damaged in any place, and mends it', async () => {
    const answer = counted({ range: [0.25, 1 / 3] });
    await new AnswerCache(folder).remember('k', ['x'], answer);
    const path = only();
    const sound = readFileSync(path);
    const damages: Buffer[] = [
      Buffer.alloc(0),
      sound.subarray(0, sound.length / 2),
      Buffer.from('{}\n{}\n{}\n'),
    ];
    for (let at = 0; at < sound.length; at += 7) {
      const damaged = Buffer.from(sound);
      damaged[at]! ^= 1;
      damages.push(damaged);
    }
    let calls = answer.calls;
    for (const damaged of damages) {
      writeFileSync(path, damaged);
      expect(await new AnswerCache(folder).remember('k', ['x'], answer)).to.deep.equal({
        range: [0.25, 1 / 3],
      });
      expect(answer.calls).to.equal(++calls);
      expect(readFileSync(path).equals(sound)).to.equal(true);
    }
  });

  it('does not take the answer to another question, whatever its file is called', async () => {
    await new AnswerCache(folder).remember('k', ['x'], async () => 1);
    const other = only();
    const content = readFileSync(other);
    rmSync(other);
    await new AnswerCache(folder).remember('k', ['y'], async () => 2);
    writeFileSync(only(), content);
    expect(await new AnswerCache(folder).remember('k', ['y'], async () => 2)).to.equal(2);
  });

  it('works without a folder that can be written to, and says so', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const cache = new AnswerCache(join(file, 'below'));
    const answer = counted(5);
    expect(await cache.remember('k', [], answer)).to.equal(5);
    expect(await cache.remember('k', [], answer)).to.equal(5);
    expect(cache.refused).to.match(/ENOTDIR|EEXIST|ENOENT/);
    expect(answer.calls).to.be.at.most(2);
    expect(() => cacheFolder(join(file, 'below')))
      .to.throw(QuantcError)
      .with.property('code', 'E_CACHE_FOLDER');
    expect(cacheFolder(false)).to.equal(undefined);
    expect(cacheFolder(undefined)).to.equal(defaultCacheFolder());
  });

  it('lets go of what was not read for longest, and of what dead processes left', async () => {
    const text = 'x'.repeat(1000);
    const bytes = (await written('a')) + (await written('b'));
    const dead = join(folder, `${'0'.repeat(64)}.00ff.tmp`);
    writeFileSync(dead, '');
    utimesSync(dead, 1, 1);
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    const cache = new AnswerCache(folder, { maxBytes: bytes });
    for (const name of readdirSync(folder).filter((each) => each.endsWith('.json')))
      utimesSync(join(folder, name), 1000, 1000);
    await cache.remember('a', [], async () => text);
    await cache.remember('c', [], async () => text);
    expect(readdirSync(folder).filter((each) => each.endsWith('.tmp'))).to.deep.equal([]);
    expect(readdirSync(folder)).to.include('notes.txt');
    const kept = new AnswerCache(folder);
    await kept.remember('a', [], async () => text);
    await kept.remember('c', [], async () => text);
    expect([kept.hits, kept.misses]).to.deep.equal([2, 0]);
    expect(readdirSync(folder)).to.have.length(3);

    async function written(kind: string): Promise<number> {
      await new AnswerCache(folder).remember(kind, [], async () => text);
      return text.length + 300;
    }
  });

  it('is shared by processes that ask at once', async function () {
    this.timeout(60_000);
    const script = join(import.meta.dirname, 'cache-asker.ts');
    const ask = (): Promise<number> =>
      new Promise((done, fail) => {
        const child = fork(script, [folder], { execArgv: ['--import', 'tsx'] });
        child.on('error', fail).on('exit', (code) => done(code ?? -1));
      });
    expect(await Promise.all([ask(), ask(), ask()])).to.deep.equal([0, 0, 0]);
    expect(readdirSync(folder).every((name) => name.endsWith('.json'))).to.equal(true);
    expect(readdirSync(folder)).to.have.length(20);
  });
});

describe('modelDigest', () => {
  const text = `<ir_version: 8, opset_import: ["" : 21]>
    g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Mul (x, w) }`;

  it('tells every change that changes results, and no other', () => {
    const digest = modelDigest(parseModel(text));
    expect(modelDigest(parseModel(text))).to.equal(digest);
    for (const [from, to] of [
      ['{1, 2}', '{1, 2.0000002}'],
      ['Mul', 'Add'],
      ['(x, w)', '(w, x)'],
      ['21', '20'],
      ['float[2] x', 'float[N] x'],
    ] as const)
      expect(modelDigest(parseModel(text.replace(from, to))), to).not.to.equal(digest);
    const named = parseModel(text);
    named.producerName = 'another';
    expect(modelDigest(named)).to.equal(digest);
  });

  it('sees weights that stand in files, that are computed, and that are large', () => {
    const model = readModel('models/shapes-cnn/model.onnx');
    const digest = modelDigest(model);
    const weight = [...model.graph.initializers].find((value) => value.constant!.count > 100)!;
    const tensor = weight.constant!;
    const derived = Tensor.derive(tensor.dtype, tensor.shape, [tensor], ([from]) => from!.bytes());
    setConstant(weight, derived);
    expect(modelDigest(model)).to.equal(digest);
    const floats = Float32Array.from(tensor.toFloat32());
    floats[77]! += 1e-3;
    setConstant(weight, Tensor.floats(floats, tensor.shape));
    expect(modelDigest(model)).not.to.equal(digest);
  });
});
