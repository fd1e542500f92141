/** Puts passes of plugins beside those that they name. */
import { QuantcError } from '../errors/error.js';
import { nearest } from '../errors/nearest.js';
import type { Pass } from '../pipeline/pass.js';
import type { QuantcPlugin } from './plugin.js';

/** A plugin's pass beside its anchor. */
export interface Placement {
  readonly plugin: string;
  readonly pass: Pass;
  readonly side: 'before' | 'after';
  readonly anchor: string;
}

/** Every placement, in the order of plugins and of their lists. @param signed the pass, bearing its plugin's name */
export const placementsOf = (
  plugins: readonly QuantcPlugin[],
  signed: (pass: Pass, plugin: QuantcPlugin) => Pass,
): Placement[] =>
  plugins.flatMap((plugin) =>
    (plugin.passes ?? []).map(({ pass, before, after }) => ({
      plugin: plugin.name,
      pass: signed(pass, plugin),
      ...(before === undefined
        ? { side: 'after' as const, anchor: after! }
        : { side: 'before' as const, anchor: before }),
    })),
  );

/** Names of passes, those inside groups included. */
export const namesOf = (passes: readonly Pass[]): string[] =>
  passes.flatMap((pass) => [pass.name, ...namesOf(pass.passes ?? [])]);

/**
 * Checks that every anchor can ever be met.
 * @param known names of all passes there are, of whatever recipe
 * @throws QuantcError E_PLUGIN_ANCHOR listing them, or where anchors go round in a circle
 */
export function checkAnchors(placements: readonly Placement[], known: readonly string[]): void {
  const own = new Map(placements.flatMap((each) => namesOf([each.pass]).map((name) => [name, each])));
  const valid = [...new Set([...known, ...own.keys()])];
  for (const { plugin, pass, side, anchor } of placements) {
    if (!valid.includes(anchor)) {
      const meant = nearest(anchor, valid);
      throw anchorError(
        `there is no pass "${anchor}" for ${pass.name} to run ${side}`,
        { plugin, pass: pass.name },
        `${meant === undefined ? '' : `Did you mean \`${meant}\`? `}Passes: ${valid.join(', ')}.`,
      );
    }
  }
  for (const start of placements) {
    const seen = [start];
    for (let next = own.get(start.anchor); next !== undefined; next = own.get(next.anchor)) {
      const from = seen.indexOf(next);
      if (from >= 0) {
        const circle = seen.slice(from).map(({ pass }) => pass.name);
        throw anchorError(
          `${circle.join(' and ')} ${circle.length === 1 ? 'waits for itself' : 'wait for each other'}: no pass of quantc is among their anchors`,
          { plugin: next.plugin, pass: next.pass.name },
          'Anchor one of them beside a built-in pass; `quantc passes` lists them.',
        );
      }
      seen.push(next);
    }
  }
}

const anchorError = (message: string, place: QuantcError['place'], hint: string): QuantcError =>
  new QuantcError('E_PLUGIN_ANCHOR', message, { kind: 'usage', place, hint });

/**
 * A list of passes with those of plugins in their places: wherever an anchor stands, in groups, too. Several at one
 * anchor keep the order of the plugins. Passes of plugins are anchors as well.
 */
export function placed(passes: readonly Pass[], placements: readonly Placement[]): readonly Pass[] {
  if (placements.length === 0) return passes;
  const beside = (name: string, side: Placement['side']): Pass[] =>
    placements.filter((each) => each.anchor === name && each.side === side).map(({ pass }) => pass);
  const expand = (pass: Pass): Pass[] => [
    ...beside(pass.name, 'before').flatMap(expand),
    withInner(pass),
    ...beside(pass.name, 'after').flatMap(expand),
  ];
  const withInner = (pass: Pass): Pass => {
    if (pass.passes === undefined) return pass;
    const inner = pass.passes.flatMap(expand);
    return inner.every((each, index) => each === pass.passes![index]) ? pass : { ...pass, passes: inner };
  };
  return passes.flatMap(expand);
}
