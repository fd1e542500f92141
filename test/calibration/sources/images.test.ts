import { expect } from 'chai';
import fc from 'fast-check';
import { encode as encodePng } from 'fast-png';
import jpeg from 'jpeg-js';
import { openData } from '../../../src/calibration/data.js';
import { SeededRandom } from '../../../src/calibration/random.js';
import { imageDecoder } from '../../../src/calibration/sources/decode-image.js';
import { cut, type Picture, resize } from '../../../src/calibration/sources/resize.js';
import type { QuantcError } from '../../../src/errors/error.js';
import { batchesOf, errorOf, input, type TestFolder, testFolder } from './folder.js';

/** A picture whose bytes follow from where they lie. */
function painted(width: number, height: number, channels = 3, seed = 0): Picture {
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 7 + seed * 31) % 256);
  return { width, height, channels, data };
}
const png = (width: number, height: number, channels = 3, seed = 0): Uint8Array =>
  encodePng(painted(width, height, channels, seed));

describe('pictures as data', () => {
  let folder: TestFolder;
  beforeEach(() => {
    folder = testFolder();
  });
  afterEach(() => folder.remove());

  const declare = (images: object, more: object = {}) =>
    folder.write('data.json', { inputs: { x: { calib: 'pictures', eval: 'pictures', images } }, ...more });
  const nchw = [input('x', ['N', 3, 4, 4])];

  it('become what the model takes: layout, channel order, scale, mean, std', async () => {
    folder.write('pictures/a.png', png(4, 4));
    const { data: bytes } = painted(4, 4);
    const value = (channel: number, at: number) => bytes[at * 3 + channel]!;
    const mean = [0.5, 0.4, 0.3];
    const std = [0.25, 0.5, 1];
    declare({ scale: 1 / 255, mean, std });
    const [plain] = await batchesOf(await openData(folder.path, 'calib', nchw));
    const x = plain!.feeds['x']!;
    expect(x.shape).to.deep.equal([1, 3, 4, 4]);
    x.toFloat32().forEach((got, i) => {
      const [channel, at] = [Math.floor(i / 16), i % 16];
      expect(got).to.be.closeTo((value(channel, at) / 255 - mean[channel]!) / std[channel]!, 1e-6);
    });
    declare({ channels: 'BGR' });
    const nhwc = [input('x', ['N', 4, 4, 3], 'uint8')];
    const [swapped] = await batchesOf(await openData(folder.path, 'calib', nhwc));
    expect([...(swapped!.feeds['x']!.data() as Uint8Array).slice(0, 3)]).to.deep.equal([
      value(2, 0),
      value(1, 0),
      value(0, 0),
    ]);
    const front = [input('x', ['N', 3, 4, 4], 'uint8')];
    const [planes] = await batchesOf(await openData(folder.path, 'calib', front));
    expect([...(planes!.feeds['x']!.data() as Uint8Array).slice(0, 2)]).to.deep.equal([
      value(2, 0),
      value(2, 1),
    ]);
    declare({ scale: 2 });
    const [gray] = await batchesOf(await openData(folder.path, 'calib', [input('x', ['N', 1, 4, 4])]));
    const luma = Math.floor((299 * value(0, 0) + 587 * value(1, 0) + 114 * value(2, 0) + 500) / 1000);
    expect(gray!.feeds['x']!.toFloat32()[0]).to.equal(2 * luma);
  });

  it('come in the order of their names, some of them evenly spread, labelled by folder, file or list', async () => {
    const names = ['dog/2.png', 'cat/10.png', 'cat/9.png', 'dog/.hidden.png', 'dog/1.png', 'notes.txt'];
    for (const [i, name] of names.entries()) {
      folder.write(`pictures/${name}`, name.endsWith('png') ? png(4, 4, 3, i) : 'no picture');
    }
    const open = async (labels: unknown, split: 'calib' | 'eval' = 'eval') => {
      declare({}, { labels, metric: 'top1' });
      return openData(folder.path, split, nchw);
    };
    const data = await open({ folders: 'sorted' });
    expect([data.count, data.metric]).to.deep.equal([4, 'top1']);
    expect([...data.labels!], 'cat before dog').to.deep.equal([0, 0, 1, 1]);
    expect([...(await open({ folders: ['dog', 'fox', 'cat'] })).labels!]).to.deep.equal([2, 2, 0, 0]);
    folder.write('list.txt', 'dog/1.png 7\ncat/10.png,5\n9.png 6\n2.png 8\n');
    expect([...(await open('list.txt')).labels!]).to.deep.equal([5, 6, 7, 8]);
    folder.write('list.json', [4, 3, 2, 1]);
    expect([...(await open('list.json')).labels!]).to.deep.equal([4, 3, 2, 1]);
    expect((await open('list.json', 'calib')).labels).to.equal(undefined);
    const first = (await batchesOf(data))[0]!.feeds['x']!.toFloat32();
    expect(first[0], 'cat/10.png').to.equal(painted(4, 4, 3, 1).data[0]);
    for (const labels of ['list.txt', { folders: ['dog'] }, 'short.json', 'strange.txt']) {
      folder.write('list.txt', 'dog/1.png 7\n');
      folder.write('short.json', [1]);
      folder.write('strange.txt', 'dog\n');
      expect((await errorOf(() => open(labels))).code).to.equal('E_DATA_LABELS');
    }
    folder.write('data.json', {
      inputs: { x: { calib: { path: 'pictures', samples: 2 }, images: {} } },
    });
    const some = await openData(folder.path, 'calib', nchw);
    const seeds = (await batchesOf(some))[0]!.feeds['x']!.toFloat32();
    expect([some.count, seeds[0], seeds[48]]).to.deep.equal([
      2,
      painted(4, 4, 3, 2).data[0],
      painted(4, 4, 3, 0).data[0],
    ]);
  });

  it('are fitted as declared', async () => {
    folder.write('pictures/a.png', png(8, 6));
    const fed = async (images: object) => {
      declare(images);
      const [batch] = await batchesOf(await openData(folder.path, 'calib', [input('x', ['N', 4, 4, 3])]));
      return [...batch!.feeds['x']!.toFloat32()];
    };
    const whole = painted(8, 6);
    expect(await fed({ fit: 'stretch' })).to.deep.equal([...resize(whole, 4, 4).data]);
    expect(await fed({ fit: 'stretch', filter: 'nearest' })).to.deep.equal([
      ...resize(whole, 4, 4, 'nearest').data,
    ]);
    expect(await fed({ fit: 'crop' })).to.deep.equal([
      ...cut(whole, { left: 2, top: 1, width: 4, height: 4 }).data,
    ]);
    const cover = resize(whole, 5, 4);
    expect(await fed({ fit: 'cover' })).to.deep.equal([
      ...cut(cover, { left: 0, top: 0, width: 4, height: 4 }).data,
    ]);
    const short = resize(whole, 6, 5);
    expect(await fed({ fit: 'cover', shortSide: 5 })).to.deep.equal([
      ...cut(short, { left: 1, top: 0, width: 4, height: 4 }).data,
    ]);
    const corner = await fed({ fit: 'contain', fill: 114, anchor: 'corner' });
    expect(corner.slice(0, 36)).to.deep.equal([...resize(whole, 4, 3).data]);
    expect(corner.slice(36)).to.deep.equal(Array(12).fill(114));
    expect((await fed({ fit: 'contain', fill: [1, 2, 3], size: [4, 4] })).slice(36, 39)).to.deep.equal([
      1, 2, 3,
    ]);
    expect((await errorOf(() => fed({}))).message)
      .to.include('8×6')
      .and.include('nothing says how');
    expect((await errorOf(() => fed({ fit: 'cover', shortSide: 3 }))).code).to.equal('E_DATA_SIZE');
  });

  it('are refused before any run, by file and input', async () => {
    const bytes = png(4, 4);
    const jpg = jpeg.encode({ ...painted(16, 16, 4) }, 80).data;
    const flipped = Uint8Array.from(bytes);
    flipped[45]! ^= 0xff;
    const bad: [string, Uint8Array][] = [
      ['empty.png', new Uint8Array(0)],
      ['text.png', Buffer.from('a picture, surely')],
      ['short.png', bytes.subarray(0, bytes.length - 20)],
      ['short.jpg', jpg.subarray(0, jpg.length - 200)],
      ['flipped.png', flipped],
    ];
    for (const decoder of ['sharp', 'plain'] as const) {
      for (const [name, content] of bad) {
        folder.write('pictures/good.png', bytes);
        const path = folder.write(`pictures/${name}`, content);
        declare({ fit: 'stretch' });
        const error = await errorOf(() => openData(folder.path, 'calib', nchw, { decoder }));
        expect([error.code, error.place.file], `${name} by ${decoder}`).to.deep.equal(['E_DATA_IMAGE', path]);
        folder.remove();
      }
    }
    folder.write('pictures/a.png', bytes);
    declare({});
    const code = async (signature: ReturnType<typeof input>[]) =>
      (await errorOf(() => openData(folder.path, 'calib', signature))).code;
    expect(await code([input('x', ['N', 3, 4, 'W'])])).to.equal('E_DATA_SIZE');
    expect(await code([input('x', ['N', 3, 4, 3])])).to.equal('E_DATA_LAYOUT');
    expect(await code([input('y', ['N', 3, 4, 4])])).to.equal('E_DATA_LAYOUT');
    declare({ layout: 'NCHW', size: 4 });
    expect(await code([input('y', ['N', 3, 4, 4])])).to.equal('E_DATA_INPUTS');
    expect(await code([input('x', ['N', 5, 4, 4])])).to.equal('E_DATA_SHAPE');
    declare({ mean: [1, 2] });
    expect(await code(nchw)).to.equal('E_DATA_TRANSFORM');
    declare({ colours: 3 });
    expect(await code(nchw)).to.equal('E_DATA_MANIFEST');
    folder.write('data.json', { inputs: { x: { calib: 'nothing', images: {} } } });
    expect(await code(nchw)).to.equal('E_DATA_READ');
    folder.remove();
    folder.write('a.png', bytes);
    const undeclared = await errorOf(() => openData(folder.path, 'calib', nchw));
    expect([undeclared.code, undeclared.place.value]).to.deep.equal(['E_DATA_UNDECLARED', 'x']);
    expect(undeclared.hint).to.include('data.json');
  });

  it('end in a coded error or in pixels when they are damaged', async () => {
    const random = new SeededRandom(3);
    const whole = [png(9, 7, 4), new Uint8Array(jpeg.encode(painted(16, 16, 4), 80).data)];
    for (const decoder of [await imageDecoder('plain'), await imageDecoder('sharp')]) {
      for (let run = 0; run < 150; run++) {
        const damaged = Uint8Array.from(whole[run % 2]!);
        for (let i = 0; i <= random.integer(3); i++)
          damaged[random.integer(damaged.length)] = random.integer(256);
        try {
          const { width, height, channels, data } = await decoder.decode(damaged, 'x.png');
          expect(data.length).to.equal(width * height * channels);
        } catch (error) {
          expect((error as QuantcError).code).to.equal('E_DATA_IMAGE');
        }
      }
    }
  });

  it('have a digest of their contents and of what is declared', async () => {
    const digest = async (images: object, seed = 0) => {
      folder.write('pictures/a.png', png(4, 4, 3, seed));
      folder.write('pictures/b.png', png(4, 4, 3, 9));
      declare(images);
      return openData(folder.path, 'calib', nchw);
    };
    const plain = (await digest({})).digest();
    expect((await digest({})).digest()).to.equal(plain);
    expect((await digest({}, 1)).digest()).not.to.equal(plain);
    expect((await digest({ channels: 'BGR' })).digest()).not.to.equal(plain);
    expect((await digest({})).first(1).digest()).not.to.equal(plain);
  });

  it('are the same whoever decodes them, up to the rounding of JPEG', async () => {
    const [sharp, plain] = [await imageDecoder('sharp'), await imageDecoder('plain')];
    const both = (bytes: Uint8Array) => Promise.all([sharp, plain].map((each) => each.decode(bytes, 'x')));
    for (const channels of [1, 2, 3, 4]) {
      for (const depth of [8, 16] as const) {
        const { data, ...size } = painted(5, 3, channels);
        const wide = depth === 16 ? Uint16Array.from(data, (x) => x * 257) : data;
        const [a, b] = await both(encodePng({ ...size, channels, depth, data: wide }));
        const rgb = (picture: Picture) =>
          picture.channels === 3 ? [...picture.data] : [...picture.data].flatMap((x) => [x, x, x]);
        expect(rgb(a!), `${channels} channels of ${depth} bits`).to.deep.equal(rgb(b!));
        expect([...b!.data].slice(0, 1)).to.deep.equal([data[0]]);
      }
    }
    const smooth = Uint8Array.from(
      { length: 32 * 32 * 4 },
      (_, i) => (Math.floor(i / 128) * 4 + (i % 128)) % 256,
    );
    const [a, b] = await both(jpeg.encode({ width: 32, height: 32, data: smooth }, 90).data);
    expect([a!.width, a!.channels]).to.deep.equal([b!.width, b!.channels]);
    const off = a!.data.reduce((sum, x, i) => sum + Math.abs(x - b!.data[i]!), 0) / a!.data.length;
    expect(off).to.be.below(4);
  });
});

describe('resizing', () => {
  it('weighs neighbours by their distance, more of them when it shrinks', () => {
    const row = (values: number[]): Picture => ({
      width: values.length,
      height: 1,
      channels: 1,
      data: Uint8Array.from(values),
    });
    // Triangles two wide, over pixels 0..2 and 1..3: (0·3 + 100·3 + 200·1) / 7 and (100·1 + 200·3 + 44·3) / 7.
    expect([...resize(row([0, 100, 200, 44]), 2, 1).data]).to.deep.equal([71, 119]);
    expect([...resize(row([0, 100]), 4, 1).data]).to.deep.equal([0, 25, 75, 100]);
    expect([...resize(row([0, 100, 200, 44]), 2, 1, 'nearest').data]).to.deep.equal([100, 44]);
    // Keys' kernel at distances 1.25, 0.25, 0.75, 1.75 (a = -0.5).
    const at = [-0.0703125, 0.8671875, 0.2265625, -0.0234375];
    const expected = Math.round(10 * at[0]! + 50 * at[1]! + 90 * at[2]! + 250 * at[3]!);
    expect(resize(row([10, 50, 90, 250]), 8, 1, 'bicubic').data[3]).to.equal(expected);
  });

  it('keeps flat pictures flat, sizes that are right as they are, and computes windows alone', () => {
    const sizes = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(
        sizes,
        sizes,
        sizes,
        sizes,
        fc.constantFrom('nearest', 'bilinear', 'bicubic'),
        fc.constantFrom(1, 3),
        (w, h, width, height, filter, channels) => {
          const flat = { width: w, height: h, channels, data: new Uint8Array(w * h * channels).fill(77) };
          expect(resize(flat, width, height, filter).data.every((x) => x === 77)).to.equal(true);
          const picture = painted(w, h, channels);
          expect(resize(picture, w, h, filter).data).to.deep.equal(picture.data);
          const window = {
            left: width >> 1,
            top: height >> 2,
            width: width - (width >> 1),
            height: height - (height >> 2),
          };
          expect(resize(picture, width, height, filter, window)).to.deep.equal(
            cut(resize(picture, width, height, filter), window),
          );
        },
      ),
      { numRuns: 200 },
    );
  });
});
