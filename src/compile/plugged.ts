/** Plugins, checked and ready to use: what they bring, under the names by which requests ask for it. */
import { addKvCache } from '../../passes/add-kv-cache.js';
import { canonicalization, targetFusions, targetLowerings } from '../../passes/index.js';
import { targetAliases, targets } from '../../targets/index.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Pass } from '../pipeline/pass.js';
import { checkPlugins } from '../plugin/check.js';
import { guardedTarget, signedPass } from '../plugin/guard.js';
import { checkAnchors, namesOf, type Placement, placed, placementsOf } from '../plugin/place.js';
import type { Algorithm, QuantcPlugin } from '../plugin/plugin.js';
import type { RangeObserver } from '../plugin/range-observer.js';
import { ALGORITHMS, PRECISIONS, type Recipe, recipeFor } from '../recipe.js';
import type { Target } from '../target/target.js';
import { parseRangeMethod, RANGE_METHODS, type RangeMethod } from './range-method.js';

/** An observer, and whose it is. */
export interface PluggedObserver {
  readonly plugin: string;
  readonly observer: RangeObserver;
}

/** Everything that plugins bring. */
export interface Plugged {
  readonly plugins: readonly QuantcPlugin[];
  readonly targets: readonly Target[];
  readonly observers: readonly PluggedObserver[];
  /** To be chosen among after quantc's own. */
  readonly algorithms: readonly Algorithm[];
  readonly placements: readonly Placement[];
}

/** Passes of every recipe, in their order; some occur several times. */
function everyPass(): readonly Pass[] {
  const algorithms = ALGORITHMS.map(({ pass }) => pass.name);
  const quantizing = PRECISIONS.flatMap((precision) => {
    if (precision === 'auto') return [];
    const { quantize, finish } = recipeFor(precision, algorithms, { beside: true });
    return [...quantize, ...finish];
  });
  const byTarget = [...Object.values(targetFusions), addKvCache, ...Object.values(targetLowerings)];
  return [...canonicalization, ...byTarget, ...quantizing];
}

/** Names of all built-in passes, which no plugin may give to one of its own. */
export const passNames = (): readonly string[] => namesOf(everyPass());

/**
 * Checks plugins and makes them ready.
 * @throws QuantcError E_PLUGIN_SHAPE, E_PLUGIN_NAME, E_PLUGIN_ANCHOR
 */
export function plugIn(given: readonly unknown[] = []): Plugged {
  if (given.length === 0) return { plugins: [], targets: [], observers: [], algorithms: [], placements: [] };
  const known = namesOf(everyPass());
  const plugins = checkPlugins(given, {
    passes: new Set(known),
    targets: new Set([...targets.map(({ name }) => name), ...Object.keys(targetAliases)]),
    observers: new Set(RANGE_METHODS),
  });
  const placements = placementsOf(plugins, signedPass);
  const algorithms = plugins.flatMap((plugin) =>
    (plugin.algorithms ?? []).map((each) => ({ ...each, pass: signedPass(each.pass, plugin) })),
  );
  checkAnchors(placements, [...known, ...namesOf(algorithms.map(({ pass }) => pass))]);
  return {
    plugins,
    targets: plugins.flatMap(({ name, targets: own = [] }) => own.map((each) => guardedTarget(each, name))),
    observers: plugins.flatMap(({ name, observers = [] }) =>
      observers.map((observer) => ({ plugin: name, observer })),
    ),
    algorithms,
    placements,
  };
}

/**
 * The way to choose ranges that is meant: ours by its name, or a plugin's.
 * @throws QuantcError as `parseRangeMethod` does
 */
export function rangesNamed(
  name: string | undefined,
  { observers }: Plugged,
): RangeMethod | PluggedObserver | undefined {
  if (name === undefined) return undefined;
  const plugged = observers.find(({ observer }) => observer.name === name);
  return (
    plugged ??
    parseRangeMethod(
      name,
      observers.map(({ observer }) => observer.name),
    )
  );
}

/** A recipe with passes of plugins in their places. */
export function withPlaced(recipe: Recipe, { placements }: Plugged): Recipe {
  if (placements.length === 0) return recipe;
  return {
    canonicalize: placed(recipe.canonicalize, placements),
    adapt: placed(recipe.adapt, placements),
    quantize: placed(recipe.quantize, placements),
    finish: placed(recipe.finish, placements),
  };
}

/** Notes the passes of plugins that a recipe has no place for, since their anchors are not in it. */
export function noteUnplaced(recipe: Recipe, { placements }: Plugged, what: string, ledger: Ledger): void {
  const there = new Set(Object.values(recipe as unknown as Record<string, readonly Pass[]>).flatMap(namesOf));
  for (const { pass, plugin, side, anchor } of placements) {
    if (there.has(pass.name)) continue;
    ledger.note(
      'info',
      'plugin-anchor',
      `${pass.name} of plugin ${plugin} does not run: ${anchor}, which it runs ${side}, is no pass of ${what}`,
      pass.name,
    );
  }
}
