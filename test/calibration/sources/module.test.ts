import { expect } from 'chai';
import { openData } from '../../../src/calibration/data.js';
import { batchesOf, errorOf, input, type TestFolder, testFolder } from './folder.js';

describe('modules as data', () => {
  let folder: TestFolder;
  beforeEach(() => {
    folder = testFolder();
  });
  afterEach(() => folder.remove());

  const signature = [input('x', ['N', 2]), input('n', ['N'], 'int64')];
  let number = 0;
  /** Each module is a file of its own: Node loads a path once. */
  const open = (source: string, split: 'calib' | 'eval' = 'calib', ending = 'mjs', inputs = signature) =>
    openData(folder.write(`feeds-${number++}.${ending}`, source), split, inputs);
  const values = async (...args: Parameters<typeof open>) =>
    (await batchesOf(await open(...args))).map(({ feeds }) => [
      feeds['x']!.shape,
      [...feeds['x']!.toFloat32()],
      feeds['n']!.toNumbers(),
    ]);
  const feed = '{ x: [[1, 2]], n: [3] }';

  it('give feeds in every form that an iterable has, walked once and fed as often as one likes', async () => {
    const expected = [[[1, 2], [1, 2], [3]]];
    for (const source of [
      `export default [${feed}];`,
      `export default function* () { yield ${feed}; }`,
      `export default async function* () { yield ${feed}; }`,
      `export default async () => [${feed}];`,
      `export default (function* () { yield ${feed}; })();`,
      `let calls = 0; export default function* () { if (calls++) throw new Error('twice'); yield ${feed}; }`,
    ]) {
      const data = await open(source);
      for (let pass = 0; pass < 2; pass++) {
        expect(
          (await batchesOf(data)).map(({ feeds }) => [
            feeds['x']!.shape,
            [...feeds['x']!.toFloat32()],
            feeds['n']!.toNumbers(),
          ]),
        ).to.deep.equal(expected);
      }
    }
    expect(await values(`module.exports = { default: [${feed}] };`, 'calib', 'cjs')).to.deep.equal(expected);
    const typed = `interface Feed { x: number[][]; n: number[] }
      enum Start { at = 3 }
      export default function* (split: 'calib' | 'eval'): Iterable<Feed> {
        for (let i = 0; i < (split === 'eval' ? 3 : 1); i++) yield { x: [[1, 2]], n: [Start.at] } satisfies Feed;
      }
      export const labels = (split: string): number[] => [5, 6, 7];
      export const metric = 'top1';`;
    expect(await values(typed, 'calib', 'ts')).to.deep.equal(expected);
    const evaluation = await open(typed, 'eval', 'ts');
    expect([evaluation.count, [...evaluation.labels!], evaluation.metric]).to.deep.equal([
      3,
      [5, 6, 7],
      'top1',
    ]);
    expect([...evaluation.first(2).labels!]).to.deep.equal([5, 6]);
    expect((await open(typed, 'calib', 'ts')).digest()).to.equal(evaluation.first(1).digest());
    expect(evaluation.digest()).not.to.equal(evaluation.first(1).digest());
  });

  it('give tensors in every form, in batches of any size', async () => {
    for (const x of [
      'new Float32Array([1, 2])',
      '[[1, 2]]',
      '{ data: [1, 2], dims: [1, 2] }',
      '{ type: "float32", data: new Float32Array([1, 2]), dims: [1, 2] }',
      '{ data: Float64Array.of(1, 2), shape: [1, 2] }',
      'Uint8Array.of(1, 2)',
    ]) {
      for (const n of [
        '[3]',
        '[3n]',
        'BigInt64Array.of(3n)',
        'Int32Array.of(3)',
        '{ data: [3], dims: [1] }',
      ]) {
        expect(await values(`export default [{ x: ${x}, n: ${n} }];`), `${x} ${n}`).to.deep.equal([
          [[1, 2], [1, 2], [3]],
        ]);
      }
    }
    const data = await open(
      'export default [{ x: [[1, 2], [3, 4]], n: [5, 6] }, { x: [[7, 8]], n: [9] }]; export const labels = [0, 1, 2];',
      'eval',
    );
    expect((await batchesOf(data)).map(({ start, count }) => [start, count])).to.deep.equal([
      [0, 2],
      [2, 1],
    ]);
    expect([data.count, data.batch, data.first(2).count, data.first(1).count]).to.deep.equal([3, 2, 2, 2]);
    const half = await open('export default [{ x: [0.5, 2] }];', 'calib', 'mjs', [
      input('x', [2], 'float16'),
    ]);
    expect((await batchesOf(half))[0]!.feeds['x']!.dtype).to.equal('float16');
  });

  it('are refused with the number of the feed and the name of the input', async () => {
    const code = async (source: string) => {
      const error = await errorOf(() => open(source));
      expect(error.place.file).to.match(/feeds-\d+\.mjs$/);
      return [error.code, error.place.value];
    };
    const second = (text: string) => code(`export default [${feed}, ${text}];`);
    expect(await second('{ x: [[1, 2]] }')).to.deep.equal(['E_DATA_INPUTS', 'n']);
    expect(await second('{ x: [[1, 2]], n: [1], z: [1] }')).to.deep.equal(['E_DATA_INPUTS', 'z']);
    expect(await second('{ x: [[1, 2, 3]], n: [1] }')).to.deep.equal(['E_DATA_SHAPE', 'x']);
    expect(await second('{ x: [[1, 2], [3]], n: [1, 2] }')).to.deep.equal(['E_DATA_SHAPE', 'x']);
    expect(await second('{ x: [[1, 2]], n: [1, 2] }')).to.deep.equal(['E_DATA_SHAPE', 'n']);
    expect(await second('{ x: [[1, NaN]], n: [1] }')).to.deep.equal(['E_DATA_NAN', 'x']);
    expect(await second('{ x: [[1, 2]], n: [0.5] }')).to.deep.equal(['E_DATA_DTYPE', 'n']);
    expect(await second('{ x: [[1, 2]], n: Float32Array.of(1) }')).to.deep.equal(['E_DATA_DTYPE', 'n']);
    expect(await second('{ x: "text", n: [1] }')).to.deep.equal(['E_DATA_DTYPE', 'x']);
    expect(await second('7')).to.deep.equal(['E_DATA_MODULE', undefined]);
    expect(await code('export default [];')).to.deep.equal(['E_DATA_EMPTY', undefined]);
    expect(await code('export const feeds = [];')).to.deep.equal(['E_DATA_MODULE', undefined]);
    expect(await code('export default 5;')).to.deep.equal(['E_DATA_MODULE', undefined]);
    expect(await code('export default function* () { throw new Error("no"); }')).to.deep.equal([
      'E_DATA_MODULE',
      undefined,
    ]);
    expect(await code('export default (')).to.deep.equal(['E_DATA_MODULE', undefined]);
    expect(await code(`export default [${feed}]; export const metric = "best";`)).to.deep.equal([
      'E_DATA_MODULE',
      undefined,
    ]);
    const labels = await errorOf(() =>
      open(`export default [${feed}]; export const labels = [1, 2];`, 'eval'),
    );
    expect(labels.code).to.equal('E_DATA_LABELS');
    expect((await errorOf(() => openData(`${folder.path}/absent.ts`, 'calib', signature))).code).to.equal(
      'E_DATA_READ',
    );
    const message = (await errorOf(() => open(`export default [${feed}, { x: [[1, NaN]], n: [1] }];`)))
      .message;
    expect(message).to.match(/^feed 1: /);
  });
});
