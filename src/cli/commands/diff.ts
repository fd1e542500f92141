import { Command } from 'commander';
import { QuantcError } from '../../errors/error.js';
import { difference, differenceText } from '../../report/difference.js';
import { readReport } from '../../report/read-report.js';
import { breachesOf, breachesText, parseChangeLimits } from '../../report/regression.js';
import { toldOf } from '../failure.js';
import { collect } from '../option.js';
import { print, printJson } from '../terminal.js';

interface Options {
  readonly failOn?: readonly string[];
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc diff')
    .description(
      'Tells what changed from one report to another, as Markdown for a comment on a change: sizes, scores, errors of ' +
        'outputs, what a provider takes, and nodes whose precision is another. Ends with 0 whatever changed, unless ' +
        '--fail-on sets limits.',
    )
    .argument('<before.json>', 'the earlier report')
    .argument('<after.json>', 'the later one')
    .option(
      '--fail-on <limits>',
      'end with 1 where a change goes beyond one of these, with commas between: size>+5%, top1<-0.5%, perplexity>+1%, ' +
        'sqnr<-1dB, coverage<0%; size and perplexity in percent of what they were, the others by their difference; may be repeated',
      collect,
    )
    .option('--json', 'print the changes, and errors, as one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc diff main/quantc.report.json dist/quantc.report.json
  quantc diff main/quantc.report.json dist/quantc.report.json --fail-on 'size>+5%,top1<-0.5%' > comment.md

Exit codes: 0 within the limits, 1 beyond one of them, 2 bad usage or input.`,
    )
    .action((first: string, second: string, { failOn = [], json }: Options) => {
      const limits = parseChangeLimits(failOn);
      const [before, after] = [readReport(first), readReport(second)];
      const changes = difference(before, after);
      const breaches = breachesOf(before, after, limits);
      if (json) printJson({ changes, ...(limits.length > 0 && { breaches }) });
      else print(`${breachesText(breaches)}${differenceText(changes)}`);
      if (breaches.length === 0) return;
      const error = new QuantcError(
        'E_DIFF_BEYOND',
        breaches
          .map(({ model, target, limit, change }) => `${model} → ${target}: ${limit}, and it is ${change}`)
          .join('; '),
        { kind: 'proof' },
      );
      throw json ? toldOf(error) : error;
    });
}
