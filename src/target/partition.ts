/**
 * Into how many pieces a provider cuts a graph. ONNX Runtime (core/providers/partitioning_utils.cc) lets waves run over
 * the graph: each takes along every node that it can reach without passing one that the provider leaves, and what the
 * provider took in a wave is a partition. A node that is left and reads something of the wave waits for the next.
 */

/** What is taken or left as one, as far as cutting is concerned. */
export interface Piece {
  /** Places of those that it reads, in the same list. */
  readonly reads: readonly number[];
  readonly taken: boolean;
}

/**
 * The partitions, each as places in the list, ascending; in the order in which they can run. Nodes of one partition need
 * not be connected. Contracting each to one node leaves a graph without cycles.
 */
export function partitionsOf(pieces: readonly Piece[]): number[][] {
  const waves: number[] = [];
  for (const at of readingOrder(pieces)) {
    const { reads, taken } = pieces[at]!;
    // What is left runs behind everything that is taken in the wave which it reads from.
    waves[at] = reads.reduce(
      (latest, from) => Math.max(latest, waves[from]! + (pieces[from]!.taken && !taken ? 1 : 0)),
      0,
    );
  }
  const partitions = new Map<number, number[]>();
  pieces.forEach(({ taken }, at) => {
    if (!taken) return;
    const wave = waves[at]!;
    if (!partitions.has(wave)) partitions.set(wave, []);
    partitions.get(wave)!.push(at);
  });
  return [...partitions].sort(([a], [b]) => a - b).map(([, members]) => members);
}

/** Places ordered so that each stands behind those that it reads. */
function readingOrder(pieces: readonly Piece[]): number[] {
  const readers: number[][] = pieces.map(() => []);
  const missing = pieces.map(({ reads }) => reads.length);
  pieces.forEach(({ reads }, at) => {
    for (const from of reads) readers[from]!.push(at);
  });
  const order = pieces.flatMap((_, at) => (missing[at] === 0 ? [at] : []));
  for (let next = 0; next < order.length; next++) {
    for (const reader of readers[order[next]!]!) {
      missing[reader]! -= 1;
      if (missing[reader] === 0) order.push(reader);
    }
  }
  return order;
}
