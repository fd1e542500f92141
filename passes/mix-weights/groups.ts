/** Weights that can have bits of their own: those of products, each with all that reads it. */
import {
  isTransposeOf,
  type Model,
  type Node,
  nodeRoles,
  roleText,
  type Tensor,
  type Value,
} from '../../src/index.js';
import { type Product, productOf, tableOf } from '../quantize-weights-nbits/products.js';

/** One stored weight. */
export interface WeightGroup {
  /** The initializer, and further ones that hold the same numbers, turned. */
  readonly weight: Value;
  readonly twins: readonly Value[];
  readonly tensor: Tensor;
  /** Which dimension products sum over. */
  readonly axis: 0 | 1;
  /** Products, and tables that are looked up in it. */
  readonly nodes: readonly Node[];
  /** `v of layer 3`. */
  readonly role: string | undefined;
}

/** The weights of the main graph's products, in order. @param takes whether a product's weight may change */
export function weightGroups(model: Model, takes: (product: Product) => boolean): WeightGroup[] {
  const groups: { weight: Value; twins: Value[]; tensor: Tensor; axis: 0 | 1; nodes: Node[] }[] = [];
  const isInitializer = (value: Value): boolean =>
    value.graph === model.graph && model.graph.initializers.has(value) && value.isConstant;
  for (const node of model.graph.nodes()) {
    const product = productOf(node);
    if (typeof product !== 'object' || !isInitializer(product.weight) || !takes(product)) continue;
    const { weight, tensor, axis } = product;
    const known = groups.find(
      (each) =>
        each.tensor === tensor || isTransposeOf(each.tensor, tensor) || isTransposeOf(tensor, each.tensor),
    );
    if (known === undefined) {
      groups.push({ weight, twins: [], tensor, axis, nodes: [node] });
      continue;
    }
    known.nodes.push(node);
    if (weight !== known.weight && !known.twins.includes(weight)) known.twins.push(weight);
  }
  for (const node of model.graph.nodes()) {
    const table = tableOf(node);
    if (table === undefined || !isInitializer(table.table)) continue;
    const group = groups.find(
      ({ tensor }) =>
        tensor === table.tensor || isTransposeOf(tensor, table.tensor) || isTransposeOf(table.tensor, tensor),
    );
    if (group === undefined) continue;
    group.nodes.push(node);
    if (table.table !== group.weight && !group.twins.includes(table.table)) group.twins.push(table.table);
  }
  const roles = nodeRoles(model);
  return groups.map((group) => {
    const own = group.nodes.flatMap((node) => roles.get(node) ?? []);
    return { ...group, role: own.length > 0 ? roleText(own) : undefined };
  });
}
