import { Command } from 'commander';
import { type LayerSensitivity, type SensitivityReport, sensitivity } from '../../compile/sensitivity.js';
import { columns } from '../columns.js';
import { interruptible } from '../interrupt.js';
import { collect } from '../option.js';
import { watchShare } from '../progress.js';
import { counted, formatDecibels, parseCount } from '../quantity.js';
import { heading, print, printJson } from '../terminal.js';

interface Options {
  readonly calib: string;
  readonly eval?: string;
  readonly target: string;
  readonly exclude?: readonly string[];
  readonly samples?: number;
  readonly cache?: string | false;
  readonly all?: boolean;
  readonly json?: boolean;
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
    .option('--all', 'every layer, not the worst alone')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc sensitivity model.onnx --calib data/
  quantc sensitivity model.onnx --calib data/ --eval data/ --all
  quantc sensitivity model.onnx --calib data/ --json | jq '.layers[0]'

Next: quantc compile model.onnx --calib data/ --eval data/ --budget 'sqnr>=20dB'`,
    )
    .action(run);
}

async function run(model: string, { all, json, ...options }: Options): Promise<void> {
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
