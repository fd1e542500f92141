import { expect } from 'chai';
import wavefile from 'wavefile';
import { openData } from '../../../src/calibration/data.js';
import { SeededRandom } from '../../../src/calibration/random.js';
import type { QuantcError } from '../../../src/errors/error.js';
import { inferTypes } from '../../../src/runtime/types.js';
import { parseModel } from '../../../src/text/parse.js';
import { batchesOf, errorOf, input, type TestFolder, testFolder } from './folder.js';

function wav(samples: number[] | number[][], rate = 8000, bits = '16'): Uint8Array {
  const file = new wavefile.WaveFile();
  const channels = Array.isArray(samples[0]) ? samples.length : 1;
  file.fromScratch(channels, rate, bits, samples);
  return file.toBuffer();
}

describe('sound as data', () => {
  let folder: TestFolder;
  beforeEach(() => {
    folder = testFolder();
  });
  afterEach(() => folder.remove());
  const open = async (
    audio: object,
    shape: readonly (string | number)[] = ['N', 4],
    more: object = {},
    split: 'calib' | 'eval' = 'calib',
  ) => {
    folder.write('data.json', { inputs: { x: { calib: 'sounds', eval: 'sounds', audio } }, ...more });
    return openData(folder.path, split, [input('x', shape)], { batch: 100 });
  };
  const rows = async (...args: Parameters<typeof open>) => {
    const [batch] = await batchesOf(await open(...args));
    const x = batch!.feeds['x']!;
    const width = x.shape.at(-1)!;
    return Array.from({ length: x.shape[0]! }, (_, i) => [
      ...x.toFloat32().slice(i * width, (i + 1) * width),
    ]);
  };
  const unit = (values: number[]) => values.map((x) => x / 32768);

  it('comes in windows, file by file, short ones with silence behind', async () => {
    folder.write('sounds/b.wav', wav([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    folder.write('sounds/a.wav', wav([-32768, 5]));
    expect(await rows({ sampleRate: 8000 })).to.deep.equal([
      unit([-32768, 5, 0, 0]),
      unit([1, 2, 3, 4]),
      unit([5, 6, 7, 8]),
    ]);
    expect((await rows({ sampleRate: 8000, length: 3, hop: 2 }, ['N', 'T'])).slice(1)).to.deep.equal(
      [1, 3, 5, 7].map((from) => unit([from, from + 1, from + 2])),
    );
    const [batch] = await batchesOf(await open({ sampleRate: 8000 }, ['N', 1, 4]));
    expect(batch!.feeds['x']!.shape).to.deep.equal([3, 1, 4]);
  });

  it('is full scale ±1 whatever its bits, and the mean of its channels', async () => {
    const cases: [string, number[] | number[][], number[]][] = [
      ['8', [0, 128, 255, 192], [-1, 0, 127 / 128, 0.5]],
      ['24', [-8388608, 0, 4194304, 8388607], [-1, 0, 0.5, 8388607 / 8388608]],
      ['32f', [-1, 0, 0.5, 2], [-1, 0, 0.5, 2]],
      [
        '16',
        [
          [0, 100, -32768, 2],
          [200, 100, 0, 4],
        ],
        unit([100, 100, -16384, 3]),
      ],
    ];
    for (const [bits, samples, expected] of cases) {
      folder.write('sounds/a.wav', wav(samples, 8000, bits));
      const [got] = await rows({ sampleRate: 8000 });
      for (const [i, x] of got!.entries()) expect(x, bits).to.be.closeTo(expected[i]!, 1e-6);
    }
  });

  it('is labelled by folder, every window like its file', async () => {
    folder.write('sounds/yes/1.wav', wav([1, 2, 3, 4, 5, 6, 7, 8]));
    folder.write('sounds/no/1.wav', wav([1, 2, 3, 4]));
    const data = await open({ sampleRate: 8000 }, ['N', 4], { labels: { folders: ['yes', 'no'] } }, 'eval');
    expect([...data.labels!]).to.deep.equal([1, 0, 0]);
  });

  it('is refused before any run, by file', async () => {
    const code = async (
      name: string,
      content: Uint8Array | string,
      audio: object = { sampleRate: 8000 },
      shape?: (string | number)[],
    ) => {
      const path = folder.write(`sounds/${name}`, content);
      const error = await errorOf(() => open(audio, shape));
      expect(
        error.place.file === path || error.code === 'E_DATA_LENGTH',
        `${name}: ${error.place.file}`,
      ).to.equal(true);
      folder.remove();
      return error.code;
    };
    const sound = wav([1, 2, 3, 4]);
    expect(await code('a.wav', wav([1, 2], 16000))).to.equal('E_DATA_RATE');
    expect(await code('a.wav', 'RIFF and the rest')).to.equal('E_DATA_AUDIO');
    expect(await code('a.wav', sound.subarray(0, sound.length - 4))).to.equal('E_DATA_AUDIO');
    expect(await code('a.wav', wav([]))).to.equal('E_DATA_AUDIO');
    expect(await code('a.wav', sound, { sampleRate: 8000 }, ['N', 'T'])).to.equal('E_DATA_LENGTH');
    folder.write('sounds/a.wav', wav([0, Number.NaN, 0, 0], 8000, '32f'));
    const nan = await errorOf(() => open({ sampleRate: 8000 }));
    expect([nan.code, nan.place.value]).to.deep.equal(['E_DATA_NAN', 'x']);
  });
});

describe('damaged sound', () => {
  it('ends in a coded error or in sound, never in anything else', async () => {
    const folder = testFolder();
    const file = new wavefile.WaveFile();
    file.fromScratch(1, 8000, '16', [1, 2, 3, 4, 5, 6, 7, 8]);
    file.setCuePoint({ position: 3, label: 'here' });
    const sound = file.toBuffer();
    const random = new SeededRandom(5);
    folder.write('data.json', { inputs: { x: { calib: 'a.wav', audio: { sampleRate: 8000, length: 4 } } } });
    for (let run = 0; run < 150; run++) {
      const damaged = Uint8Array.from(sound);
      // Mostly in the headers: the number of channels among them, and at the end that of cue points.
      for (let i = 0; i <= random.integer(3); i++) {
        const at = random.integer(2) === 0 ? random.integer(44) : sound.length - 1 - random.integer(80);
        damaged[at] = random.integer(2) === 0 ? 0 : random.integer(256);
      }
      folder.write(
        'a.wav',
        damaged.subarray(0, random.integer(3) === 0 ? random.integer(damaged.length) : undefined),
      );
      try {
        await batchesOf(await openData(folder.path, 'calib', [input('x', ['N', 4])]));
      } catch (error) {
        expect((error as QuantcError).code).to.match(/^E_DATA_(AUDIO|RATE|NAN)$/);
      }
    }
    folder.remove();
  }).timeout(20_000);
});

describe('tokens as data', () => {
  let folder: TestFolder;
  beforeEach(() => {
    folder = testFolder();
  });
  afterEach(() => folder.remove());
  const ids = [input('input_ids', ['N', 'T'], 'int64')];
  const open = (file: string, tokens: object = { length: 3 }, signature = ids, path?: string) => {
    folder.write('data.json', { metric: 'perplexity', inputs: { input_ids: { calib: file, tokens } } });
    return openData(path ?? folder.path, 'calib', signature);
  };
  const rows = async (...args: Parameters<typeof open>) => {
    const batches = await batchesOf(await open(...args));
    return batches.flatMap(({ feeds: { input_ids: x } }) =>
      Array.from({ length: x!.shape[0]! }, (_, i) =>
        x!.toNumbers().slice(i * x!.shape[1]!, (i + 1) * x!.shape[1]!),
      ),
    );
  };

  it('come in windows from text, lists and bytes', async () => {
    folder.write('a.txt', '1 2 3\n4,5 6 7\n\n8 9\r\n10 11\n');
    expect(await rows('a.txt')).to.deep.equal([
      [1, 2, 3],
      [4, 5, 6],
      [8, 9, 10],
    ]);
    expect(await rows('a.txt', { length: 3, stride: 2 })).to.deep.equal([
      [1, 2, 3],
      [3, 4, 5],
      [5, 6, 7],
      [8, 9, 10],
    ]);
    folder.write('a.json', '[1, 2, 3, 4, 5, 6]');
    expect(await rows('a.json')).to.deep.equal([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    folder.write('b.json', '[[1, 2, 3, 4], [5, 6]]');
    expect(await rows('b.json', { length: 3, pad: 0 })).to.deep.equal([
      [1, 2, 3],
      [4, 0, 0],
      [5, 6, 0],
    ]);
    folder.write('c.bin', new Uint8Array(Uint16Array.of(1, 2, 65535, 4, 5, 6, 7).buffer));
    expect(await rows('c.bin', { length: 3, dtype: 'uint16' })).to.deep.equal([
      [1, 2, 65535],
      [4, 5, 6],
    ]);
    folder.write('d.bin', new Uint8Array(Int32Array.of(1, 2, 70000).buffer));
    expect(await rows('d.bin', { length: 3, dtype: 'int32' })).to.deep.equal([[1, 2, 70000]]);
    // On its own, where the model says the length.
    const bare = folder.write('e.txt', '1 2 3 4');
    expect(await rows('a.txt', {}, [input('input_ids', ['N', 2], 'int32')], bare)).to.deep.equal([
      [1, 2],
      [3, 4],
    ]);
  });

  it('bring along what a transformer wants beside them', async () => {
    folder.write('a.json', '[[1, 2, 3], [4]]');
    const signature = [
      ...ids,
      input('attention_mask', ['N', 'T'], 'int64'),
      input('position_ids', ['N', 'T'], 'int32'),
      input('token_type_ids', ['N', 'T'], 'int64'),
    ];
    const data = await open('a.json', { length: 3, pad: 9 }, signature);
    const { feeds } = (await batchesOf(data))[0]!;
    expect(feeds['attention_mask']!.toNumbers()).to.deep.equal([1, 1, 1, 1, 0, 0]);
    expect(feeds['position_ids']!.toNumbers()).to.deep.equal([0, 1, 2, 0, 1, 2]);
    expect(feeds['position_ids']!.dtype).to.equal('int32');
    expect(feeds['token_type_ids']!.toNumbers()).to.deep.equal([0, 0, 0, 0, 0, 0]);
    const mask = await open('a.json', { length: 3, pad: 9 }, [
      ...ids,
      input('attention_mask', ['N', 'T'], 'bool'),
    ]);
    expect([...(await batchesOf(mask))[0]!.feeds['attention_mask']!.bytes()]).to.deep.equal([
      1, 1, 1, 1, 0, 0,
    ]);
    const unknown = await errorOf(() =>
      open('a.json', { length: 3, pad: 9 }, [...ids, input('labels', ['N', 'T'], 'int64')]),
    );
    expect([unknown.code, unknown.place.value]).to.deep.equal(['E_DATA_INPUTS', 'labels']);
  });

  it('are refused where they are none, or belong to another model', async () => {
    const code = async (file: string, content: string | Uint8Array, tokens: object = { length: 3 }) => {
      folder.write(file, content);
      return (await errorOf(() => open(file, tokens))).code;
    };
    expect(await code('a.txt', 'Once upon a time')).to.equal('E_DATA_TOKENS');
    expect(await code('a.txt', '1 2 -3')).to.equal('E_DATA_TOKENS');
    expect(await code('a.txt', '1 2 2147483648')).to.equal('E_DATA_TOKENS');
    expect(await code('a.json', '{"ids": [1]}')).to.equal('E_DATA_TOKENS');
    expect(await code('a.json', '[1, 2.5, 3]')).to.equal('E_DATA_TOKENS');
    expect(await code('a.json', '[1, [2]]')).to.equal('E_DATA_TOKENS');
    expect(await code('a.json', '[1, ')).to.equal('E_DATA_TOKENS');
    expect(await code('a.bin', new Uint8Array(8))).to.equal('E_DATA_TOKENS');
    expect(await code('a.bin', new Uint8Array(7), { length: 3, dtype: 'uint16' })).to.equal('E_DATA_TOKENS');
    expect(await code('a.txt', '1 2')).to.equal('E_DATA_EMPTY');
    expect(await code('a.txt', '1 2', {})).to.equal('E_DATA_LENGTH');

    const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (int64[N,T] input_ids) => (float[N,T,2] y) <float[7,2] table = ["fill": "normal:1"]> {
  flat = Cast <to = 6> (input_ids)
  y = Gather (table, flat)
}`);
    await inferTypes(model);
    const path = folder.write('a.txt', '1 2 6');
    expect((await open('a.txt', { length: 3 }, [...model.graph.inputs])).count).to.equal(1);
    folder.write('a.txt', '1 2 7');
    const beyond = await errorOf(() => open('a.txt', { length: 3 }, [...model.graph.inputs]));
    expect([beyond.code, beyond.place.file, beyond.place.value]).to.deep.equal([
      'E_DATA_RANGE',
      path,
      'input_ids',
    ]);
    expect(beyond.message).to.include('7 is looked up in a table of 7');
  });
});
