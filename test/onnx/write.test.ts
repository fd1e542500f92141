/** Writing to disk: streamed, aligned, the same bytes every time, whole or not at all. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { expect } from 'chai';
import { addInitializer, createNode, Graph, Model, QuantcError, Tensor } from '../../src/index.js';
import { encodeModel } from '../../src/onnx/encode.js';
import { decodeModel, readModel } from '../../src/onnx/read.js';
import { type WriteOptions, writeModel } from '../../src/onnx/write.js';
import { codeOfAsync } from './code-of.js';
import { richModel } from './rich-model.js';

/** A model with constants of these sizes in floats, each filled with its index. */
function modelOf(sizes: readonly number[], make: (size: number, index: number) => Tensor = filled): Model {
  const graph = new Graph('g');
  sizes.forEach((size, index) => {
    const value = addInitializer(graph, make(size, index), `w${index}`);
    createNode({ endOf: graph }, { opType: 'Identity', inputs: [value], outputs: [`y${index}`] });
  });
  return new Model(graph);
}
const filled = (size: number, index: number): Tensor => Tensor.floats(new Float32Array(size).fill(index));
const derived = (size: number, index: number): Tensor =>
  Tensor.derive('float', [size], [Tensor.floats([index])], ([from]) =>
    new Float32Array(size).fill(from!.toNumbers()[0]!),
  );

describe('onnx: writing files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(joinPath(tmpdir(), 'quantc-write-'));
  });
  afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });
  const at = (name: string) => joinPath(folder, name);

  it('writes what encoding in memory gives', async () => {
    const model = decodeModel(richModel());
    const { files } = await writeModel(model, at('rich.onnx'));
    expect(files).to.deep.equal([{ path: at('rich.onnx'), bytes: richModel().length }]);
    expect(Buffer.compare(readFileSync(at('rich.onnx')), richModel())).to.equal(0);
    expect(readdirSync(folder)).to.deep.equal(['rich.onnx']);
  });

  it('puts external data beside the model: small tensors inside, all aligned, large ones to 64 KiB', async () => {
    const sizes = [3, 300, 1000, 300_000, 255, 400_000, 256];
    const model = modelOf(sizes);
    const { files } = await writeModel(model, at('m.onnx'), { externalData: 'always' });
    expect(files.map((file) => file.path)).to.deep.equal([at('m.onnx'), at('m.onnx_data')]);
    expect(files.map((file) => file.bytes)).to.deep.equal([
      readFileSync(at('m.onnx')).length,
      readFileSync(at('m.onnx_data')).length,
    ]);
    const read = readModel(at('m.onnx'));
    const places = [...read.graph.initializers].map((value, index) => {
      expect(value.constant!.toNumbers()).to.deep.equal(new Array(sizes[index]).fill(index));
      const { source } = value.constant!;
      return source.kind === 'file' ? source.offset : -1;
    });
    expect(places).to.deep.equal([-1, 0, 1216, 65536, -1, 1310720, 2910720]);
  });

  it('goes on in further files where one may not hold all, and reads it back', async () => {
    const sizes = [300, 400_000, 300_000, 255, 500_000, 100_000];
    const model = modelOf(sizes);
    // What stands there under an earlier name is replaced, too.
    writeFileSync(at('m.onnx_data_1'), 'old');
    const { files } = await writeModel(model, at('m.onnx'), { externalData: 'always', dataBytes: 1_700_000 });
    const names = ['m.onnx', 'm.onnx_data', 'm.onnx_data_1', 'm.onnx_data_2', 'm.onnx_data_3'];
    expect(files.map((file) => file.path)).to.deep.equal(names.map(at));
    expect(readdirSync(folder).sort()).to.deep.equal(names);
    const lengths = names.map((name) => readFileSync(at(name)).length);
    expect(lengths.slice(1)).to.deep.equal([1_665_536, 1_200_000, 2_000_000, 400_000]);
    expect(files.map((file) => file.bytes)).to.deep.equal(lengths);
    const read = readModel(at('m.onnx'));
    [...read.graph.initializers].forEach((value, index) => {
      expect(value.constant!.toNumbers()).to.deep.equal(new Array(sizes[index]).fill(index));
    });
  });

  it('keeps external data external, and writes the same bytes however often', async () => {
    await writeModel(modelOf([300, 400]), at('a.onnx'), { externalData: 'always' });
    await writeModel(readModel(at('a.onnx')), at('b.onnx'));
    await writeModel(readModel(at('b.onnx')), at('c.onnx'));
    expect(readFileSync(at('b.onnx_data'))).to.deep.equal(readFileSync(at('a.onnx_data')));
    expect(readFileSync(at('c.onnx')).toString('latin1').replaceAll('c.onnx', 'b.onnx')).to.equal(
      readFileSync(at('b.onnx')).toString('latin1'),
    );
    await writeModel(readModel(at('a.onnx')), at('inline.onnx'), { externalData: 'never' });
    expect(readdirSync(folder)).not.to.include('inline.onnx_data');
    expect(Buffer.compare(readFileSync(at('inline.onnx')), encodeModel(modelOf([300, 400])))).to.equal(0);
  });

  it('writes a tensor that is used twice once', async () => {
    const shared = filled(1000, 7);
    const model = modelOf([1, 2], () => shared);
    await writeModel(model, at('m.onnx'), { externalData: 'always' });
    expect(readFileSync(at('m.onnx_data')).length).to.equal(4000);
    const read = readModel(at('m.onnx'));
    for (const value of read.graph.initializers) expect(value.constant!.toNumbers()[999]).to.equal(7);
  });

  it('gives the same bytes for derived tensors, one by one, many in flight, or placed by an engine', async () => {
    const sizes = [1000, 20_000, 1, 300_000, 50];
    const slow: WriteOptions['materialize'] = async (tensor) => {
      await new Promise((resolve) => setTimeout(resolve, (tensor.count * 7) % 5));
      return tensor.bytes();
    };
    const place: WriteOptions['place'] = async (tensor, { path, offset }) => {
      const file = await open(path, 'r+');
      await file.write(tensor.bytes(), 0, tensor.byteLength, offset);
      await file.close();
    };
    const wanted = encodeModel(modelOf(sizes));
    for (const externalData of ['never', 'always'] as const) {
      let first: Buffer | undefined;
      for (const options of [{}, { materialize: slow }, { materialize: slow, inFlight: 4 }, { place }]) {
        await writeModel(modelOf(sizes, derived), at('m.onnx'), { ...options, externalData });
        const bytes = readFileSync(at(externalData === 'never' ? 'm.onnx' : 'm.onnx_data'));
        first ??= bytes;
        expect(Buffer.compare(bytes, first)).to.equal(0);
        if (externalData === 'never') expect(Buffer.compare(bytes, wanted)).to.equal(0);
      }
    }
  });

  it('asks for no more derived tensors ahead than it may', async () => {
    let under = 0;
    let most = 0;
    const materialize: WriteOptions['materialize'] = async (tensor) => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve, 1));
      under -= 1;
      return tensor.bytes();
    };
    await writeModel(modelOf(new Array(12).fill(2000), derived), at('m.onnx'), { materialize, inFlight: 3 });
    expect(most).to.equal(3);
    most = 0;
    // Three of 40 MiB would hold more than is allowed ahead: one at a time.
    await writeModel(modelOf(new Array(3).fill(10 << 20), derived), at('m.onnx'), {
      materialize,
      inFlight: 3,
    });
    expect(most).to.equal(1);
  });

  it('tells how far it is', async () => {
    const told: [number, number][] = [];
    const { files } = await writeModel(modelOf([300, 2_000_000]), at('m.onnx'), {
      externalData: 'always',
      onProgress: (done, total) => told.push([done, total]),
    });
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    expect(told.at(-1)).to.deep.equal([total, total]);
    expect(told.map(([done]) => done)).to.deep.equal(told.map(([done]) => done).sort((a, b) => a - b));
  });

  describe('on failure', () => {
    const lay = () => {
      writeFileSync(at('m.onnx'), 'old model');
      writeFileSync(at('m.onnx_data'), 'old data');
    };
    const unchanged = () => {
      expect(readdirSync(folder).sort()).to.deep.equal(['m.onnx', 'm.onnx_data']);
      expect(readFileSync(at('m.onnx'), 'utf8')).to.equal('old model');
      expect(readFileSync(at('m.onnx_data'), 'utf8')).to.equal('old data');
    };

    it('of a derivation, leaves what was there and nothing else', async () => {
      lay();
      const failing = (size: number, index: number): Tensor =>
        Tensor.derive('float', [size], [], () => {
          if (index === 2) throw new QuantcError('E_TEST', 'this one fails');
          return new Float32Array(size);
        });
      for (const externalData of ['never', 'always'] as const) {
        for (const inFlight of [1, 4]) {
          const code = await codeOfAsync(() =>
            writeModel(modelOf([5000, 5000, 5000, 5000], failing), at('m.onnx'), { externalData, inFlight }),
          );
          expect(code).to.equal('E_TEST');
          unchanged();
        }
      }
    });

    it('of a derivation that gives too few bytes, says whose', async () => {
      lay();
      const code = await codeOfAsync(() =>
        writeModel(modelOf([5000], derived), at('m.onnx'), { materialize: async () => new Uint8Array(3) }),
      );
      expect(code).to.equal('F_TENSOR_SIZE');
      unchanged();
    });

    it('of a full disk, wherever it strikes, leaves what was there and nothing else', async () => {
      lay();
      const probe = await open(at('m.onnx'), 'r');
      const handles = Object.getPrototypeOf(probe) as { writev: (...all: never[]) => Promise<unknown> };
      await probe.close();
      const { writev } = handles;
      try {
        for (let failAt = 0; failAt < 4; failAt++) {
          let calls = 0;
          handles.writev = function (...all) {
            if (calls++ < failAt) return writev.apply(this, all);
            return Promise.reject(
              Object.assign(new Error('ENOSPC: no space left on device'), {
                code: 'ENOSPC',
                syscall: 'write',
              }),
            );
          };
          const model = modelOf([1_500_000, 1_500_000, 1_500_000]);
          expect(
            await codeOfAsync(() => writeModel(model, at('m.onnx'), { externalData: 'always' })),
          ).to.equal('E_ONNX_WRITE');
          unchanged();
        }
      } finally {
        handles.writev = writev;
      }
    });

    it('of the last rename, puts the data file back', async () => {
      writeFileSync(at('m.onnx_data'), 'old data');
      // A folder that appears under the model's name while its data is computed: the rename of the model fails.
      const materialize = async (tensor: Tensor) => {
        mkdirSync(at('m.onnx/sub'), { recursive: true });
        return tensor.bytes();
      };
      const code = await codeOfAsync(() =>
        writeModel(modelOf([5000], derived), at('m.onnx'), { externalData: 'always', materialize }),
      );
      expect(code).to.equal('E_ONNX_WRITE');
      expect(readdirSync(folder).sort()).to.deep.equal(['m.onnx', 'm.onnx_data']);
      expect(readFileSync(at('m.onnx_data'), 'utf8')).to.equal('old data');
    });

    it('of a folder that cannot be written to or is not there, says so', async () => {
      for (const path of [at('missing/m.onnx'), '/proc/m.onnx']) {
        expect(await codeOfAsync(() => writeModel(modelOf([1]), path))).to.equal('E_ONNX_WRITE');
      }
      mkdirSync(at('m.onnx'));
      expect(await codeOfAsync(() => writeModel(modelOf([1]), at('m.onnx')))).to.equal('E_ONNX_WRITE');
      expect(readdirSync(folder)).to.deep.equal(['m.onnx']);
    });

    it('when input data vanishes, leaves nothing', async () => {
      await writeModel(modelOf([3000, 3000]), at('in.onnx'), { externalData: 'always' });
      const model = readModel(at('in.onnx'));
      rmSync(at('in.onnx_data'));
      expect(await codeOfAsync(() => writeModel(model, at('out.onnx')))).to.equal('E_TENSOR_READ');
      expect(readdirSync(folder)).to.deep.equal(['in.onnx']);
    });
  });

  it('never writes over what it reads, by whatever name', async () => {
    await writeModel(modelOf([3000]), at('m.onnx'), { externalData: 'always' });
    const [model, data] = [readFileSync(at('m.onnx')), readFileSync(at('m.onnx_data'))];
    symlinkSync('m.onnx', at('alias.onnx'));
    mkdirSync(at('sub'));
    symlinkSync('../m.onnx_data', at('sub/x.onnx_data'));
    for (const path of ['m.onnx', 'alias.onnx', './sub/../m.onnx', 'sub/x.onnx']) {
      const code = await codeOfAsync(() => writeModel(readModel(at('m.onnx')), `${folder}/${path}`));
      expect(code, path).to.equal('E_ONNX_OVERWRITE');
    }
    expect(readFileSync(at('m.onnx')).equals(model)).to.equal(true);
    expect(readFileSync(at('m.onnx_data')).equals(data)).to.equal(true);
  });
});
