/** Amounts, as people write and read them. */
import { QuantcError } from '../errors/error.js';

export { counted, formatBytes, formatDecibels } from '../report/amounts.js';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** `1GiB`, `512 MB`, `1000000` → bytes. @throws QuantcError E_CLI_VALUE */
export function parseBytes(text: string): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = UNITS[unit?.toLowerCase() ?? '?'];
  if (digits === undefined || factor === undefined || Number(digits) === 0) {
    throw badValue(`"${text}" is no amount of memory`, 'Write it as 512MiB, 1GiB or 2GB.');
  }
  return Math.floor(Number(digits) * factor);
}

/** A whole number from 1 on. @throws QuantcError E_CLI_VALUE */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || !Number.isSafeInteger(count))
    throw badValue(`"${text}" is not a whole number from 1 on`);
  return count;
}

const badValue = (message: string, hint?: string): QuantcError =>
  new QuantcError('E_CLI_VALUE', message, { kind: 'usage', hint });
