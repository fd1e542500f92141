/** Compiles towards a budget: each mix in a folder of its own, and what was measured kept for the next time. */
import { cpus } from 'node:os';
import { openData } from '../../calibration/data.js';
import { syntheticData } from '../../calibration/synthetic.js';
import { readModel } from '../../onnx/read.js';
import { nested } from '../../prove.js';
import type { TargetReport } from '../../report/report.js';
import { race } from '../../runtime/latency.js';
import type { BytesGoal, MixGoal } from '../../target/mix.js';
import type { Target } from '../../target/target.js';
import { modelDigest } from '../../text/model-digest.js';
import type { AnswerCache } from '../cache.js';
import type { CompileRequest } from '../request.js';
import { specializeFor } from '../specialize.js';
import { Staging } from '../staging.js';
import type { BudgetTerm } from './budget.js';
import { meetBytes } from './bytes.js';
import { asksForLikeness, type Measured, measuredOf, requireData, requireProvider } from './figures.js';
import { keepCovered, meetBudget } from './search.js';

export interface BudgetRun {
  readonly terms: readonly BudgetTerm[];
  readonly request: CompileRequest;
  readonly target: Target;
  readonly cache: AnswerCache;
  /** Takes over the files of the mix that is kept. */
  readonly staging: Staging;
  /** @param goal of the search for a mix of precisions; without one it goes by itself */
  compile(goal: MixGoal | BytesGoal | undefined, staging: Staging): Promise<TargetReport>;
}

/** @throws QuantcError E_BUDGET, E_BUDGET_TARGET, and whatever compiling throws */
export async function compileWithin(run: BudgetRun): Promise<TargetReport> {
  const { terms, request, target, cache, staging } = run;
  requireProvider(terms, target);
  // No mix of precisions makes a provider take more: there is nothing to search for.
  if (terms.every(({ metric }) => metric === 'coverage'))
    return keepCovered(terms, await run.compile(undefined, staging));
  const wantsLatency = terms.some(({ metric }) => metric === 'latency');
  const key = [...(await keyOf(run)), asksForLikeness(terms), wantsLatency && machine()];
  /** The last mix that was compiled, which most often is the one that is kept. */
  let last: { goal: string; report: TargetReport; staging: Staging } | undefined;
  let attempt = 0;
  const compileNow = async (goal: MixGoal | BytesGoal): Promise<TargetReport> => {
    request.onEvent?.({ kind: 'attempt', target: target.name, attempt: attempt++ });
    last?.staging.remove();
    last = undefined;
    const folder = new Staging(request.out ?? 'dist');
    try {
      const report = await run.compile(goal, folder);
      last = { goal: JSON.stringify(goal), report, staging: folder };
      return report;
    } finally {
      if (last === undefined) folder.remove();
    }
  };
  try {
    const search = {
      terms,
      measure: (goal: MixGoal | BytesGoal) =>
        cache.remember<Measured>('budget-mix', [...key, JSON.stringify(goal)], async () => {
          const report = await compileNow(goal);
          const file = last!.staging.path(report.files[0]!.path);
          return plain(measuredOf(report, wantsLatency ? await raced(request, target, file) : undefined));
        }),
      async keep(goal: MixGoal | BytesGoal) {
        const report = last?.goal === JSON.stringify(goal) ? last.report : await compileNow(goal);
        staging.take(last!.staging);
        return report;
      },
    };
    return await (request.precision === 'auto-weights' ? meetBytes(search) : meetBudget(search));
  } finally {
    last?.staging.remove();
  }
}

/** Reports hold absent fields as `undefined`, which no cache keeps. */
const plain = (measured: Measured): Measured => JSON.parse(JSON.stringify(measured)) as Measured;

/** Everything that a mix's figures depend on besides the mix. */
async function keyOf({ request, target, terms }: BudgetRun): Promise<unknown[]> {
  const {
    onEvent,
    signal,
    out,
    cache,
    report,
    threads,
    budget,
    strict,
    calib,
    eval: evaluation,
    ...options
  } = request;
  const model = readModel(request.model);
  const batchOfModel = specializeFor(request, model, target).length > 0;
  const open = async (path: string | undefined, split: 'calib' | 'eval') =>
    path === undefined ? undefined : openData(path, split, model.graph.inputs, { batchOfModel });
  const held = await open(evaluation, 'eval');
  requireData(terms, held);
  return [
    modelDigest(model),
    (await open(calib, 'calib'))?.digest() ?? null,
    held?.digest() ?? null,
    JSON.stringify({ ...options, model: undefined, targets: undefined }),
    JSON.stringify(target),
  ];
}

/** Latencies hold for the machine that they were taken on. */
const machine = (): string => `${cpus()[0]?.model} × ${cpus().length}`;

const ROUNDS = 40;

/** Medians of the float model and the emitted one, side by side on one sample. */
async function raced(
  request: CompileRequest,
  target: Target,
  emitted: string,
): Promise<NonNullable<Measured['latency']>> {
  const { model, eval: evaluation, calib, threads } = request;
  const sized = readModel(model);
  const batchOfModel = specializeFor(request, sized, target).length > 0;
  const { inputs } = sized.graph;
  const [path, split] = evaluation ? ([evaluation, 'eval'] as const) : ([calib, 'calib'] as const);
  const data =
    path === undefined ? syntheticData(inputs) : await openData(path, split, inputs, { batchOfModel });
  for await (const feeds of data.first(1)) {
    const [float, ours] = await race(
      [
        { name: 'float', model },
        { name: 'ours', model: emitted, options: { extra: nested(target.session) } },
      ],
      [feeds],
      { rounds: ROUNDS, ...(threads !== undefined && { threads }) },
    );
    return { float: float!.median, ours: ours!.median };
  }
  throw new Error('a set of samples is never empty');
}
