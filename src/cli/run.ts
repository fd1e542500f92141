/** From words to a command, and from its end to an exit code. */
import type { Command } from 'commander';
import { QuantcError } from '../errors/error.js';
import { nearest } from '../errors/nearest.js';
import { VERSION } from '../report/version.js';
import { onFallback } from '../runtime/load.js';
import { asQuantcError, exitCodeOf, failureJson, failureText, isTold } from './failure.js';
import { COMMANDS, type CommandName, isCommand, overview } from './help.js';
import { print, printJson } from './terminal.js';

/** Each command's own file, loaded when it is called. */
const LOADERS: Readonly<Record<CommandName, () => Promise<{ make(): Command }>>> = {
  compile: () => import('./commands/compile.js'),
  build: () => import('./commands/build.js'),
  worker: () => import('./commands/worker.js'),
  explain: () => import('./commands/explain.js'),
  compare: () => import('./commands/compare.js'),
  sensitivity: () => import('./commands/sensitivity.js'),
  finetune: () => import('./commands/finetune.js'),
  report: () => import('./commands/report.js'),
  new: () => import('./commands/new.js'),
  bindings: () => import('./commands/bindings.js'),
  diff: () => import('./commands/diff.js'),
  inspect: () => import('./commands/inspect.js'),
  print: () => import('./commands/print.js'),
  doctor: () => import('./commands/doctor.js'),
  targets: () => import('./commands/targets.js'),
  passes: () => import('./commands/passes.js'),
};

/** Columns of help: as wide as a line that is easily read. */
const HELP_WIDTH = 110;

/** What quantc will have one day and does not have yet: said so, rather than half done. */
const LATER_COMMANDS: readonly string[] = [];

/** Runs one command line. Never throws. @returns the exit code */
export async function run(words: readonly string[]): Promise<number> {
  const end = words.indexOf('--');
  const json = words.slice(0, end < 0 ? undefined : end).includes('--json');
  onFallback((text) => process.stderr.write(`Note: ${text}. \`quantc doctor\` tells what mends it.\n`));
  try {
    await dispatch(words);
    return 0;
  } catch (thrown) {
    const error = asQuantcError(thrown);
    const debug = Boolean(process.env['QUANTC_DEBUG']);
    if (isTold(error)) return exitCodeOf(error);
    if (json) printJson(failureJson(error, debug));
    else process.stderr.write(failureText(error, debug));
    return exitCodeOf(error);
  }
}

async function dispatch(words: readonly string[]): Promise<void> {
  const [first, ...rest] = words;
  if (first === '--version' || first === '-V') return print(VERSION);
  const [name, args] = first === 'help' ? [rest[0], ['--help']] : [first, rest];
  if (name === undefined) {
    throw usage(
      'E_CLI_COMMAND',
      'no command is given',
      `Commands: ${Object.keys(COMMANDS).join(', ')}.\n\n${overview()}`,
    );
  }
  if (!isCommand(name)) throw unknownCommand(name);
  const command = (await LOADERS[name]()).make();
  command
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {}, getOutHelpWidth: () => HELP_WIDTH });
  try {
    await command.parseAsync(args, { from: 'user' });
  } catch (error) {
    const translated = fromCommander(error, command, name);
    if (translated !== undefined) throw translated;
  }
}

function unknownCommand(name: string): QuantcError {
  if (LATER_COMMANDS.includes(name)) return later(`command ${name}`);
  if (name.startsWith('-'))
    return usage('E_CLI_OPTION', `there is no option ${name} before a command`, guide());
  const meant = nearest(name, Object.keys(COMMANDS));
  const model = name.endsWith('.onnx') ? `quantc compile ${name}` : undefined;
  return usage('E_CLI_COMMAND', `there is no command "${name}"`, suggestion(meant ?? model) + guide());
}

const guide = (name?: string): string =>
  name === undefined
    ? '`quantc --help` lists the commands.'
    : `\`quantc ${name} --help\` explains the command.`;

const suggestion = (meant: string | undefined): string =>
  meant === undefined ? '' : `Did you mean \`${meant}\`? `;

const usage = (code: string, message: string, hint?: string): QuantcError =>
  new QuantcError(code, message, { kind: 'usage', hint });

const later = (what: string, command?: string): QuantcError =>
  usage('E_CLI_LATER', `the ${what} is not in quantc ${VERSION}`, guide(command));

/** Codes of commander's complaints; those of help and version are no complaints. */
const COMPLAINTS: Readonly<Record<string, string>> = {
  'commander.unknownOption': 'E_CLI_OPTION',
  'commander.optionMissingArgument': 'E_CLI_OPTION',
  'commander.conflictingOption': 'E_CLI_OPTION',
  'commander.missingMandatoryOptionValue': 'E_CLI_OPTION',
  'commander.missingArgument': 'E_CLI_ARGUMENT',
  'commander.excessArguments': 'E_CLI_ARGUMENT',
};

/** What commander complains of, as an error of ours; others as they are; `undefined` when it only printed help. */
function fromCommander(error: unknown, command: Command, name: string): unknown {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string' || !code.startsWith('commander.')) return error;
  if ((error as { exitCode?: number }).exitCode === 0) return undefined;
  const message = (error as Error).message.replace(/^error: /, '').split('\n', 1)[0]!;
  const option = code === 'commander.unknownOption' ? /'(-[^'=]*)/.exec(message)?.[1] : undefined;
  const known = command.options.flatMap(({ long }) => (long ? [long] : []));
  const hint = suggestion(option && nearest(option, known)) + guide(name);
  return usage(COMPLAINTS[code] ?? 'E_CLI_USAGE', message, hint);
}

/** `quantc print model.onnx | head` ends early, which is nobody's fault. */
export function quietAboutClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
}
