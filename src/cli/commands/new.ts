import { relative } from 'node:path';
import { Command } from 'commander';
import { TARGET_NAMES, targetAliases } from '../../../targets/names.js';
import { newScaffold } from '../../codegen/scaffold.js';
import { SCAFFOLDS, type ScaffoldKind } from '../../codegen/scaffold-text.js';
import { RANGE_METHODS } from '../../compile/range-method.js';
import { QuantcError } from '../../errors/error.js';
import { print, printJson } from '../terminal.js';

interface Options {
  readonly dir?: string;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc new')
    .description(
      'Writes a part of your own, small and working, with its test, and registers it in the nearest quantc.config.ts, ' +
        'which is made where there is none. Nothing is overwritten.',
    )
    .argument('<kind>', SCAFFOLDS.join(', '))
    .argument('<name>', 'what it is called in reports and options: small letters, digits, - between words')
    .option('--dir <folder>', 'folder for source and test (default: quantc, beside the config)')
    .option('--json', 'print what was written, and errors, as one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc new rewrite drop-double-negation
  quantc new target my-chip --dir src/quantc
  npx mocha --import=tsx quantc/drop-double-negation.test.ts`,
    )
    .action(run);
}

async function run(given: string, name: string, { dir, json }: Options): Promise<void> {
  const kind = SCAFFOLDS.find((each) => each === given);
  if (kind === undefined) {
    throw new QuantcError('E_NEW_KIND', `there is nothing new of kind "${given}"`, {
      kind: 'usage',
      hint: `Kinds: ${SCAFFOLDS.join(', ')}.`,
    });
  }
  if ((await takenNames(kind)).includes(name)) {
    throw new QuantcError('E_NEW_NAME', `quantc has a ${kind} "${name}" of its own`, {
      kind: 'usage',
      hint: 'Choose another name: reports and traces tell things apart by it.',
    });
  }
  const made = await newScaffold({ kind, name, ...(dir !== undefined && { dir }) });
  if (json) return printJson(made);
  const { path, done, told } = made.config;
  const shown = (file: string): string => relative('.', file);
  print(`${shown(made.source)}\n${shown(made.test)}\n`);
  if (told === undefined) print(`${shown(path)} ${done === 'made' ? '(new)' : 'names it'}\n`);
  else print(`\n${shown(path)} is left as it is: ${told.why}. Add\n  ${told.lines.join('\n  ')}\n`);
}

/** Names that are given away already. */
async function takenNames(kind: ScaffoldKind): Promise<readonly string[]> {
  if (kind === 'target') return [...TARGET_NAMES, ...Object.keys(targetAliases)];
  if (kind === 'observer') return RANGE_METHODS;
  const { passNames } = await import('../../compile/plugged.js');
  return passNames();
}
