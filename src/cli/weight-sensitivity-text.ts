/** What bits of weights cost, as a table. */
import type { WeightSensitivity, WeightSensitivityReport } from '../compile/weight-sensitivity.js';
import { columns } from './columns.js';
import { counted, formatBytes, formatDecibels } from './quantity.js';
import { heading } from './terminal.js';

/** Weights that are shown when not all are asked for. */
const SHOWN = 24;

export function weightSensitivityText(report: WeightSensitivityReport, all: boolean): string {
  const { model, metric, samples, source, method, blockSize, bits, weights } = report;
  const shown = all ? weights : weights.slice(0, SHOWN);
  const unit = metric === 'kl' ? 'nats' : 'of energy';
  const head = [
    'weight',
    'role',
    ...bits.map((each) => `${each} bits, ${unit}`),
    `weight at ${bits[0]}`,
    'size',
  ];
  const parts = [
    heading(`${model}: what bits of weights cost`),
    columns([
      [
        'measured',
        `${metric === 'kl' ? 'divergence of the distributions' : 'error of the outputs'} on ${counted(samples, 'sample')} of ${source}, one weight at a time`,
      ],
      ['rounded by', `${method}, ${blockSize === 0 ? 'one scale a column' : `blocks of ${blockSize}`}`],
    ]),
    '',
    columns(
      [head, ...shown.map(row)],
      Array.from({ length: bits.length + 4 }, (_, at) => at + 2),
    ),
  ];
  const byRole = rolesTable(report);
  if (byRole.length > 2)
    parts.push(
      '',
      'By role, nats a million elements:',
      columns(
        byRole,
        bits.map((_, at) => at + 1),
      ),
    );
  if (report.withoutGradients !== undefined) parts.push('', `No gradients: ${report.withoutGradients}`);
  if (bits.includes(3)) parts.push('', '3 bits are simulated: no executor has kernels for them.');
  if (shown.length < weights.length) parts.push('', `--all shows all ${weights.length} weights.`);
  return parts.join('\n');
}

const row = ({ nodes, role, figures, elements, gradient }: WeightSensitivity): string[] => [
  nodes.join(', '),
  role ?? '',
  ...figures.map(({ noise }) => noise.toPrecision(2)),
  formatDecibels(figures[0]!.sqnr),
  formatBytes(4 * elements),
  ...(gradient === undefined ? [] : [(figures[0]!.fisher ?? 0).toPrecision(2), gradient.toPrecision(2)]),
];

/** What a role's weights cost together, for their size: the order that papers speak of. */
function rolesTable({ weights, bits, metric }: WeightSensitivityReport): string[][] {
  if (metric !== 'kl') return [];
  const sums = new Map<string, { elements: number; noise: number[] }>();
  for (const { roles, elements, figures } of weights) {
    const [role, ...others] = new Set(roles.map((each) => each.role));
    if (role === undefined || others.length > 0) continue;
    const sum = sums.get(role) ?? { elements: 0, noise: bits.map(() => 0) };
    sum.elements += elements;
    for (const [at, { noise }] of figures.entries()) sum.noise[at]! += noise;
    sums.set(role, sum);
  }
  const rows = [...sums].toSorted(([, a], [, b]) => b.noise[0]! / b.elements - a.noise[0]! / a.elements);
  return [
    ['role', ...bits.map((each) => `${each} bits`)],
    ...rows.map(([role, { elements, noise }]) => [
      role,
      ...noise.map((each) => ((1e6 * each) / elements).toPrecision(2)),
    ]),
  ];
}
