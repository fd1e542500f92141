/** Whose fault an error of a pass is: ours, or a plugin's. */
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import { type Problem, verify } from '../ir/verify.js';
import type { Pass } from './pass.js';

/** What a pass threw, with the pass in its place. Of a plugin's pass the plugin is named, and nothing is our fault. */
export function blame(error: unknown, { name, plugin }: Pass, lastAt?: string): Error {
  const known = error instanceof QuantcError ? error : undefined;
  const place = { ...known?.place, pass: known?.place.pass ?? name };
  if (plugin === undefined) {
    if (known === undefined)
      return new QuantcError('F_PASS', `pass ${name} failed: ${said(error)}`, {
        ...{ kind: 'fault', place, cause: error },
      });
    return new QuantcError(known.code, known.message, {
      ...{ kind: known.kind, place, hint: known.hint, cause: known },
    });
  }
  const owned = { ...place, plugin };
  // What our own code foresaw keeps its code; an edit that would have broken links is the plugin's doing.
  if (known?.code.startsWith('E_')) {
    const kind = known.kind === 'fault' ? 'usage' : known.kind;
    return new QuantcError(known.code, known.message, { kind, place: owned, hint: known.hint, cause: known });
  }
  return pluginFailure(error, owned, lastAt);
}

/** The error for code of a plugin that threw. @param lastAt node or value that it had last spoken of */
export function pluginFailure(error: unknown, place: QuantcError['place'], lastAt?: string): QuantcError {
  const where = place.node !== undefined || place.value !== undefined || lastAt === undefined;
  return new QuantcError('E_PLUGIN_FAILED', `plugin ${place.plugin} failed: ${said(error)}`, {
    ...{ kind: 'usage', place, cause: error },
    hint: `${where ? '' : `It had last spoken of ${lastAt}. `}QUANTC_DEBUG=1 shows the stack.`,
  });
}

function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code =
    error instanceof QuantcError && !/^F_(?:PASS|REWRITE)$/.test(error.code) ? ` (${error.code})` : '';
  return `${error.message || error.name}${code}`;
}

const keyOf = ({ code, message, place }: Problem): string => JSON.stringify([code, message, place]);

/**
 * Remembers what is wrong with a model that a plugin's pass is about to see.
 * @returns what throws E_PLUGIN_GRAPH where more is wrong afterwards
 */
export function watchGraph(model: Model, { name, plugin }: Pass): () => void {
  const before = new Set(verify(model).map(keyOf));
  return () => {
    const problems = verify(model).filter((problem) => !before.has(keyOf(problem)));
    const [first] = problems;
    if (first === undefined) return;
    const more = problems.length === 1 ? '' : `, and ${problems.length - 1} more`;
    throw new QuantcError(
      'E_PLUGIN_GRAPH',
      `plugin ${plugin} left a broken graph: ${first.message} (${first.code}${more})`,
      {
        kind: 'usage',
        place: { ...first.place, pass: name, plugin },
        hint: 'Change graphs through the functions of quantc alone (replaceAllUses, createNode …): they keep links whole.',
      },
    );
  };
}
