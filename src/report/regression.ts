/** Limits on what a change may cost, for a review that shall fail beyond them. */
import { QuantcError } from '../errors/error.js';
import { titleOf } from './difference.js';
import { worstOf } from './pareto.js';
import type { Report, TargetReport } from './report.js';

/** A limit such as `size>+5%`: what is true of a change that is refused. */
export interface ChangeLimit {
  readonly text: string;
  readonly figure: Figure;
  readonly direction: '<' | '>';
  readonly limit: number;
}

/** One limit that a change goes beyond. */
export interface Breach {
  readonly model: string;
  readonly target: string;
  readonly limit: string;
  /** In words: `+7.3 %`. */
  readonly change: string;
}

type Figure = keyof typeof FIGURES;

/** How figures are read and compared: by their ratio, in percent, or by what lies between them. */
const FIGURES = {
  size: { unit: '%', ratio: true, of: (report: TargetReport) => report.bytesAfter },
  top1: { unit: '%', ratio: false, of: (report: TargetReport) => scoreOf(report, 'top1', 100) },
  perplexity: { unit: '%', ratio: true, of: (report: TargetReport) => scoreOf(report, 'perplexity', 1) },
  sqnr: { unit: 'dB', ratio: false, of: (report: TargetReport) => worstOf(report.proof.outputs) },
  coverage: {
    unit: '%',
    ratio: false,
    of: ({ verdict }: TargetReport) => (verdict === undefined ? undefined : 100 * verdict.coverage),
  },
} as const;

function scoreOf({ proof: { evaluation } }: TargetReport, metric: string, scale: number): number | undefined {
  return evaluation?.metric === metric ? scale * evaluation.quantized : undefined;
}

const FORM = /^([a-z][a-z0-9]*)\s*([<>])\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*(%|db)$/i;

/**
 * Reads limits with commas between.
 * @throws QuantcError E_DIFF_LIMIT for what is none
 */
export function parseChangeLimits(texts: readonly string[]): ChangeLimit[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => {
      const [, name = '', direction, number, unit = ''] = FORM.exec(text.trim()) ?? [];
      const figure = name.toLowerCase() as Figure;
      const known = Object.hasOwn(FIGURES, figure) ? FIGURES[figure] : undefined;
      if (known?.unit.toLowerCase() === unit.toLowerCase() && known !== undefined)
        return { text: text.trim(), figure, direction: direction as '<' | '>', limit: Number(number) };
      throw new QuantcError('E_DIFF_LIMIT', `"${text.trim()}" is no limit on a change`, {
        kind: 'usage',
        hint: 'Write it like size>+5%, top1<-0.5%, perplexity>+1%, sqnr<-1dB or coverage<0%.',
      });
    });
}

/** Figures are rounded on their way into a report. */
const SLACK = 1e-6;

/**
 * Every limit that a change goes beyond. Targets that one of the reports does not have are left out; a figure that the
 * earlier report has and the later has not goes beyond every limit on it.
 * @throws QuantcError E_DIFF_FIGURE for a limit on a figure that no target of the reports has
 */
export function breachesOf(before: Report, after: Report, limits: readonly ChangeLimit[]): Breach[] {
  const keyOf = (report: TargetReport): string => `${report.model} ${titleOf(report)}`;
  const earlier = new Map(before.targets.map((each) => [keyOf(each), each]));
  const pairs = after.targets.flatMap((now) => {
    const was = earlier.get(keyOf(now));
    return was === undefined ? [] : [{ was, now }];
  });
  return limits.flatMap(({ text, figure, direction, limit }) => {
    const { unit, ratio, of } = FIGURES[figure];
    const known = pairs.filter(({ was }) => of(was) !== undefined);
    if (known.length === 0 && pairs.length > 0) {
      throw new QuantcError(
        'E_DIFF_FIGURE',
        `the limit "${text}" is on a figure that the earlier report does not have`,
        {
          kind: 'usage',
          hint:
            figure === 'coverage'
              ? 'Coverage is told of mobile targets.'
              : 'Scores need --eval, when the models are compiled.',
        },
      );
    }
    return known.flatMap(({ was, now }): Breach[] => {
      const [x, y] = [of(was)!, of(now)];
      const place = { model: now.model, target: titleOf(now), limit: text };
      if (y === undefined) return [{ ...place, change: 'no figure any more' }];
      const change = ratio ? 100 * (y / x - 1) : y - x;
      const beyond = direction === '>' ? change > limit + SLACK : change < limit - SLACK;
      return beyond ? [{ ...place, change: `${change >= 0 ? '+' : ''}${change.toFixed(2)} ${unit}` }] : [];
    });
  });
}

/** As Markdown, to stand before what changed; '' where there is none. */
export function breachesText(breaches: readonly Breach[]): string {
  if (breaches.length === 0) return '';
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
  const rows = breaches.map(
    ({ model, target, limit, change }) => `| ${cell(model)} | ${cell(target)} | \`${limit}\` | ${change} |`,
  );
  return `**Beyond the limits**\n\n| model | target | limit | change |\n|---|---|---|---|\n${rows.join('\n')}\n\n`;
}
