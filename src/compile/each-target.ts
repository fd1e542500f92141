/** Several targets, one after the other: which of them may refuse a model without ending the compilation. */
import { resolveTargets, targetAliases } from '../../targets/index.js';
import { QuantcError } from '../errors/error.js';
import type { RefusedTarget, TargetReport } from '../report/report.js';
import type { Target } from '../target/target.js';
import type { CompileRequest } from './request.js';

/**
 * Targets by name, alias or as they are.
 * @param plugged targets of plugins
 * @throws QuantcError E_TARGET_UNKNOWN
 */
export function resolveRequested(
  wanted: readonly (string | Target)[],
  plugged: readonly Target[] = [],
): Target[] {
  const own = wanted.filter((each): each is Target => typeof each !== 'string');
  return resolveTargets(
    wanted.map((each) => (typeof each === 'string' ? each : each.name)),
    [...plugged, ...own],
  );
}

/**
 * Compiles for each target. One that was named by itself must succeed. Of those that an alias such as `npu` stands for,
 * some may have no form for the model: they are told of, in the report too, and the others go on; with `strict` they
 * are errors like any other. Faults of quantc, and proofs that fail, always end it.
 * @throws the error of the first refusal, where no target is left
 */
export async function eachTarget(
  targets: readonly Target[],
  { targets: asked = [], strict = false, onEvent }: CompileRequest,
  compile: (target: Target) => Promise<readonly TargetReport[]>,
): Promise<{ readonly reports: TargetReport[]; readonly refused: readonly RefusedTarget[] }> {
  const named = asked.map((each) => (typeof each === 'string' ? each : each.name));
  const mayRefuse = ({ name }: Target): boolean =>
    !strict && !named.some((each) => each === name || targetAliases[each]?.join() === name);
  const reports: TargetReport[] = [];
  const refused: RefusedTarget[] = [];
  let first: QuantcError | undefined;
  for (const target of targets) {
    try {
      reports.push(...(await compile(target)));
    } catch (error) {
      const { name } = target;
      if (!mayRefuse(target) || !(error instanceof QuantcError)) throw error;
      if (
        error.code === 'E_ABORTED' ||
        error.place.plugin !== undefined ||
        !['input', 'usage'].includes(error.kind)
      )
        throw error;
      first ??= error;
      refused.push(refusedTarget(name, error));
      onEvent?.({ kind: 'refused', target: name, error });
    }
  }
  if (reports.length === 0 && first !== undefined) throw first;
  return { reports, refused };
}

/** A refusal as reports hold it. */
export const refusedTarget = (target: string, { code, message, hint }: QuantcError): RefusedTarget => ({
  ...{ target, code, message },
  ...(hint && { hint }),
});
