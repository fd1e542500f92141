import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNpy } from '../../src/calibration/npy.js';
import type { Model } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { writeModel } from '../../src/onnx/write.js';
import type { Labelled } from './train.js';

export interface ModelData {
  /** Name of the model's input. */
  readonly input: string;
  /** Shape of one stored sample of bytes. */
  readonly shape: readonly number[];
  /** As `data.json` has it. */
  readonly transform: object;
  readonly calib: Labelled;
  readonly evaluation: Labelled;
}

/** Writes `models/<name>`: the model, its data, and the `data.json` that says how they train together. */
export async function saveModel(name: string, model: Model, data: ModelData): Promise<void> {
  const folder = join(import.meta.dirname, '..', name);
  mkdirSync(folder, { recursive: true });
  const save = (file: string, tensor: Tensor): void => writeFileSync(join(folder, file), encodeNpy(tensor));
  const { input, shape, transform, calib, evaluation } = data;
  const stored = ({ samples, labels }: Labelled): Tensor =>
    Tensor.of('uint8', [labels.length, ...shape], samples);
  save(`${input}.calib.npy`, stored(calib));
  save(`${input}.eval.npy`, stored(evaluation));
  save('labels.eval.npy', Tensor.of('int32', [evaluation.labels.length], evaluation.labels));
  const manifest = {
    metric: 'top1',
    inputs: { [input]: { calib: `${input}.calib.npy`, eval: `${input}.eval.npy`, transform } },
    labels: 'labels.eval.npy',
  };
  writeFileSync(join(folder, 'data.json'), `${JSON.stringify(manifest, null, 1)}\n`);
  await writeModel(model, join(folder, 'model.onnx'));
}
