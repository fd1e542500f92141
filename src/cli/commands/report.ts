import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { QuantcError } from '../../errors/error.js';
import { reportPage } from '../../report/html/page.js';
import { readReport } from '../../report/read-report.js';
import { print } from '../terminal.js';

interface Options {
  readonly out?: string;
}

export function make(): Command {
  return new Command('quantc report')
    .description(
      'Makes one HTML page of a report: sizes, scores, errors by layer, mixes of precisions, what a provider takes, and ' +
        'every node with what became of it and why, to be searched. The page needs no network.',
    )
    .argument('<quantc.report.json>', 'the report that `quantc compile` or `quantc build` wrote')
    .option('--out <file>', 'the page (default: beside the report, ending in .html)')
    .addHelpText(
      'after',
      `
Examples
  quantc report dist/quantc.report.json
  quantc report dist/quantc.report.json --out report.html`,
    )
    .action(run);
}

function run(path: string, { out = path.replace(/(?:\.json)?$/, '.html') }: Options): void {
  const page = reportPage(readReport(path));
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
