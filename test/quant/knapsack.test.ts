import { expect } from 'chai';
import fc from 'fast-check';
import { chooseWithin, type KnapsackOption } from '../../src/quant/knapsack.js';

const sum = (
  things: readonly (readonly KnapsackOption[])[],
  chosen: readonly number[],
  what: 'cost' | 'loss',
) => chosen.reduce((total, at, thing) => total + things[thing]![at]![what], 0);

function best(things: readonly (readonly KnapsackOption[])[], limit: number): number | undefined {
  const [first, ...rest] = things;
  if (first === undefined) return limit >= 0 ? 0 : undefined;
  const found = first.flatMap(({ cost, loss }) => {
    const others = cost <= limit ? best(rest, limit - cost) : undefined;
    return others === undefined ? [] : [others + loss];
  });
  return found.length === 0 ? undefined : Math.min(...found);
}

const option = fc.record({ cost: fc.integer({ min: 1, max: 60 }), loss: fc.integer({ min: 0, max: 100 }) });

describe('quant/knapsack', () => {
  it('loses as little as any choice within the limit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(option, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 250 }),
        (things, limit) => {
          const chosen = chooseWithin(things, limit);
          const least = best(things, limit);
          if (least === undefined) expect(chosen).to.equal(undefined);
          else {
            expect(sum(things, chosen!, 'cost')).to.be.at.most(limit);
            expect(sum(things, chosen!, 'loss')).to.equal(least);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keeps to the limit where costs are bytes of large weights, and spends what rounding leaves', () => {
    const things = Array.from({ length: 30 }, (_, at) =>
      [2, 4, 8].map((bits) => ({ cost: bits * 125_003 + at * 7, loss: (at + 1) * 4 ** -bits })),
    );
    const limit = 30 * 4 * 125_003 + 30 * 29 * 7;
    const chosen = chooseWithin(things, limit)!;
    expect(sum(things, chosen, 'cost')).to.be.within(limit * 0.99, limit);
    expect(chosenBits(chosen)).to.include(4);
  });
});

const chosenBits = (chosen: readonly number[]): number[] => chosen.map((at) => [2, 4, 8][at]!);
