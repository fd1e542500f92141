import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { type LayerSensitivity, type SensitivityReport, sensitivity } from '../../compile/sensitivity.js';
import { parseWeightMethod } from '../../compile/weight-request.js';
import { weightSensitivity } from '../../compile/weight-sensitivity.js';
import { QuantcError } from '../../errors/error.js';
import { type GridBits, WEIGHT_METHODS, type WeightMethod } from '../../quant/block-fit.js';
import { columns } from '../columns.js';
import { heatMap } from '../heat-map.js';
import { interruptible } from '../interrupt.js';
import { collect } from '../option.js';
import { watchShare } from '../progress.js';
import { counted, formatDecibels, parseCount } from '../quantity.js';
import { heading, print, printJson } from '../terminal.js';
import { weightSensitivityText } from '../weight-sensitivity-text.js';

interface Options {
  readonly calib: string;
  readonly eval?: string;
  readonly target: string;
  readonly exclude?: readonly string[];
  readonly samples?: number;
  readonly cache?: string | false;
  readonly all?: boolean;
  readonly json?: boolean;
  readonly weights?: boolean;
  readonly bits?: readonly GridBits[];
  readonly blockSize?: number;
  readonly weightMethod?: WeightMethod;
  readonly fisher?: boolean;
  readonly svg?: string;
}

/** Layers that are shown when not all are asked for. */
const SHOWN = 20;

export function make(): Command {
  return new Command('quantc sensitivity')
    .description(
      'Measures what the integers of each layer do to the outputs: with that layer alone in int8, and with all of them ' +
        'but that one. Nothing is written but the cache, from which a run that was stopped goes on.',
    )
    .argument('<model.onnx>', 'the float model')
    .requiredOption('--calib <data>', 'data that activation ranges are taken from')
    .option(
      '--eval <data>',
      'data to measure on (default: those of --calib); with labels, wrong answers are counted',
    )
    .option('--target <name>', 'target whose kernels are meant; `quantc targets` lists them', 'cpu')
    .option(
      '--exclude <pattern>',
      'name or operator of nodes that stay float; * stands for anything; may be repeated',
      collect,
    )
    .option('--samples <n>', 'most samples to measure on (default: 64)', parseCount)
    .option('--cache <folder>', 'where measurements are kept')
    .option('--no-cache', 'keep nothing')
    .option('--weights', 'measure the bits of each weight instead, activations staying float')
    .option('--bits <list>', '--weights: bits to try, of 2, 3, 4 and 8 (default: 2,3,4,8)', parseBits)
    .option(
      '--block-size <n>',
      '--weights: elements that share a scale, 0 for a whole column (default: 32)',
      parseBlock,
    )
    .option('--weight-method <way>', '--weights: rtn, mse or hqq (default: mse)', parseMethod)
    .option('--fisher', '--weights: what gradients foretell, too')
    .option('--svg <file>', '--weights: where a picture of it is written')
    .option('--all', 'every layer, not the worst alone')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc sensitivity model.onnx --calib data/
  quantc sensitivity model.onnx --calib data/ --eval data/ --all
  quantc sensitivity model.onnx --calib data/ --weights --svg bits.svg
  quantc sensitivity model.onnx --calib data/ --json | jq '.layers[0]'

Next: quantc compile model.onnx --calib data/ --eval data/ --budget 'sqnr>=20dB'`,
    )
    .action(run);
}

const BITS: readonly GridBits[] = [2, 3, 4, 8];

function parseBits(text: string): GridBits[] {
  return text.split(',').map((part) => {
    const bits = BITS.find((each) => String(each) === part.trim());
    if (bits !== undefined) return bits;
    throw new QuantcError('E_CLI_VALUE', `"${part}" is no number of bits`, {
      kind: 'usage',
      hint: `Bits: ${BITS.join(', ')}, with commas between.`,
    });
  });
}

const parseBlock = (text: string): number => (text.trim() === '0' ? 0 : parseCount(text));

function parseMethod(name: string): WeightMethod {
  const method = parseWeightMethod(name);
  const found = WEIGHT_METHODS.find((each) => each === method);
  if (found !== undefined) return found;
  throw new QuantcError('E_WEIGHT_METHOD', `weights are tried one at a time, which ${name} does not do`, {
    kind: 'usage',
    hint: `Ways: ${WEIGHT_METHODS.join(', ')}.`,
  });
}

async function run(model: string, options: Options): Promise<void> {
  if (options.weights) return runWeights(model, options);
  const strange = (['bits', 'blockSize', 'weightMethod', 'fisher', 'svg'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (strange !== undefined) {
    throw new QuantcError(
      'E_CLI_VALUE',
      `--${strange.replace(/[A-Z]/g, (each) => `-${each.toLowerCase()}`)} is for --weights`,
      {
        kind: 'usage',
      },
    );
  }
  return runLayers(model, options);
}

async function runWeights(model: string, options: Options): Promise<void> {
  const { calib, eval: held, bits, blockSize, weightMethod: method, samples, cache, fisher } = options;
  const progress = await watchShare(process.stderr, 'measuring weights');
  const report = await interruptible((signal) =>
    weightSensitivity({
      ...{ model, data: held ?? calib, bits, blockSize, method, samples, cache, fisher, signal },
      onProgress: progress.onShare,
    }),
  ).finally(() => progress.stop());
  if (options.svg !== undefined) writeFileSync(options.svg, heatMap(report));
  if (options.json) return printJson(report);
  print(weightSensitivityText(report, options.all ?? false));
}

async function runLayers(model: string, { all, json, ...options }: Options): Promise<void> {
  const progress = await watchShare(process.stderr, 'measuring layers');
  const report = await interruptible((signal) =>
    sensitivity({ model, ...options, signal, onProgress: progress.onShare }),
  ).finally(() => progress.stop());
  if (json) return printJson(report);
  print(heading(`${report.model} for ${report.target}: what integers cost`));
  print(
    columns([
      ['measured', `${named(report)} on ${counted(report.samples, 'sample')} of ${report.source}`],
      ['all integers', figure(report, report.whole)],
      ...(report.unit === 'wrong' ? [['float', figure(report, report.float)]] : []),
    ]),
  );
  const layers = all ? report.layers : report.layers.slice(0, SHOWN);
  const head = ['layer', 'operator', 'bits', 'alone', 'all but it', 'int8 saves'];
  print(`\n${columns([head, ...layers.map((layer) => row(report, layer))], [2, 3, 4, 5])}`);
  if (layers.length < report.layers.length) print(`\n--all shows all ${report.layers.length} layers.`);
}

const named = ({ metric }: SensitivityReport): string =>
  ({
    sqnr: 'signal to noise of the outputs',
    kl: 'divergence of the distributions over classes, in dB below 1 nat',
    wrong: 'share of wrong answers',
  })[metric];

const figure = ({ unit }: SensitivityReport, value: number | null): string =>
  unit === 'wrong' ? `${((value ?? 0) * 100).toFixed(2)} %` : formatDecibels(value);

const row = (report: SensitivityReport, layer: LayerSensitivity): string[] => [
  layer.node,
  layer.opType,
  String(layer.bits),
  figure(report, layer.alone),
  figure(report, layer.without),
  `${layer.saves.toFixed(layer.saves < 10 ? 1 : 0)} µs`,
];
