/** A folder with a small model and data for it, which goes away after the tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeNpy } from '../../src/calibration/npy.js';
import { encodeModel, parseModel, Tensor } from '../../src/index.js';
import { filledTensor } from '../../src/text/fill.js';

/** Large enough that integers pay on every target. */
const CLASSIFIER = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,16,24,24] x) => (float[N,10] y) <
  float[32,16,3,3] w1 = ["fill": "normal:1:0:0.1"], float[32] b1 = ["fill": "uniform:2:-1:1"],
  float[32,32,3,3] w2 = ["fill": "normal:3:0:0.08"], float[32,10] w3 = ["fill": "normal:4:0:0.2"]
> {
  [first] a = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
  [activation] r = Relu (a)
  [second] c = Conv <pads = [1, 1, 1, 1]> (r, w2)
  [pool] p = GlobalAveragePool (c)
  [flat] f = Flatten (p)
  [head] y = Gemm (f, w3)
}`;

export interface Workspace {
  readonly folder: string;
  readonly model: string;
  /** A data folder, with both splits and labels. */
  readonly data: string;
  path(...parts: string[]): string;
  remove(): void;
}

export function workspace(): Workspace {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-cli-test-'));
  const path = (...parts: string[]): string => join(folder, ...parts);
  writeFileSync(path('net.onnx'), encodeModel(parseModel(CLASSIFIER)));
  for (const [split, seed] of [
    ['calib', 5],
    ['eval', 6],
  ] as const) {
    writeFileSync(
      path(`x.${split}.npy`),
      encodeNpy(filledTensor('float', [12, 16, 24, 24], `normal:${seed}`, '')!),
    );
  }
  writeFileSync(path('labels.npy'), encodeNpy(Tensor.ints(Array.from({ length: 12 }, (_, i) => i % 10))));
  writeFileSync(
    path('data.json'),
    JSON.stringify({
      metric: 'top1',
      inputs: { x: { calib: 'x.calib.npy', eval: 'x.eval.npy' } },
      labels: 'labels.npy',
    }),
  );
  return {
    folder,
    model: path('net.onnx'),
    data: folder,
    path,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
