/** What a user asks to be protected from few bits, and what the passes are told of it. */
import { QuantcError } from '../errors/error.js';
import type { Precision } from '../recipe.js';
import { protectionFact } from '../transformer/facts.js';
import { parseProtection } from '../transformer/protection.js';

/** Nothing is below 16 bits here. */
const NOTHING_TO_PROTECT: readonly Precision[] = ['fp16', 'bf16', 'float'];

/**
 * Tells the passes what is protected.
 * @throws QuantcError E_PROTECT_SYNTAX, and E_PROTECT_PRECISION where no weight gets fewer than 16 bits anyway
 */
export function tellProtection(
  facts: Map<string, unknown>,
  precision: Precision,
  patterns: readonly string[] = [],
): void {
  if (patterns.length === 0) return;
  if (NOTHING_TO_PROTECT.includes(precision)) {
    throw new QuantcError(
      'E_PROTECT_PRECISION',
      `${precision} has nothing that weights are to be protected from`,
      {
        kind: 'usage',
        hint: 'Protection is for precisions below 16 bits; --exclude keeps nodes in float32.',
      },
    );
  }
  protectionFact.set({ facts }, patterns.map(parseProtection));
}
