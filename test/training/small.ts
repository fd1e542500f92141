/** A small training, the same wherever it runs: by tests in their own process, and by one that is killed. */
import type { Tensor } from '../../src/ir/tensor.js';
import { Tensor as IrTensor } from '../../src/ir/tensor.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import { signedGrid } from '../../src/training/fake-quant.js';
import type { TrainOptions } from '../../src/training/loop.js';
import { type TrainingStep, trainingStep } from '../../src/training/step.js';

export const STEPS = 24;

export async function smallStep(): Promise<TrainingStep> {
  const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
    g (float[5,8] x) => (float[5,3] logits) <float[8,3] w = ["fill": "normal:3"]> { logits = MatMul(x, w) }`);
  await inferTypes(model);
  const grid = { ...signedGrid(3), scale: IrTensor.floats([0.3, 0.4, 0.5]), axis: 1 };
  const scales = { rate: 0.1, relative: true };
  return trainingStep(model, {
    weights: [{ name: 'w', pace: {}, quantized: { grid, scales } }],
    loss: { kind: 'distill' },
    teacher: model,
    optimizer: { kind: 'adamw', weightDecay: 0.01 },
    clipNorm: 1,
  });
}

const batch = (step: number): { x: Tensor } => ({
  x: IrTensor.floats(
    Float32Array.from({ length: 40 }, (_, at) => Math.sin(at * 1.7 + step * step)),
    [5, 8],
  ),
});

export const smallTraining = (folder?: string): TrainOptions => ({
  steps: STEPS,
  batch,
  rate: (step) => 0.05 * (1 - step / STEPS),
  threads: 1,
  ...(folder !== undefined && { checkpoint: { folder, every: 3, key: 'small' } }),
});
