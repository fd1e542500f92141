/** Compares texts of graphs with what they are expected to be, and shows where they differ. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { QuantcError } from '../errors/error.js';

/** Set to `update`, expected files are written rather than compared; never where `CI` is set. */
const SWITCH = 'QUANTC_GOLDEN';

/**
 * Expects a text, as it stands in the test. Space at the ends of lines and around the whole does not count.
 * @throws QuantcError E_TEST_GOLDEN that shows which lines differ
 */
export function expectText(found: string, expected: string): void {
  const [a, b] = [found, expected].map(plain);
  if (a !== b) throw differs('the text is another', b!, a!);
}

/**
 * Expects what a file holds. `QUANTC_GOLDEN=update` writes the file: read it as you would read a change of code.
 * @throws QuantcError E_TEST_GOLDEN where it differs, or there is no such file
 */
export function expectGolden(found: string, file: string): void {
  const update = process.env[SWITCH] === 'update' && !process.env['CI'];
  if (update) {
    if (existsSync(file) && plain(readFileSync(file, 'utf8')) === plain(found)) return;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${plain(found)}\n`);
    return;
  }
  if (!existsSync(file)) {
    throw new QuantcError('E_TEST_GOLDEN', 'there is no such expected file', {
      place: { file },
      hint: `${SWITCH}=update writes it.`,
    });
  }
  const [a, b] = [found, readFileSync(file, 'utf8')].map(plain);
  if (a !== b) throw differs('it is not as expected', b!, a!, file);
}

const plain = (text: string): string =>
  text
    .trim()
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll('\r\n', '\n');

function differs(message: string, expected: string, found: string, file?: string): QuantcError {
  const lines = difference(expected.split('\n'), found.split('\n'));
  return new QuantcError('E_TEST_GOLDEN', `${message} (- expected, + found)\n${lines.join('\n')}\n`, {
    place: { file },
    hint: file && `Where it is right, ${SWITCH}=update writes it.`,
  });
}

/** Lines around a difference that are shown. */
const AROUND = 2;

/** Both texts, line by line: what they share, what one alone has. Far from any difference lines are left out. */
function difference(before: readonly string[], after: readonly string[]): string[] {
  // Longest common subsequence, from the ends: graphs of tests are small.
  const common = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      common[i]![j] =
        before[i] === after[j]
          ? common[i + 1]![j + 1]! + 1
          : Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push(`  ${before[i]}`);
      i++;
      j++;
    } else if (j >= after.length || (i < before.length && common[i + 1]![j]! >= common[i]![j + 1]!))
      lines.push(`- ${before[i++]}`);
    else lines.push(`+ ${after[j++]}`);
  }
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some((line) => !line.startsWith('  ')),
  );
  return lines.flatMap((line, at) => (near[at] ? [line] : near[at - 1] ? ['  …'] : []));
}
