/** Bits that weights were given one by one, for people. */
import type { WeightMixReport } from '../target/weight-mix.js';
import { columns } from './columns.js';
import { counted, formatBytes } from './quantity.js';

export function weightMixText({ metric, samples, bytes, noise, uniform, layers }: WeightMixReport): string {
  const byBits = new Map<number, { count: number; bytes: number }>();
  for (const layer of layers) {
    const sum = byBits.get(layer.bits) ?? { count: 0, bytes: 0 };
    byBits.set(layer.bits, { count: sum.count + 1, bytes: sum.bytes + layer.bytes });
  }
  const rows = [...byBits]
    .toSorted(([a], [b]) => a - b)
    .map(([bits, sum]) => [`${bits} bits`, counted(sum.count, 'weight'), formatBytes(sum.bytes)]);
  const unit = metric === 'kl' ? ' nats of divergence' : ' of the outputs’ energy';
  const measured = `  ${formatBytes(bytes)}; ${noise.toPrecision(3)}${unit} on ${counted(samples, 'calibration sample')}, ${uniform.toPrecision(3)} with 4 bits everywhere`;
  return `${columns(rows, [1, 2])}\n${measured}`;
}
