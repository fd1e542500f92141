/** One option of each of several things, so that all cost no more than a limit and lose least. */

export interface KnapsackOption {
  /** Whole units, e.g. bytes. */
  readonly cost: number;
  readonly loss: number;
}

/** Steps that the limit is divided into: what each thing costs is rounded up to them. */
const STEPS = 1 << 13;

/**
 * Chooses by dynamic programming over the limit in steps, then spends what rounding left over where it gains most.
 * @returns the index of each thing's option, or undefined where the cheapest options together cost too much
 */
export function chooseWithin(
  things: readonly (readonly KnapsackOption[])[],
  limit: number,
): number[] | undefined {
  const cheapest = things.map((options) => indexOfLeast(options.map(({ cost, loss }) => [cost, loss])));
  const total = (chosen: readonly number[]): number =>
    chosen.reduce((sum, at, thing) => sum + things[thing]![at]!.cost, 0);
  const least = total(cheapest);
  if (least > limit) return undefined;
  // What all cost at least is paid for ahead, so that rounding touches what is above it alone.
  const unit = Math.max(1, (limit - least) / STEPS);
  const steps = Math.floor((limit - least) / unit);
  const extra = (thing: number, at: number): number =>
    Math.ceil((things[thing]![at]!.cost - things[thing]![cheapest[thing]!]!.cost) / unit);
  let best = new Float64Array(steps + 1);
  const picks: Uint8Array[] = [];
  for (const [thing, options] of things.entries()) {
    const next = new Float64Array(steps + 1).fill(Number.POSITIVE_INFINITY);
    const pick = new Uint8Array(steps + 1);
    for (const [at, { loss }] of options.entries()) {
      const needs = extra(thing, at);
      for (let room = needs; room <= steps; room++) {
        const value = best[room - needs]! + loss;
        if (value < next[room]!) {
          next[room] = value;
          pick[room] = at;
        }
      }
    }
    best = next;
    picks.push(pick);
  }
  const chosen = [...cheapest];
  for (let thing = things.length - 1, room = steps; thing >= 0; thing--) {
    const at = picks[thing]![room]!;
    chosen[thing] = at;
    room -= extra(thing, at);
  }
  spend(things, chosen, limit - total(chosen));
  return chosen;
}

/** Betters single options while there is room, the largest gain a unit first. */
function spend(things: readonly (readonly KnapsackOption[])[], chosen: number[], left: number): void {
  for (let room = left; ; ) {
    let best: { thing: number; at: number; rate: number } | undefined;
    for (const [thing, options] of things.entries()) {
      const now = options[chosen[thing]!]!;
      for (const [at, { cost, loss }] of options.entries()) {
        const more = cost - now.cost;
        if (loss >= now.loss || more > room) continue;
        const rate = (now.loss - loss) / Math.max(more, Number.MIN_VALUE);
        if (rate > (best?.rate ?? 0)) best = { thing, at, rate };
      }
    }
    if (best === undefined) return;
    room -= things[best.thing]![best.at]!.cost - things[best.thing]![chosen[best.thing]!]!.cost;
    chosen[best.thing] = best.at;
  }
}

function indexOfLeast(keys: readonly (readonly [number, number])[]): number {
  let best = 0;
  for (const [at, [cost, loss]] of keys.entries()) {
    const [least, lost] = keys[best]!;
    if (cost < least || (cost === least && loss < lost)) best = at;
  }
  return best;
}
