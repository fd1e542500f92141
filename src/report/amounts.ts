/** Amounts, as people read them. */

/** Bytes with three digits, decimal units. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** `1 node`, `2 nodes`. */
export const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`;

/** Signal to noise in dB; `null` and infinity stand for equality. */
export const formatDecibels = (sqnr: number | null | undefined): string =>
  sqnr === null || sqnr === Number.POSITIVE_INFINITY
    ? 'exact'
    : sqnr === undefined || Number.isNaN(sqnr)
      ? 'not a number'
      : `${sqnr.toFixed(1)} dB`;
