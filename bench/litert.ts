/**
 * Real models as `.tflite`, in LiteRT's own runtime: how often the first class is that of the same int8 graph in ONNX
 * Runtime, on its integer kernels and with the optimizer off, and how far answers lie from the float model's.
 *   npx tsx bench/litert.ts [--models mobilenetv2,mnist] [--samples 32] [--precision a8w8|float] [--ranges minmax]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openData } from '../src/calibration/data.js';
import { parseRangeMethod } from '../src/compile/range-method.js';
import { compile } from '../src/compile.js';
import { readModel } from '../src/onnx/read.js';
import { parsePrecision } from '../src/recipe.js';
import { openSession, withSession } from '../src/runtime/session.js';
import { npuLitert } from '../targets/npu-litert.js';
import { sharedPath } from '../test/shared.js';
import { runPorts } from '../test/tflite/beside.js';
import { openLiteRt } from '../test/tflite/litert-runtime.js';
import { portsOf, readTflite } from '../test/tflite/reader.js';

const MODELS = [
  'mnist-opset8',
  'resnet8-tiny',
  'resnet20-cifar',
  'mobilenetv2',
  'espcn-x3',
  'ultraface-rfb320',
];

const { values: options } = parseArgs({
  options: {
    models: { type: 'string' },
    samples: { type: 'string', default: '32' },
    precision: { type: 'string', default: 'a8w8' },
    ranges: { type: 'string', default: 'auto' },
  },
});
const wanted = options.models?.split(',') ?? MODELS;
const precision = parsePrecision(options.precision);

/** Sums for a signal-to-noise ratio. */
class Noise {
  #signal = 0;
  #noise = 0;

  add(expected: ArrayLike<number>, found: ArrayLike<number>): void {
    for (let i = 0; i < expected.length; i++) {
      this.#signal += expected[i]! ** 2;
      this.#noise += (expected[i]! - found[i]!) ** 2;
    }
  }

  get text(): string {
    return this.#noise === 0 ? 'equal' : `${(10 * Math.log10(this.#signal / this.#noise)).toFixed(1)} dB`;
  }
}

function firstClass(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** The same graph, delivered as ONNX. */
const twin = { ...npuLitert, name: 'npu-litert-twin', format: 'onnx' as const };

async function measure(name: string, folder: string, out: string): Promise<string> {
  const float = join(folder, 'model.onnx');
  const started = Date.now();
  await compile({
    model: float,
    targets: [npuLitert, twin],
    precision,
    ranges: parseRangeMethod(options.ranges),
    calib: folder,
    out,
    cache: join(out, 'cache'),
    proofSamples: 2,
  });
  const seconds = (Date.now() - started) / 1000;
  const file = new Uint8Array(readFileSync(join(out, 'model.npu-litert.tflite')));
  const ports = portsOf(file);
  const twinFile = join(out, 'model.npu-litert-twin.onnx');
  const { inputs } = readModel(twinFile).graph;
  const data = (await openData(folder, 'eval', inputs, { batchOfModel: true })).first(
    Number(options.samples),
  );
  const session = await openLiteRt(file);
  const [toFloat, toTwin, twinToFloat, toPlain] = [new Noise(), new Noise(), new Noise(), new Noise()];
  const plainTwin = await openSession(twinFile, { threads: 1, optimization: 'off' });
  let [agree, agreePlain, agreeFloat, right, rightFloat, count] = [0, 0, 0, 0, 0, 0];
  await withSession(float, { threads: 1 }, (first) =>
    withSession(twinFile, { threads: 1 }, async (second) => {
      for await (const { feeds, start } of data.rebatched(1).batches()) {
        const [expected, ours] = [await first.run(feeds), await second.run(feeds)];
        const unfused = await plainTwin.run(feeds);
        const found = await runPorts(session, ports, feeds);
        for (const [output, values] of Object.entries(found)) {
          const [reference, same] = [expected[output]!.toFloat32(), ours[output]!.toFloat32()];
          toFloat.add(reference, values);
          toTwin.add(same, values);
          twinToFloat.add(reference, same);
          const plain = unfused[output]!.toFloat32();
          toPlain.add(plain, values);
          if (expected[output]!.shape.length !== 2) continue;
          agree += Number(firstClass(values) === firstClass(same));
          agreePlain += Number(firstClass(values) === firstClass(plain));
          agreeFloat += Number(firstClass(values) === firstClass(reference));
          right += Number(firstClass(values) === data.labels?.[start]);
          rightFloat += Number(firstClass(reference) === data.labels?.[start]);
        }
        count++;
      }
    }),
  );
  session.release();
  await plainTwin.release();
  const share = (hits: number): string => `${((100 * hits) / count).toFixed(1)} %`;
  const classes = data.labels
    ? `top-1 as twin ${share(agree)}, as its plain Q/DQ ${share(agreePlain)}, as float ${share(agreeFloat)}; right ${share(right)} (float ${share(rightFloat)})`
    : 'no classes';
  const ops = readTflite(file).operators.length;
  return [
    name.padEnd(18),
    `${file.length} bytes, ${ops} operators`,
    classes,
    `SQNR to float ${toFloat.text} (twin ${twinToFloat.text}), to twin ${toTwin.text}, to its plain Q/DQ ${toPlain.text}`,
    `${count} samples, compiled twice in ${seconds.toFixed(0)} s`,
  ].join(' | ');
}

const root = mkdtempSync(join(tmpdir(), 'quantc-litert-bench-'));
try {
  for (const name of wanted) {
    const folder = sharedPath('models', name);
    if (folder === undefined) continue;
    try {
      console.log(await measure(name, folder, join(root, name)));
    } catch (error) {
      console.log(`${name.padEnd(18)} | ${error instanceof Error ? error.message : String(error)}`);
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
