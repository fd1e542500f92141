/**
 * Real models for the WebGPU target, on the real executor: what stays on the CPU, and how far the answers lie from the
 * float model's on native WebGPU, and in a headless browser on WebGPU and WebAssembly.
 * Adapters without 16-bit arithmetic run the same graph in 32 bits, with the weights that 16 bits left.
 *   npx tsx bench/webgpu.ts [--models silero,mnist] [--precision float] [--browser] [--samples 1] [--skip 0]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openData } from '../src/calibration/data.js';
import { syntheticData } from '../src/calibration/synthetic.js';
import { widenHalves } from '../src/compile/widened-twin.js';
import { compile } from '../src/compile.js';
import { readModel } from '../src/onnx/read.js';
import { writeModel } from '../src/onnx/write.js';
import { parsePrecision } from '../src/recipe.js';
import { type Comparison, compareSessions, type Feed } from '../src/runtime/compare.js';
import type { Executor } from '../src/runtime/executor.js';
import { withSession } from '../src/runtime/session.js';
import { type Browser, launchBrowser } from '../src/runtime/webgpu/browser.js';
import { webgpuNative } from '../src/runtime/webgpu/native.js';
import { sharedPath } from '../test/shared.js';

const MODELS = [
  'mnist-opset8',
  'resnet8-tiny',
  'resnet20-cifar',
  'nsnet2-gru',
  'magika',
  'silero-vad',
  'stories260k',
  'kwt1-keyword',
  'bert-tiny-messy',
  'espcn-x3',
  'mobilenetv2',
  'ultraface-rfb320',
  'style-starry',
  'ppocr-det',
  'yolox-nano',
  'shakewiki-3.4m',
  'qdq-mobilenetv2',
] as const;

const { values: options } = parseArgs({
  options: {
    models: { type: 'string' },
    precision: { type: 'string', default: 'float' },
    browser: { type: 'boolean', default: false },
    samples: { type: 'string', default: '1' },
    /** Samples that are passed over first: some pictures show nothing. */
    skip: { type: 'string', default: '0' },
  },
});
const precision = parsePrecision(options.precision);
const wanted = options.models?.split(',');

/** The least signal-to-noise ratio among outputs, in dB. */
const least = (outputs: readonly Comparison[]): number =>
  Math.min(...outputs.map(({ sqnr, identical }) => (identical ? Number.POSITIVE_INFINITY : sqnr)));
/** The largest error among outputs: what a ratio says of outputs near zero means little. */
const worst = (outputs: readonly { readonly maxError: number }[]): string =>
  Math.max(...outputs.map(({ maxError }) => maxError)).toExponential(0);
const decibels = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(1)} dB` : 'equal');

async function feedsFor(folder: string, file: string): Promise<Feed[]> {
  const { inputs } = readModel(file).graph;
  const data = await openData(folder, 'calib', inputs).catch(() => syntheticData(inputs));
  const feeds: Feed[] = [];
  const skip = Number(options.skip);
  for await (const feed of data.rebatched(1).first(skip + Number(options.samples))) feeds.push(feed);
  return feeds.slice(skip);
}

/** Runs the emitted file on an executor and compares it with the float model; says too whether nothing fell back. */
async function against(float: string, emitted: string, executor: Executor, feeds: readonly Feed[]) {
  const loaded = await executor.open(emitted);
  try {
    const outputs = await withSession(float, {}, (session) => compareSessions(session, loaded, feeds));
    return `${decibels(least(outputs))} (${worst(outputs)})${loaded.strict ? ', strict' : ''}`;
  } finally {
    await loaded.release().catch(() => undefined);
  }
}

/** The same graph in 32 bits, beside the file. */
async function inFloat(emitted: string): Promise<string> {
  const model = readModel(emitted);
  widenHalves(model);
  const path = emitted.replace(/\.onnx$/, '.widened.onnx');
  await writeModel(model, path, { externalData: 'auto' });
  return path;
}

const root = mkdtempSync(join(tmpdir(), 'quantc-webgpu-bench-'));
let browser: Browser | undefined;
try {
  if (options.browser) browser = await launchBrowser();
  for (const name of MODELS) {
    if (wanted && !wanted.some((part) => name.includes(part))) continue;
    const folder = sharedPath('models', name);
    if (folder === undefined) continue;
    const float = join(folder, 'model.onnx');
    const out = join(root, name);
    const cells: string[] = [];
    try {
      const feeds = await feedsFor(folder, float);
      const [report] = await compile({
        model: float,
        targets: ['webgpu'],
        precision,
        calib: await openData(folder, 'calib', readModel(float).graph.inputs).then(
          () => folder,
          () => undefined,
        ),
        proofSamples: Number(options.samples),
        out,
      });
      const emitted = join(out, report!.files[0]!.path);
      const [native] = report!.proof.elsewhere ?? [];
      const onNative = native ? Math.min(...native.outputs.map(({ sqnr }) => sqnr ?? 999)) : Number.NaN;
      const runnable = /^(fp16|bf16)$/.test(precision) ? await inFloat(emitted) : emitted;
      if (options.skip !== '0') cells.push(`native ${await against(float, runnable, webgpuNative, feeds)}`);
      else
        cells.push(
          `native ${onNative.toFixed(1)} dB (${worst(native?.outputs ?? [])})${native?.strict ? ', strict' : ''}`,
        );
      for (const executor of browser ? [browser.webgpu, browser.wasm] : [])
        cells.push(
          `${executor === browser!.wasm ? 'wasm' : 'browser'} ${await against(float, runnable, executor, feeds)}`,
        );
      const onCpu = report!.ledger.filter(({ kernel }) => kernel === 'cpu');
      const fallen = onCpu.filter(({ reason }) => !/^computes from sizes|^computed while/.test(reason ?? ''));
      cells.push(`${onCpu.length - fallen.length} nodes from sizes alone`);
      for (const { node, reason } of fallen) cells.push(`CPU: ${node}: ${reason}`);
    } catch (error) {
      cells.push(`!!! ${error instanceof Error ? error.message : String(error)}`);
    }
    console.log([name.padEnd(18), ...cells].join(' | '));
  }
} finally {
  await browser?.close();
  await webgpuNative.close();
  rmSync(root, { recursive: true, force: true });
}
