import { Command } from 'commander';
import { checkup, type Finding } from '../../compile/checkup.js';
import { QuantcError } from '../../errors/error.js';
import { VERSION } from '../../report/version.js';
import { columns } from '../columns.js';
import { colours, print, printJson } from '../terminal.js';

interface Options {
  readonly cache?: string | false;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc doctor')
    .description(
      'Looks at the installation by using it: the engine, WebGPU, a browser, what reads pictures, and the cache; and ' +
        'tells the line that mends what does not work. Ends with 2 when compiling cannot work.',
    )
    .option('--cache <folder>', 'the cache to look at (default: the one that compile takes)')
    .option('--json', 'print the findings, and errors, as one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc doctor
  quantc doctor --json
  QUANTC_ENGINE=wasm quantc doctor   with ONNX Runtime as WebAssembly; native asks for the native build, or an error`,
    )
    .action(run);
}

async function run({ cache, json }: Options): Promise<void> {
  const findings = await checkup(cache);
  if (json) printJson({ quantc: VERSION, node: process.versions.node, findings });
  else print(`quantc ${VERSION}, Node ${process.versions.node}\n${columns(findings.flatMap(rows))}`);
  const broken = findings.find(({ state }) => state === 'broken');
  if (broken === undefined) return;
  throw new QuantcError('E_DOCTOR', `${broken.what}: ${broken.text}`, { kind: 'usage', hint: broken.mend });
}

const COLOUR = { works: colours.green, absent: colours.yellow, broken: colours.red } as const;

const rows = ({ what, state, text, mend }: Finding): string[][] => [
  [what, COLOUR[state](state), text],
  ...(mend === undefined ? [] : [['', '', `→ ${mend}`]]),
];
