/** The shared models, with sizes for what they leave open: those of their data. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openData } from '../../src/calibration/data.js';
import { type DimSizes, specialize } from '../../src/compile/dims.js';
import type { FixedInputs } from '../../src/compile/fixed-inputs.js';
import { type Model, readModel, writeModel } from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';
import { withSession } from '../../src/runtime/session.js';
import { sharedPath } from '../shared.js';

export const SHARED_MODELS = [
  'mnist-opset8',
  'resnet8-tiny',
  'resnet20-cifar',
  'mobilenetv2',
  'qdq-mobilenetv2',
  'ultraface-rfb320',
  'yolox-nano',
  'ppocr-det',
  'espcn-x3',
  'style-starry',
  'kwt1-keyword',
  'magika',
  'nsnet2-gru',
  'silero-vad',
  'stories260k',
  'shakewiki-3.4m',
  'bert-tiny-messy',
] as const;

/** Of a dimension that neither data nor a name says anything of: sequences, mostly. */
const ASSUMED = 64;

/** Path of a shared model; undefined, and said so, where there is none. */
export const sharedModel = (name: string): string | undefined => sharedPath('models', name, 'model.onnx');

/** Sizes of the open dimensions: of one sample, or of one where there are no data. */
export async function sizesOf(path: string): Promise<DimSizes> {
  const { inputs } = readModel(path).graph;
  const folder = join(path, '..');
  const sizes: Record<string, number> = {};
  const shapes = new Map<string, readonly number[]>();
  if (existsSync(join(folder, 'data.json')))
    for await (const feeds of (await openData(folder, 'calib', inputs)).first(1).rebatched(1))
      for (const [name, tensor] of Object.entries(feeds)) shapes.set(name, tensor.shape);
  for (const { name, shape = [] } of inputs)
    shape.forEach((dim, axis) => {
      if (typeof dim === 'number') return;
      sizes[dim ?? `${name}:${axis}`] ??= shapes.get(name)?.[axis] ?? (axis === 0 ? 1 : ASSUMED);
    });
  return sizes;
}

/** Inputs that always have one value, by their data. */
export function constantsOf(path: string): FixedInputs {
  const told = join(path, '..', 'data.json');
  if (!existsSync(told)) return {};
  const { constants = {} } = JSON.parse(readFileSync(told, 'utf8')) as {
    constants?: Readonly<Record<string, { readonly value: number }>>;
  };
  return Object.fromEntries(Object.entries(constants).map(([name, { value }]) => [name, value]));
}

/** A model as ONNX Runtime's basic optimizations leave it, typed. */
export async function optimized(path: string, dims: DimSizes = {}): Promise<Model> {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-npu-test-'));
  try {
    const sized = readModel(path);
    specialize(sized, dims);
    await writeModel(sized, join(folder, 'sized.onnx'));
    const optimizedPath = join(folder, 'optimized.onnx');
    await withSession(
      join(folder, 'sized.onnx'),
      { optimization: 'basic', threads: 1, optimizedPath },
      () => {},
    );
    const model = readModel(optimizedPath);
    // The folder goes away: constants are read now.
    for (const graph of model.graphs()) for (const value of graph.initializers) value.constant?.bytes();
    await createEngine().inferTypes(model);
    return model;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
