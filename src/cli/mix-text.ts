/** What a search for a mix of precisions found, for people. */
import type { MixReport } from '../target/mix.js';
import { columns } from './columns.js';
import { formatBytes, formatDecibels } from './quantity.js';

/** Points that are told; of more, those in between are left out. */
const TOLD = 8;

/** The front from all integers towards float: error, time by the cost table, bytes. */
export function mixText({ front, chosen, metric, samples }: MixReport): string {
  const whole = front[0]!;
  const step = Math.max(1, Math.ceil(front.length / TOLD));
  const told = front
    .map((point, at) => ({ point, at }))
    .filter(({ at }) => at % step === 0 || at === chosen || at === front.length - 1);
  const rows = told.map(({ point, at }) => [
    at === chosen ? '→' : '',
    at === 0
      ? 'all integers'
      : point.integerNodes === 0
        ? 'all float'
        : `${whole.integerNodes - point.integerNodes} nodes float`,
    formatDecibels(point.decibels),
    `${(point.saving / 1000).toFixed(0)} µs saved`,
    point.bytes === 0 ? '' : `+${formatBytes(point.bytes)}`,
  ]);
  const measured = `  ${metric === 'kl' ? 'divergence of the scores' : 'signal to noise of the outputs'} on ${samples} calibration samples, time by the cost table`;
  return `${columns(rows, [2, 3, 4])}\n${measured}`;
}
