import { Command } from 'commander';
import { QuantcError } from '../../errors/error.js';
import type { Comparison } from '../../runtime/compare.js';
import { columns } from '../columns.js';
import { type ComparedLayer, type ComparisonResult, compareModels } from '../comparison.js';
import { layerTable } from '../layer-table.js';
import { counted, formatDecibels, parseCount } from '../quantity.js';
import { heading, print, printJson } from '../terminal.js';

interface Options {
  readonly calib?: string;
  readonly eval?: string;
  readonly samples: number;
  readonly layers: number;
  readonly rounds: number;
  readonly threads?: number;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc compare')
    .description(
      'Runs two models on the same data and says how far apart their outputs lie, in which layers the error comes ' +
        'in, and how long each takes. Layers are matched by name; those of a model that quantc made are found through ' +
        'the quantc.report.json beside it.',
    )
    .argument('<a.onnx>', 'the model to compare with, such as the float one')
    .argument('<b.onnx>', 'the other one')
    .option('--eval <data>', 'data to run on: its evaluation split')
    .option('--calib <data>', 'data to run on: its calibration split; without either, random feeds')
    .option('--samples <n>', 'samples to compare outputs on', parseCount, 64)
    .option('--layers <n>', 'how many layers to list, the worst first', parseCount, 10)
    .option('--rounds <n>', 'times that each is run for its latency', parseCount, 30)
    .option('--threads <n>', 'threads of ONNX Runtime (default: one a core)', parseCount)
    .option('--json', 'print one JSON document, with every layer')
    .addHelpText(
      'after',
      `
Examples
  quantc compare model.onnx dist/model.cpu-x64.onnx --eval data/
  quantc compare a.onnx b.onnx --json | jq '.latency'

SQNR is the power of the first model's output over that of the difference, in dB: 40 dB is one part in a hundred. Of a
layer that the second model quantizes, "cut off" are elements beyond the ends of its integers, and "steps used" is the
share of those that some element takes. docs/layers.md explains what would help.`,
    )
    .action(async (first: string, second: string, { layers, json, ...options }: Options) => {
      if (options.calib !== undefined && options.eval !== undefined) {
        throw new QuantcError('E_CLI_OPTION', 'compare runs on one set of data', {
          kind: 'usage',
          hint: 'Give either --eval or --calib.',
        });
      }
      const result = await compareModels({ first, second, ...options });
      if (json) return printJson({ first, second, ...result });
      print(text(result, layers));
    });
}

function text({ samples, synthetic, outputs, layers, latency }: ComparisonResult, shown: number): string {
  const on = counted(samples, synthetic ? 'random sample' : 'sample');
  const parts = [heading(`Outputs, on ${on}`), figures(outputs)];
  const differing = layers.filter(({ identical }) => !identical);
  const title = `Layers: ${layers.length} in both, ${differing.length} differ`;
  parts.push(heading(differing.length > shown ? `${title}; the worst ${shown}` : title));
  if (differing.length > 0) parts.push(layerTable(differing.slice(0, shown).map(rowOf), layers.map(rowOf)));
  const [reference] = latency;
  parts.push(heading('Latency of one sample, median'));
  parts.push(
    columns(
      latency.map(({ name, median, min }) => [
        name,
        `${median.toFixed(3)} ms`,
        `least ${min.toFixed(3)} ms`,
        `${(median / reference!.median).toFixed(2)}×`,
      ]),
      [1, 2, 3],
    ),
  );
  return parts.join('\n');
}

const rowOf = ({ name, node, opType, sqnr, cosine, grid, suggestion }: ComparedLayer) => ({
  name: node ?? name,
  opType: opType ?? 'input',
  sqnr,
  cosine,
  ...(grid && { saturation: grid.saturation, rangeUse: grid.rangeUse }),
  ...(suggestion && { suggestion }),
});

const figures = (comparisons: readonly Comparison[]): string =>
  columns([
    ['', 'SQNR', 'cosine', 'max error', 'top-1 agrees'],
    ...comparisons.map(({ name, sqnr, cosine, maxError, top1, identical }) => [
      name,
      identical ? 'exact' : formatDecibels(sqnr),
      cosine.toFixed(5),
      maxError.toPrecision(3),
      top1 === undefined ? '' : `${(top1 * 100).toFixed(1)} %`,
    ]),
  ]);
