/** Which layers of a student are trained together, block after block. */
import type { Model, Node } from '../../ir/graph.js';
import { joined, type Segment, segmentsOf } from '../../training/block-cuts.js';
import { nodeRoles, type Role } from '../../transformer/index.js';

const ATTENTION: readonly Role[] = ['q', 'k', 'v', 'o'];
const FEED_FORWARD: readonly Role[] = ['gate', 'up', 'down'];

/**
 * The blocks of a student, first to last. A layer of a transformer is one attention and all up to the next; what comes
 * behind the last feed-forward (the head) is a block by itself. Elsewhere a layer is what lies between two cuts. A model
 * that cannot be cut is one block.
 * @param weights names of the weights that go on grids
 * @param layers how many to a block
 */
export function blocksOf(student: Model, weights: Iterable<string>, layers: number): Segment[] {
  const roles = nodeRoles(student);
  const has = ({ nodes }: Segment, wanted: readonly Role[]): boolean =>
    nodes.some((node: Node) => (roles.get(node) ?? []).some(({ role }) => wanted.includes(role)));
  const segments = segmentsOf(student, new Set(weights));
  const begins = segments.flatMap((segment, at) => (has(segment, ATTENTION) ? [at] : []));
  if (begins.length === 0) return grouped(segments, layers);
  const inLayers = segments.findLastIndex((each) => has(each, [...ATTENTION, ...FEED_FORWARD])) + 1;
  const ends = [...begins.slice(1), inLayers];
  const whole = ends.map((end, at) => joined(segments.slice(at === 0 ? 0 : begins[at]!, end)));
  const head = segments.slice(inLayers);
  return [...grouped(whole, layers), ...(head.length > 0 ? [joined(head)] : [])];
}

const grouped = (segments: readonly Segment[], count: number): Segment[] =>
  Array.from({ length: Math.ceil(segments.length / count) }, (_, at) =>
    joined(segments.slice(at * count, (at + 1) * count)),
  );
