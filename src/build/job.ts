/** A build as jobs: one model for one target each, so that each can be done by itself, and kept by itself. */
import { join, resolve } from 'node:path';
import { resolveTargets } from '../../targets/index.js';
import { refuseClash } from '../compile/layout-name.js';
import type { CompileRequest } from '../compile/request.js';
import type { Target } from '../target/target.js';
import type { ModelConfig, QuantcConfig } from './config.js';

export interface BuildJob {
  /** The model's name in the config. */
  readonly name: string;
  readonly target: Target;
  /** All but where its files go. Paths are absolute. */
  readonly request: CompileRequest;
}

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
    const wanted = placed.targets ?? ['cpu'];
    const own = wanted.filter((each): each is Target => typeof each !== 'string');
    const targets = resolveTargets(
      wanted.map((each) => (typeof each === 'string' ? each : each.name)),
      own,
    );
    refuseClash(placed.layout, targets);
    return targets.map((target) => ({ name, target, request: { ...placed, targets: [target] } }));
  });
}

/** The job as people read it. */
export const jobTitle = ({ name, target }: BuildJob): string => `${name} for ${target.name}`;

/** Where, in the outputs, a file of a model lies. */
export const placeOf = (name: string, file: string): string => join(name, file);
