/** A build as jobs: one model for one target each, so that each can be done by itself, and kept by itself. */
import { join, resolve } from 'node:path';
import { TARGET_NAMES, targetAliases } from '../../targets/names.js';
import { refuseClash } from '../compile/layout-name.js';
import type { CompileRequest } from '../compile/request.js';
import { QuantcError } from '../errors/error.js';
import type { QuantcPlugin } from '../plugin/plugin.js';
import type { Target } from '../target/target.js';
import type { ModelConfig, QuantcConfig } from './config.js';

export type NamedTarget = Pick<Target, 'name'>;

export interface BuildJob {
  /** The model's name in the config. */
  readonly name: string;
  /** A target of the user's own, or a built-in one by its name: what is kept is found without loading its tables. */
  readonly target: NamedTarget;
  /** All but where its files go. Paths are absolute. */
  readonly request: CompileRequest;
}

const BUILT_IN: readonly NamedTarget[] = TARGET_NAMES.map((name) => ({ name }));

export const isBuiltIn = (target: NamedTarget): boolean => BUILT_IN.includes(target);

/** Options that are paths. */
const PATHS = ['model', 'calib', 'eval'] as const;

/**
 * Every job of a config, in its order.
 * @param folder that its paths are relative to
 * @throws QuantcError E_TARGET_UNKNOWN, E_LAYOUT_CLASH
 */
export function jobsOf(config: QuantcConfig, folder: string): BuildJob[] {
  return Object.entries(config.models).flatMap(([name, given]) => {
    const model = { ...config.defaults, ...(typeof given === 'string' ? { model: given } : given) };
    const placed: ModelConfig = { ...model };
    for (const key of PATHS) {
      const path = model[key];
      if (path !== undefined) Object.assign(placed, { [key]: resolve(folder, path) });
    }
    const targets = namedTargets(placed.targets ?? ['cpu'], config.plugins);
    refuseClash(placed.layout, targets);
    return targets.map((target) => ({
      name,
      target,
      request: {
        ...placed,
        targets: [asRequested(target)],
        ...(config.plugins !== undefined && { plugins: config.plugins }),
      },
    }));
  });
}

/** Those that are meant, aliases included, without repeats. @throws QuantcError E_TARGET_UNKNOWN */
function namedTargets(
  wanted: readonly (string | Target)[],
  plugins: readonly QuantcPlugin[] = [],
): NamedTarget[] {
  // What is no list is complained of where plugins are checked.
  const plugged = plugins.flatMap(({ targets }) =>
    Array.isArray(targets) ? (targets as readonly Target[]) : [],
  );
  const own = wanted.filter((each): each is Target => typeof each !== 'string');
  const known: readonly NamedTarget[] = [...BUILT_IN, ...plugged, ...own];
  const meant = wanted.flatMap((each) =>
    typeof each === 'string' ? (targetAliases[each] ?? [each]) : [each.name],
  );
  const found = meant.map((name) => known.find((target) => target.name === name));
  const strange = found.indexOf(undefined);
  if (strange >= 0) {
    throw new QuantcError('E_TARGET_UNKNOWN', `there is no target "${meant[strange]}"`, {
      kind: 'usage',
      hint: `Targets: ${[...Object.keys(targetAliases), ...known.map(({ name }) => name)].join(', ')}.`,
    });
  }
  return [...new Set(found as NamedTarget[])];
}

/** As `compile` takes it. */
const asRequested = (target: NamedTarget): string | Target =>
  isBuiltIn(target) ? target.name : (target as Target);

/** The job as people read it. */
export const jobTitle = ({ name, target }: BuildJob): string => `${name} for ${target.name}`;

/** Where, in the outputs, a file of a model lies. */
export const placeOf = (name: string, file: string): string => join(name, file);
