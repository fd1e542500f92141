/** Budgets of weights whose bits are chosen one by one: what meets them is found by compiling with more or fewer bytes. */
import { QuantcError } from '../../errors/error.js';
import type { BudgetFigure, TargetReport } from '../../report/report.js';
import type { BytesGoal } from '../../target/mix.js';
import type { BudgetTerm } from './budget.js';
import { figuresOf, figureText, type Measured, measureOf } from './figures.js';

export interface BytesSearch {
  readonly terms: readonly BudgetTerm[];
  measure(goal: BytesGoal): Promise<Measured>;
  keep(goal: BytesGoal): Promise<TargetReport>;
}

interface Candidate {
  readonly bytes: number;
  readonly measured: Measured;
  readonly figures: readonly BudgetFigure[];
}

/** Models compiled to come close to a size, and to halve the way to an accuracy. */
const CLOSER = 3;
const HALVINGS = 4;

/**
 * Limits on size alone get the most accurate weights that fit; limits on accuracy the fewest bytes that meet them.
 * @throws QuantcError E_BUDGET of kind `proof` when nothing that was compiled meets all
 */
export async function meetBytes({ terms, measure, keep }: BytesSearch): Promise<TargetReport> {
  const tried: Candidate[] = [];
  const attempt = async (bytes: number): Promise<Candidate> => {
    const measured = await measure({ kind: 'bytes', bytes: Math.floor(bytes) });
    const candidate = { bytes: Math.floor(bytes), measured, figures: figuresOf(terms, measured) };
    tried.push(candidate);
    return candidate;
  };
  const whole = await attempt(Number.MAX_SAFE_INTEGER);
  const { least, most, bytes: used } = whole.measured.weightMix ?? { least: 0, most: 0, bytes: 0 };
  const beside = whole.measured.bytesAfter - used;
  const limit = Math.min(...terms.map((term) => fileLimit(term, whole.measured)));
  if (!isSmall(whole)) {
    let room = limit - beside;
    for (let step = 0; step < CLOSER; step++) {
      const at = await attempt(Math.max(room, least));
      if (isSmall(at) || room <= least) break;
      room -= at.measured.bytesAfter - limit;
    }
  }
  if (terms.some(({ metric }) => metric !== 'size')) {
    const fits = tried.filter((each) => isSmall(each) && isAccurate(each)).at(-1);
    let [low, high] = [least, Math.min(fits?.bytes ?? 0, most)];
    for (let step = 0; fits !== undefined && step < HALVINGS && high - low > most / 50; step++) {
      const at = await attempt((low + high) / 2);
      if (isAccurate(at)) high = at.bytes;
      else low = at.bytes;
    }
  }
  const good = tried.filter(({ figures }) => figures.every(({ met }) => met));
  const wantsLess = terms.some(({ metric }) => metric !== 'size');
  const chosen = good.toSorted(
    (a, b) => (wantsLess ? 1 : -1) * (a.measured.bytesAfter - b.measured.bytesAfter),
  )[0];
  if (chosen === undefined) throw failed(terms, tried);
  const report = await keep({ kind: 'bytes', bytes: chosen.bytes });
  const message = `${chosen.figures.map(figureText).join('; ')}. ${tried.length} mixes of bits were compiled, and this one was chosen by those very figures`;
  return {
    ...report,
    budget: {
      figures: chosen.figures,
      tried: tried.map(({ figures, measured }, point) => ({ point, figures, measured: measureOf(measured) })),
      ...(chosen.measured.latency && { latency: chosen.measured.latency }),
    },
    notes: [...report.notes, { level: 'info', code: 'budget', message }],
  };

  function isSmall({ measured }: Candidate): boolean {
    return measured.bytesAfter <= limit;
  }

  function isAccurate({ figures }: Candidate): boolean {
    return terms.every(({ metric }, at) => metric === 'size' || figures[at]!.met);
  }
}

const fileLimit = ({ metric, relative, limit }: BudgetTerm, { bytesBefore }: Measured): number =>
  metric !== 'size' ? Number.POSITIVE_INFINITY : relative === 'times' ? limit * bytesBefore : limit;

function failed(terms: readonly BudgetTerm[], tried: readonly Candidate[]): QuantcError {
  const rows = tried
    .toSorted((a, b) => a.measured.bytesAfter - b.measured.bytesAfter)
    .map(({ figures }) => `  ${figures.map(figureText).join('; ')}`);
  return new QuantcError(
    'E_BUDGET',
    `no mix of bits meets ${terms.map(({ text }) => text).join(' and ')}. What was compiled and measured:\n${rows.join('\n')}`,
    { kind: 'proof', hint: 'Nothing was written. Loosen the limit that is not met.' },
  );
}
