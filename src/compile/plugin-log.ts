/** What the passes of plugins did, as the report tells it. */
import type { PassEvent } from '../pipeline/run.js';
import type { PluginPassReport, PluginReport } from '../report/report.js';
import type { Plugged } from './plugged.js';

/** Places that a report names for each pass; more are counted. */
const MOST_TOLD = 100;

/** Follows the passes of one compilation. */
export class PluginLog {
  readonly #passes = new Map<string, { plugin: string; pass: PluginPassReport }>();

  seen({ plugin, pass, changed, changes, declines }: PassEvent): void {
    if (plugin === undefined) return;
    const key = `${plugin}/${pass}`;
    const known = this.#passes.get(key)?.pass;
    const told = [...(known?.changes ?? []), ...changes];
    const left = [...new Set([...(known?.declines ?? []), ...declines])];
    this.#passes.set(key, {
      plugin,
      pass: {
        pass,
        runs: (known?.runs ?? 0) + 1,
        // A pass may change something and say nothing of it.
        changed: (known?.changed ?? 0) + Math.max(changes.length, changed ? 1 : 0),
        declined: left.length,
        changes: told.slice(0, MOST_TOLD),
        declines: left.slice(0, MOST_TOLD),
      },
    });
  }

  /** Every plugin, those that did nothing as well. @param used the target and the way to choose ranges that were taken */
  report({ plugins }: Plugged, used: { readonly target: string; readonly ranges?: string }): PluginReport[] {
    return plugins.map(({ name, targets = [], observers = [] }) => ({
      plugin: name,
      passes: [...this.#passes.values()].filter((each) => each.plugin === name).map(({ pass }) => pass),
      ...(targets.some((each) => each.name === used.target) && { target: used.target }),
      ...(observers.some((each) => each.name === used.ranges) && { observer: used.ranges }),
    }));
  }
}
