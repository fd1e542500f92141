import { Command } from 'commander';
import { loadPlugins } from '../../build/load-plugins.js';
import { refusedTarget } from '../../compile/each-target.js';
import { type BindingName, type FormatName, parseBinding, parseFormats } from '../../compile/format-name.js';
import { type LayoutName, parseLayout } from '../../compile/layout-name.js';
import { parsePaletteBits, parsePrune } from '../../compile/prune-request.js';
import type { Specialization } from '../../compile/specialize.js';
import { parseWeightMethod, type WeightRequest } from '../../compile/weight-request.js';
import { type CompileEvent, type CompileRequest, compile } from '../../compile.js';
import type { PaletteBits } from '../../quant/places.js';
import { ALGORITHMS, type Precision, parsePrecision } from '../../recipe.js';
import type { RefusedTarget } from '../../report/report.js';
import { VERSION } from '../../report/version.js';
import { interruptible } from '../interrupt.js';
import { collect, collectDims, collectFixed, collectNames, collectShapes } from '../option.js';
import { watchProgress } from '../progress.js';
import { parseBytes, parseCount } from '../quantity.js';
import { bindingsWritten, methodLines, nextSteps, refusals, summary } from '../summary.js';
import { print, printJson } from '../terminal.js';
import { passTracer, traceLevel } from '../trace.js';

interface Options extends WeightRequest {
  readonly target?: readonly string[];
  readonly precision: Precision;
  readonly dim?: Specialization['dims'];
  readonly fix?: Specialization['fix'];
  readonly unroll?: number;
  readonly shapes?: CompileRequest['shapes'];
  readonly calib?: string;
  readonly eval?: string;
  readonly ranges?: string;
  readonly plugin?: readonly string[];
  readonly algorithms?: readonly string[];
  readonly exclude?: readonly string[];
  readonly protect?: readonly string[];
  readonly wide?: readonly string[];
  readonly prune?: string;
  readonly dense?: readonly string[];
  readonly palettize?: PaletteBits;
  readonly paletteChannels?: number;
  readonly budget?: readonly string[];
  readonly dataBytes?: number;
  readonly kvCache?: boolean;
  readonly maxPositions?: number;
  readonly out: string;
  readonly layout?: LayoutName;
  readonly format?: readonly FormatName[];
  readonly binding?: BindingName;
  readonly maxMemory?: number;
  readonly threads?: number;
  readonly cache?: string | false;
  readonly report?: boolean;
  readonly strict?: boolean;
  readonly bindings?: boolean;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc compile')
    .description(
      'Compiles a trained model for each target: low precision where the target has a kernel that is faster for it, ' +
        'float where it has none. What is emitted is loaded by ONNX Runtime, compared with the float model, and read ' +
        'back. Files appear whole in the folder of --out, with quantc.report.json, or not at all. The model is never ' +
        'written to.',
    )
    .argument('<model.onnx>', 'the float model')
    .option(
      '--target <names>',
      'targets, with commas between; `quantc targets` lists them (default: cpu)',
      collectNames,
    )
    .option(
      '--precision <kind>',
      'auto, int8 (static), int8-dynamic, int8-weights (float arithmetic), int4, int2, int8-blocks (weights in blocks, float activations), auto-weights (the same, bits weight by weight as outputs bear them), fp16, bf16 or float; auto goes by target, data and the kind of model, and tells why (docs/which-method.md)',
      parsePrecision,
      'auto',
    )
    .option(
      '--dim <name=size>',
      'make an open dimension of the inputs a number: batch=1, or input_ids:1=128 by input and axis; may be repeated',
      collectDims,
    )
    .option(
      '--shapes <name:sizes>',
      'one of several shapes, as in long:seq=256,batch=1: a graph each, and one file of weights for all; may be repeated',
      collectShapes,
    )
    .option(
      '--fix <input=value>',
      'an input always has this value (numbers, with commas between): what hangs on it is decided now; may be repeated',
      collectFixed,
    )
    .option(
      '--unroll <steps>',
      'most steps that a recurrent operator is written out for, where the target has none (default: 128)',
      parseCount,
    )
    .option('--calib <data>', 'data that activation ranges are taken from')
    .option('--eval <data>', 'data that both models are scored on; calibration never sees them')
    .option(
      '--ranges <way>',
      'how activation ranges are chosen: minmax, moving-average[:0.01], percentile[:99.99], entropy, mse[:2], or auto, which judges by the outputs, or the name of an observer of a plugin (default: auto)',
    )
    .option(
      '--plugin <file>',
      'a module whose default export is a plugin: passes, targets, observers, algorithms of your own; may be repeated',
      collect,
    )
    .option(
      '--algorithms <names>',
      `what refines static int8, with commas between, or none: ${ALGORITHMS.map(({ pass }) => pass.name).join(', ')}`,
      collectNames,
    )
    .option(
      '--block-size <n>',
      'weights in blocks: elements that share a scale, 16 to 256 (default: 32; 128 for 8 bits)',
      parseCount,
    )
    .option(
      '--weight-method <way>',
      'weights in blocks: rtn (from the extremes, as other tools do), mse (least error), hqq; over --calib gptq, gptq-sequential or adaround, which round them together, or awq, which scales channels first (default: gptq with --calib, mse without)',
      parseWeightMethod,
    )
    .option('--symmetric-weights', 'weights in blocks: without zero points')
    .option('--half', 'weights in blocks, and int8-weights: what stays float is computed in float16')
    .option(
      '--half-interfaces',
      'arithmetic in 16 bits: inputs and outputs of the model change their types, too',
    )
    .option(
      '--exclude <pattern>',
      'name or operator of nodes that stay float; * stands for anything; may be repeated',
      collect,
    )
    .option(
      '--protect <what>',
      'weights that keep 16 bits (or 8: ov:int8), the others being quantized: roles (ov, qkv, v+down, lm-head, embedding), with layers (ov@0-3) or without, layers:0,3, or a name with *; may be repeated',
      collect,
    )
    .option(
      '--wide <pattern>',
      'static int8: nodes whose activations get 16 bits where the target has kernels for them; may be repeated',
      collect,
    )
    .option(
      '--prune <how>',
      'weights that become 0, before the others are quantized: magnitude:50%, wanda:50% (magnitude times input, over --calib), sparsegpt:50% (the others make up for them), or wanda:2:4, two of every four; smaller once compressed, no faster',
      (value: string) => parsePrune(value).text,
    )
    .option(
      '--dense <what>',
      'weights that are not pruned, by the patterns of --protect: lm-head, ov@0-1, a name with *; may be repeated',
      collect,
    )
    .option(
      '--palettize <bits>',
      'precision float or fp16: weights are places of 8, 6, 4, 3, 2 or 1 bits in a palette (k-means; over --calib by what outputs lose), widened while the model loads',
      parsePaletteBits,
    )
    .option('--palette-channels <n>', 'output channels that share a palette (default: all)', parseCount)
    .option(
      '--kv-cache',
      'give a decoder past_key_values inputs and present outputs, so that each run computes the new tokens alone',
    )
    .option(
      '--max-positions <n>',
      'positions to store rotary angles for, where the model computes them as it goes (default: 4096)',
      parseCount,
    )
    .option(
      '--budget <terms>',
      'limits that the result must keep, joined by commas or "and", against the float model or by themselves: ' +
        'top1>=-0.5%, sqnr>=20dB, size<=0.3x, size<=2MB, latency<=0.6x, coverage>=95% (of nodes, by an NPU); may be repeated',
      collect,
    )
    .option(
      '--data-bytes <size>',
      'most bytes of one external data file; what does not fit goes on in <file>_data_1, _data_2 … (default: no limit)',
      parseBytes,
    )
    .option('--out <folder>', 'folder for what is made', 'dist')
    .option(
      '--layout <name>',
      'how it lies there: flat, or transformers.js (onnx/model_q4.onnx, config.json completed); default: flat',
      parseLayout,
    )
    .option(
      '--format <names>',
      "onnx, or onnx,ort: also ONNX Runtime's own format (.ort), with the operators that reduced builds need (default: onnx)",
      (value: string) => parseFormats(collectNames(value)),
    )
    .option(
      '--binding <name>',
      'any, or react-native: refuse what onnxruntime-react-native cannot feed, and write .ort files as well (default: any)',
      parseBinding,
    )
    .option(
      '--bindings',
      'write <model>.ts beside the models: inputs and outputs as types, and what opens and runs them',
    )
    .option('--max-memory <size>', 'most that the compilation may hold at once (default: 1GiB)', parseBytes)
    .option('--threads <n>', 'threads inside (default: one a core); the bytes are the same', parseCount)
    .option(
      '--cache <folder>',
      "where answers that took long are kept for the next time (default: node_modules/.cache/quantc, else the user's cache)",
    )
    .option('--no-cache', 'keep nothing, and ask for nothing that was kept')
    .option('--report', 'write quantc.report.html, too: the report as a page, which needs no network')
    .option('--strict', 'take warnings for errors, and nodes that the provider of a mobile target leaves')
    .option('--json', 'print the report, and errors, as one JSON document')
    .addHelpText(
      'after',
      `
<data> is a folder with a data.json (which names arrays, pictures, WAV files or token ids, what becomes of them, labels
and the metric), an .npy for a model with one input, an .npz with an array an input, a .txt or .json of token ids, or a
.ts or .js module that gives feeds. docs/data.md describes each.

Examples
  quantc compile model.onnx --target cpu --calib data/ --eval data/
  quantc compile model.onnx --calib data/ --eval data/ --budget 'top1>=-0.5% and latency<=0.8x'
  quantc compile model.onnx --precision int8-dynamic
  quantc compile model.onnx --calib calib.npy --exclude 'head*' --exclude Softmax
  quantc compile model.onnx --calib feeds.ts --eval feeds.ts
  quantc compile model.onnx --calib data/ --strict --json > report.json

Exit codes: 0 done, 1 a proof or a budget failed, 2 bad usage or input, 3 a fault of quantc.`,
    )
    .action(run);
}

async function run(
  model: string,
  { target, json, dim, format, plugin = [], ...options }: Options,
): Promise<void> {
  const targets = target ?? ['cpu'];
  const traced = traces();
  const progress = await watchProgress(traced ? undefined : process.stderr, targets.length);
  const refused: RefusedTarget[] = [];
  const bindings: string[] = [];
  const onEvent = (event: CompileEvent): void => {
    if (event.kind === 'bindings') bindings.push(...event.paths);
    if (event.kind === 'refused') refused.push(refusedTarget(event.target, event.error));
    progress.onEvent(event);
    traced?.(event);
  };
  const request: CompileRequest = {
    model,
    targets,
    ...(dim && { dims: dim }),
    ...(format && { formats: format }),
    ...(plugin.length > 0 && { plugins: await loadPlugins(plugin) }),
    ...options,
    onEvent,
  };
  const reports = await interruptible((signal) => compile({ ...request, signal })).finally(() =>
    progress.stop(),
  );
  if (json) return printJson({ quantc: VERSION, targets: reports, ...(refused.length > 0 && { refused }) });
  for (const report of reports) print(summary(report, options.out));
  if (refused.length > 0) print(refusals(refused));
  if (bindings.length > 0) print(bindingsWritten(bindings, options.out));
  print(nextSteps(model, reports, options.out, options));
  const method = methodLines(reports);
  if (method !== '') print(method);
}

/** Follows the passes of every target, where the environment asks for it. */
function traces(): ((event: CompileEvent) => void) | undefined {
  if (traceLevel() === 0) return undefined;
  const tracers = new Map<string, ReturnType<typeof passTracer>>();
  return (event) => {
    if (event.kind !== 'pass') return;
    if (!tracers.has(event.target)) tracers.set(event.target, passTracer(event.target));
    tracers.get(event.target)!(event.event, event.model);
  };
}
