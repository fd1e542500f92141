import { Command } from 'commander';
import { difference, differenceText } from '../../report/difference.js';
import { readReport } from '../../report/read-report.js';
import { print, printJson } from '../terminal.js';

interface Options {
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc diff')
    .description(
      'Tells what changed from one report to another, as Markdown for a comment on a change: sizes, scores, errors of ' +
        'outputs, what a provider takes, and nodes whose precision is another. Ends with 0 whatever changed: limits are ' +
        'for --budget.',
    )
    .argument('<before.json>', 'the earlier report')
    .argument('<after.json>', 'the later one')
    .option('--json', 'print the changes, and errors, as one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc diff main/quantc.report.json dist/quantc.report.json
  quantc diff main/quantc.report.json dist/quantc.report.json > comment.md`,
    )
    .action((before: string, after: string, { json }: Options) => {
      const changes = difference(readReport(before), readReport(after));
      if (json) printJson({ changes });
      else print(differenceText(changes));
    });
}
