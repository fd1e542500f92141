import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { QuantcError } from '../../errors/error.js';
import { reportPage } from '../../report/html/page.js';
import { readReport } from '../../report/read-report.js';
import { readSensitivity } from '../../report/sensitivity.js';
import { readTraining } from '../../report/training.js';
import { collect } from '../option.js';
import { raceReports } from '../race-reports.js';
import { print } from '../terminal.js';

interface Options {
  readonly out?: string;
  readonly sensitivity?: readonly string[];
  readonly training?: readonly string[];
  readonly race?: string;
  readonly calib?: string;
}

export function make(): Command {
  return new Command('quantc report')
    .description(
      'Makes one HTML page of a report, or of several side by side: sizes, scores, times, what is best for its size, errors ' +
        'layer by layer, histograms with the ranges that were chosen, mixes of precisions, what a provider takes, and ' +
        'every node with what became of it and why, to be searched. The page needs no network.',
    )
    .argument('<quantc.report.json...>', 'reports that `quantc compile` or `quantc build` wrote')
    .option('--out <file>', 'the page (default: beside the first report, ending in .html)')
    .option(
      '--sensitivity <file>',
      'what `quantc sensitivity --json` printed, shown as a map; may be repeated',
      collect,
    )
    .option(
      '--training <file>',
      'a .grids.json of `quantc finetune`, whose learning curve is shown; may be repeated. Reports of models that were ' +
        'compiled beside theirs hold it already',
      collect,
    )
    .option('--race <float.onnx>', 'times compiled models for the CPU against this one, now and here')
    .option('--calib <data>', '--race: data that the sample is taken from (default: random)')
    .addHelpText(
      'after',
      `
Examples
  quantc report dist/quantc.report.json
  quantc report int8/quantc.report.json int4/quantc.report.json --out compare.html
  quantc sensitivity model.onnx --calib data --json > map.json
  quantc report dist/quantc.report.json --sensitivity map.json --race model.onnx`,
    )
    .action(run);
}

async function run(paths: readonly string[], options: Options): Promise<void> {
  const { out = paths[0]!.replace(/(?:\.json)?$/, '.html'), race, calib } = options;
  if (calib !== undefined && race === undefined) {
    throw new QuantcError('E_CLI_OPTION', '--calib is for --race', { kind: 'usage' });
  }
  const reports = paths.map((file) => ({ file, report: readReport(file) }));
  const page = reportPage(
    reports.map(({ report }) => report),
    {
      sensitivity: (options.sensitivity ?? []).map(readSensitivity),
      training: (options.training ?? []).map(readTraining),
      ...(race !== undefined && { latencies: await raceReports(reports, race, calib) }),
    },
  );
  try {
    writeFileSync(out, page);
  } catch (cause) {
    throw new QuantcError('E_OUT_FOLDER', `cannot write there: ${(cause as Error).message}`, {
      kind: 'usage',
      place: { file: out },
      cause,
    });
  }
  print(`${out}\n`);
}
