/**
 * Weights that the user protects stay float16, or get 8 bits, whatever becomes of the others. Attention's output and
 * value projections are those that few bits hurt most for their size (Bhardwaj et al., Oh! We Freeze, arXiv 2403.18159).
 * Where one product makes protected columns and others, it is cut in two:
 *   x·[Wq Wk Wv]  →  Concat(x·[Wq Wk], x·Wv)
 */
import {
  constantOf,
  definePass,
  exclusionFact,
  givenGridsFact,
  isTransposeOf,
  type Model,
  type Node,
  type PassContext,
  type ProtectedNode,
  protectedNodes,
  protectionFact,
  roleText,
  type Tensor,
  type WeightBits,
  weightBitsFact,
  weightFact,
} from '../src/index.js';
import { cutColumns } from './protect-layers/cut.js';

const BITS = { fp16: 16, int8: 8 } as const;

export const protectLayers = definePass({
  name: 'protect-layers',
  doc: 'weights that the user protects keep 16 or 8 bits; x·[W V] with V protected → Concat(x·W, x·V)',
  needs: ['typed'],
  run(model, context) {
    const protections = protectionFact.find(context) ?? [];
    const kept = givenGridsFact.find(context)?.kept ?? new Set<string>();
    if (protections.length === 0 && kept.size === 0) return;
    const exclude = exclusionFact.find(context);
    const assigned = new Map<Node, { bits: WeightBits | 16; reason: string }>();
    const assign = (node: Node, { text, precision }: ProtectedNode, why: string): void => {
      const bits = BITS[precision];
      const reason = `protected by "${text}": ${why}`;
      assigned.set(node, { bits, reason });
      context.ledger.record(node, { reason });
      context.changed(reason, node);
    };
    for (const each of protectedNodes(model, protections, (node) => weightsOf(node).length > 0)) {
      if (exclude?.(each.node) !== undefined) continue;
      const why = each.roles.length > 0 ? roleText(each.roles) : 'by its name';
      if (each.whole) {
        assign(each.node, each, why);
        continue;
      }
      const parts = cutColumns(model, each);
      if (typeof parts === 'string')
        assign(each.node, each, `${why}; all of its columns are, since ${parts}`);
      else for (const node of parts) assign(node, each, `${why}, cut out of ${each.node.label}`);
    }
    for (const node of kept.size > 0 ? model.graph.nodes() : []) {
      if (assigned.has(node) || !node.inputs.some((input) => input && kept.has(input.name))) continue;
      const reason = 'kept in 16 bits while the others were trained';
      assigned.set(node, { bits: 16, reason });
      context.ledger.record(node, { reason });
    }
    tie(model, assigned, context);
    weightBitsFact.set(context, assigned);
    // Passes for integers ask who stays float; those for weights of few bits look at the bits themselves.
    if (weightFact.find(context) === undefined)
      exclusionFact.set(context, (node) => exclude?.(node) ?? assigned.get(node)?.reason);
  },
});

/** Constants of two dimensions and more that a node multiplies with or looks up. */
function weightsOf(node: Node): Tensor[] {
  return [0, 1, 2].flatMap((index) => {
    const value = node.inputs[index];
    const turned = value?.producer?.is('Transpose') ? value.producer.inputs[0] : value;
    const tensor = constantOf(turned);
    const weighs = /^(MatMul|Gemm|Conv|ConvTranspose|LSTM|GRU|RNN|Attention)$/.test(node.opType)
      ? index > 0 || node.is('MatMul')
      : node.is('Gather') && index === 0;
    return tensor !== undefined &&
      weighs &&
      tensor.shape.length >= 2 &&
      /^(float|float16)$/.test(tensor.dtype)
      ? [tensor]
      : [];
  });
}

/** What shares its weight with a protected node is protected with it: the weight is stored once. */
function tie(
  model: Model,
  assigned: Map<Node, { bits: WeightBits | 16; reason: string }>,
  { ledger }: PassContext,
): void {
  const all = [...model.graphs()].flatMap((graph) => [...graph.nodes()]);
  for (const [node, { bits }] of [...assigned]) {
    const own = weightsOf(node);
    for (const other of all) {
      const known = assigned.get(other);
      if (other === node || (known !== undefined && known.bits >= bits)) continue;
      const shares = weightsOf(other).some((weight) =>
        own.some((each) => each === weight || isTransposeOf(each, weight) || isTransposeOf(weight, each)),
      );
      if (!shares) continue;
      const reason = `protected with ${node.label}, whose weight it shares`;
      assigned.set(other, { bits, reason });
      ledger.record(other, { reason });
    }
  }
}
