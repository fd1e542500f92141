/** Where a command's words go: results to stdout, everything else to stderr. */
import picocolors from 'picocolors';

/** Colours for stdout: on a terminal, unless NO_COLOR is set; or where FORCE_COLOR is. */
export const colours = picocolors.createColors(
  !process.env['NO_COLOR'] &&
    (Boolean(process.env['FORCE_COLOR']) ||
      (process.stdout.isTTY === true && process.env['TERM'] !== 'dumb')),
);

export const print = (text: string): void =>
  void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);

/** The one document that `--json` prints. Numbers that JSON does not know are null. */
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 1));

export const heading = (text: string): string => colours.bold(text);
