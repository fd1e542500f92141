import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { openData } from '../../src/calibration/data.js';
import type { DataSet } from '../../src/calibration/dataset.js';
import { likenessOn } from '../../src/calibration/likeness.js';
import { AnswerCache } from '../../src/compile/cache.js';
import { parseRangeMethod, RANGE_METHODS, rangeMethod } from '../../src/compile/range-method.js';
import { observeRanges } from '../../src/compile/ranges.js';
import { compile } from '../../src/compile.js';
import { QuantcError } from '../../src/errors/error.js';
import { canonicalModel } from '../../src/explain.js';
import { type Model, setConstant, Tensor, type Value, valuesOf } from '../../src/index.js';
import { inferTypes } from '../../src/runtime/types.js';
import { sharedPath } from '../shared.js';

const SHAPES = resolve('models/shapes-cnn');

async function opened(folder: string): Promise<{ model: Model; values: Value[]; data: DataSet }> {
  const model = await canonicalModel(join(folder, 'model.onnx'));
  await inferTypes(model);
  const convolved = (value: Value): boolean => value.producer !== undefined && value.dtype === 'float';
  const values = [...valuesOf(model.graph)].filter(convolved);
  return { model, values, data: await openData(folder, 'calib', model.graph.inputs) };
}

describe('range methods', () => {
  it('are read with their parameters, and refused with a hint', () => {
    for (const name of RANGE_METHODS) expect(rangeMethod(name).name).to.equal(name);
    expect(rangeMethod('percentile:99.9').parameter).to.equal(99.9);
    expect(rangeMethod('percentile').parameter).to.equal(99.99);
    expect(rangeMethod('mse:2.4').parameter).to.equal(2.4);
    for (const [text, code] of [
      ['median', 'E_RANGES_UNKNOWN'],
      ['', 'E_RANGES_UNKNOWN'],
      ['percentile:', 'E_RANGES_PARAMETER'],
      ['percentile:101', 'E_RANGES_PARAMETER'],
      ['percentile:0', 'E_RANGES_PARAMETER'],
      ['percentile:99:9', 'E_RANGES_PARAMETER'],
      ['mse:x', 'E_RANGES_PARAMETER'],
      ['moving-average:2', 'E_RANGES_PARAMETER'],
      ['minmax:1', 'E_RANGES_PARAMETER'],
      ['entropy:128', 'E_RANGES_PARAMETER'],
    ] as const) {
      expect(() => parseRangeMethod(text), text)
        .to.throw(QuantcError)
        .with.property('code', code);
    }
  });
});

describe('ranges', () => {
  it('are the same bits for any batch, any threads and any memory, by every method, and so are choices', async function () {
    this.timeout(120_000);
    const folders: [string, number][] = [[SHAPES, 20]];
    const shared = sharedPath('models', 'mobilenetv2');
    if (shared !== undefined) folders.push([shared, 3]);
    for (const [folder, samples] of folders) {
      const { model, values, data } = await opened(folder);
      const methods = ['minmax', 'moving-average', 'percentile', 'entropy', 'mse:2.4'] as const;
      for (const method of folder === SHAPES ? methods : methods.slice(3, 4)) {
        const first = data.first(samples);
        const told = await observeRanges(model, values, first.rebatched(1), { threads: 1 }, method);
        const cuts = [[8, 1, undefined]] as [number, number, number?][];
        if (method === 'entropy') cuts.push([64, 2, undefined], [1, 1, 2_000_000]);
        for (const [batch, threads, maxMemory] of cuts) {
          const options = { threads, maxMemory, worthThreads: 0 };
          const again = await observeRanges(model, values, first.rebatched(batch), options, method);
          expect([...again.values()], `${method}, ${batch}`).to.deep.equal([...told.values()]);
        }
      }
      const other = await canonicalModel(join(folder, 'model.onnx'));
      const weight = [...other.graph.initializers].find(({ constant }) => constant!.count > 100)!;
      const moved = weight.constant!.toFloat32().map((x) => x * 1.01);
      setConstant(weight, Tensor.floats(moved, weight.constant!.shape));
      const scores = [1, 8, 64].map(async (batch) => {
        const likeness = likenessOn(() => data.first(3).rebatched(batch));
        // The second answer comes from outputs that were kept.
        return [await likeness(model, other), await likeness(model, other)];
      });
      expect(new Set((await Promise.all(scores)).flat()).size).to.equal(1);
    }
  });

  it('are remembered for the same model, samples and method, and for nothing else', async () => {
    const { model, values, data } = await opened(SHAPES);
    const cache = new AnswerCache(undefined);
    let runs = 0;
    const ask = async (at: Model, of: readonly Value[], on: DataSet, method: 'percentile' | 'entropy') => {
      const options = {
        remember: <T>(kind: string, key: readonly unknown[], compute: () => Promise<T>) =>
          cache.remember(kind, key, compute),
        onRun: () => {
          runs += 1;
        },
      };
      return [...(await observeRanges(at, of, on, options, method)).values()];
    };
    const few = data.first(4);
    const first = await ask(model, values, few, 'percentile');
    expect(await ask(model, values, few.rebatched(2), 'percentile')).to.deep.equal(first);
    expect(runs).to.equal(1);
    await ask(model, values, few, 'entropy');
    await ask(model, values, data.first(5), 'percentile');
    await ask(model, values.slice(1), few, 'percentile');
    expect(runs).to.equal(4);
    const weight = [...model.graph.initializers].find(({ constant }) => constant!.shape.length === 4)!;
    const moved = weight.constant!.toFloat32().slice();
    moved[5]! += 0.5;
    setConstant(weight, Tensor.floats(moved, weight.constant!.shape));
    const changed = await ask(model, values, few, 'percentile');
    expect(runs).to.equal(5);
    expect(changed).not.to.deep.equal(first);
  });

  it('make the same file however the data are cut, in one thread and in two, calibrated or remembered', async function () {
    this.timeout(120_000);
    const folder = mkdtempSync(join(tmpdir(), 'quantc-ranges-'));
    try {
      const manifest = JSON.parse(readFileSync(join(SHAPES, 'data.json'), 'utf8'));
      for (const input of Object.values<{ calib: string; eval: string }>(manifest.inputs)) {
        input.calib = join(SHAPES, input.calib);
        input.eval = join(SHAPES, input.eval);
      }
      delete manifest.labels;
      const cuts = [
        { batch: 1, threads: 2 },
        { batch: 64, threads: 1 },
        { batch: 8, threads: 2 },
      ];
      const made: { bytes: Buffer; known: boolean }[] = [];
      for (const { batch, threads } of cuts) {
        writeFileSync(join(folder, 'data.json'), JSON.stringify({ ...manifest, metric: 'sqnr', batch }));
        const cache = made.length === 0 ? false : join(folder, 'cache');
        const out = join(folder, `out${made.length}`);
        const [report] = await compile({
          model: join(SHAPES, 'model.onnx'),
          targets: ['cpu-x64'],
          calib: folder,
          threads,
          cache,
          out,
        });
        const bytes = readFileSync(join(out, report!.files[0]!.path));
        made.push({ bytes, known: report!.notes.some(({ code }) => code === 'calibration') });
      }
      expect(made.map(({ known }) => known)).to.deep.equal([false, false, true]);
      for (const { bytes } of made) expect(bytes.equals(made[0]!.bytes)).to.equal(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
