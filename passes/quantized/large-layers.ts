/** What layers of many inputs want, whose matrices are large: an engine for products, and to be taken a few at a time. */
import type { MatrixEngine, PassContext } from '../../src/index.js';
import { type MomentLayer, partsOf } from './moments.js';

/** Bytes of moments held at a time. */
const MOMENT_BYTES = 128 << 20;

/** Opens an engine for products of large matrices behind `use`, where the context has one. */
export const withMatrices = <T>(
  { engine }: PassContext,
  use: (matrices?: MatrixEngine) => Promise<T>,
): Promise<T> => (engine.withProducts === undefined ? use() : engine.withProducts(use));

/**
 * Layers in order, in groups whose moments there is room for at a time; a layer that fills the room is a group by itself.
 * @param layers that `partsOf` can cut
 * @param largest rows of a part, as for {@link partsOf}
 */
export function byMemory<L extends MomentLayer>(layers: readonly L[], largest?: number): L[][] {
  const groups: L[][] = [];
  let room = 0;
  for (const layer of layers) {
    const parts = partsOf(layer, largest)!;
    const rows = (layer.size * layer.groups) / parts;
    // Doubles here and floats that leave the graph, for every reader.
    const bytes = 12 * rows * rows * parts * layer.readers.length;
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = MOMENT_BYTES;
    }
    groups.at(-1)!.push(layer);
    room -= bytes;
  }
  return groups;
}
