/**
 * Masks of −∞ have no place on any grid. In front of Softmax −10⁹ serves as well: e to the power of it is 0 in float32,
 * beside any score within ±10⁸. A row that is masked altogether becomes even instead of NaN.
 */
import { addInitializer, definePass, type Node, setInput, Tensor } from '../src/index.js';

const LOW = -1e9;
/** What a mask goes through on its way. */
const CARRIES = new Set([
  'Add',
  'Where',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Expand',
  'Slice',
  'Transpose',
  'Tile',
  'Gather',
]);
const STEPS = 8;

export const finiteMasks = definePass({
  name: 'finite-masks',
  doc: 'constants of −∞ and less than −10⁹ that are added to scores → −10⁹: e to the power of either is 0',
  needs: ['typed'],
  run(model, { changed }) {
    for (const value of [...model.graph.initializers]) {
      if (value.dtype !== 'float' || !value.isConstant) continue;
      const readers = value.uses.filter(({ node }) => node.graph === model.graph && reachesSoftmax(node));
      if (readers.length === 0) continue;
      const floats = value.constant!.toFloat32();
      if (!floats.some((each) => each < LOW)) continue;
      const finite = addInitializer(
        model.graph,
        Tensor.derive('float', value.constant!.shape, [value.constant!], ([values]) =>
          values!.toFloat32().map((each) => Math.max(each, LOW)),
        ),
        `${value.name}_finite`,
      );
      for (const { node, index } of [...readers]) {
        changed(`${value.name} ends at ${LOW}`, node);
        setInput(node, index, finite);
      }
    }
  },
});

function reachesSoftmax(from: Node): boolean {
  let reached = new Set([from]);
  for (let step = 0; step < STEPS && reached.size > 0; step++) {
    const next = new Set<Node>();
    for (const node of reached) {
      if (!CARRIES.has(node.opType)) continue;
      for (const { node: reader } of node.outputs[0]!.uses) {
        if (reader.is('Softmax')) return true;
        next.add(reader);
      }
    }
    reached = next;
  }
  return false;
}
