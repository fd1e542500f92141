import { expect } from 'chai';
import fc from 'fast-check';
import { type Piece, partitionsOf } from '../../src/target/partition.js';

/** Graphs of up to twenty pieces, listed in any order, some of them taken. */
const graphs = fc
  .integer({ min: 0, max: 20 })
  .chain((count) =>
    fc.record({
      taken: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
      reads: fc.tuple(
        ...Array.from({ length: count }, (_, at) =>
          at === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat(at - 1), { maxLength: 3 }),
        ),
      ),
      order: fc.shuffledSubarray(
        Array.from({ length: count }, (_, at) => at),
        { minLength: count },
      ),
    }),
  )
  .map(({ taken, reads, order }): Piece[] => {
    const place = new Map(order.map((at, index) => [at, index]));
    return order.map((at) => ({ taken: taken[at]!, reads: reads[at]!.map((from) => place.get(from)!) }));
  });

/** What ONNX Runtime does, step by step: a queue of what is ready, and one of what waits for the next partition. */
function waves(pieces: readonly Piece[]): number[][] {
  const missing = pieces.map(({ reads }) => reads.length);
  let ready = pieces.flatMap((_, at) => (missing[at] === 0 ? [at] : []));
  let waiting: number[] = [];
  let group: number[] = [];
  let border = new Set<number>();
  const groups: number[][] = [];
  while (ready.length + waiting.length > 0) {
    const at = ready.shift();
    if (at === undefined) {
      if (group.length > 0) groups.push(group.sort((a, b) => a - b));
      [group, border, ready, waiting] = [[], new Set(), waiting, []];
      continue;
    }
    const { taken } = pieces[at]!;
    if (!taken && border.has(at)) {
      waiting.push(at);
      continue;
    }
    if (taken) group.push(at);
    pieces.forEach(({ reads }, reader) => {
      if (!reads.includes(at)) return;
      if (taken) border.add(reader);
      missing[reader]! -= 1;
      if (missing[reader] === 0) ready.push(reader);
    });
  }
  if (group.length > 0) groups.push(group.sort((a, b) => a - b));
  return groups;
}

describe('partitions that a provider cuts', () => {
  it('are those that ONNX Runtime cuts in waves', () => {
    fc.assert(
      fc.property(graphs, (pieces) => {
        expect(partitionsOf(pieces)).to.deep.equal(waves(pieces));
      }),
      { numRuns: 500 },
    );
  });

  it('hold every piece that is taken once, and no other', () => {
    fc.assert(
      fc.property(graphs, (pieces) => {
        const held = partitionsOf(pieces).flat();
        expect(held.sort((a, b) => a - b)).to.deep.equal(
          pieces.flatMap(({ taken }, at) => (taken ? [at] : [])),
        );
      }),
    );
  });

  it('leave no cycle when each becomes one node', () => {
    fc.assert(
      fc.property(graphs, (pieces) => {
        const name = pieces.map((_, at) => `${at}`);
        partitionsOf(pieces).forEach((members, at) => {
          for (const member of members) name[member] = `partition ${at}`;
        });
        const reads = new Map<string, Set<string>>();
        for (const each of name) reads.set(each, new Set());
        pieces.forEach((piece, at) => {
          for (const from of piece.reads) if (name[from] !== name[at]) reads.get(name[at]!)!.add(name[from]!);
        });
        // Whatever reads nothing that is still there goes; a cycle would stay.
        for (let went = true; went; ) {
          went = false;
          for (const [each, from] of reads) {
            if ([...from].some((other) => reads.has(other))) continue;
            reads.delete(each);
            went = true;
          }
        }
        expect([...reads.keys()]).to.deep.equal([]);
      }),
    );
  });

  it('are as few as can be: all of a graph is one, and what is left splits only what lies on both sides', () => {
    fc.assert(
      fc.property(graphs, (pieces) => {
        const all = pieces.map((piece) => ({ ...piece, taken: true }));
        expect(partitionsOf(all)).to.have.length(pieces.length === 0 ? 0 : 1);
        const left = pieces.filter(({ taken }) => !taken).length;
        expect(partitionsOf(pieces).length).to.be.at.most(left + 1);
      }),
    );
    const beside: Piece[] = [
      { reads: [], taken: true },
      { reads: [], taken: false },
      { reads: [0, 1], taken: true },
    ];
    expect(partitionsOf(beside)).to.deep.equal([[0, 2]]);
    const between: Piece[] = [
      { reads: [], taken: true },
      { reads: [0], taken: false },
      { reads: [0, 1], taken: true },
    ];
    expect(partitionsOf(between)).to.deep.equal([[0], [2]]);
  });
});
