import {
  addConstant,
  createNode,
  type DType,
  type Int,
  type Node,
  type NodeSpec,
  replaceAllUses,
  setAttribute,
  setInput,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';
import { type Adapter, boundByCaller, type Scope } from './step.js';

/** A constant for `node` to read, named after the node's first output. */
export function constant(node: Node, scope: Scope, tensor: Tensor, wish: string): Value {
  const name = `${node.outputs.find((output) => !output.isOmitted)?.name ?? node.opType}_${wish}`;
  return addConstant(scope.model, node.graph, tensor, name);
}

/** Puts a new node between an output and all its readers; the new node reads the output as its first input. */
export function insertAfter(
  node: Node,
  output: Value,
  spec: Omit<NodeSpec, 'inputs' | 'outputs'>,
  rest: readonly Value[] = [],
  type = output.type,
): Node {
  const added = createNode(
    { after: node },
    { ...spec, inputs: [undefined, ...rest], outputs: [{ name: output.name, type }] },
  );
  replaceAllUses(output, added.outputs[0]!);
  setInput(added, 0, output);
  return added;
}

/**
 * Moves an attribute that holds integers to the input at `index`. With `scalar` the tensor has rank 0 for an int
 * attribute; otherwise it has one dimension. An empty list is the same as none where `emptyIsNone` is set.
 */
export function intsToInput(
  attribute: string,
  index: number,
  options: { scalar?: boolean; emptyIsNone?: boolean } = {},
): Adapter {
  return {
    refuse(node, scope) {
      const value = node.attributes.get(attribute);
      if (value?.kind !== 'ref') return undefined;
      return value.type === 'ints' && alwaysGiven(scope, value.name)
        ? undefined
        : boundByCaller(node, attribute);
    },
    apply(node, scope) {
      const value = node.attributes.get(attribute);
      setAttribute(node, attribute, undefined);
      if (value?.kind === 'ref') {
        const name = `${node.opType}_${attribute}`;
        const bound = createNode(
          { before: node },
          {
            opType: 'Constant',
            inputs: [],
            attributes: new Map([['value_ints', value]]),
            outputs: [{ name, type: tensorType('int64', [null]) }],
          },
        );
        setInput(node, index, bound.outputs[0]);
      } else if (value?.kind === 'int' || value?.kind === 'ints') {
        const ints: readonly Int[] = value.kind === 'int' ? [value.value] : value.value;
        if (ints.length === 0 && options.emptyIsNone) return;
        const tensor = Tensor.ints(ints, options.scalar ? [] : [ints.length]);
        setInput(node, index, constant(node, scope, tensor, attribute));
      }
    },
  };
}

/** True when every call of the function gives the attribute, or the function has a default for it. */
function alwaysGiven(scope: Scope, name: string): boolean {
  const { function: callee, model } = scope;
  if (callee === undefined) return false;
  if (callee.attributeDefaults.has(name)) return true;
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      const calls = node.is(callee.name, callee.domain) && node.overload === callee.overload;
      if (calls && !node.attributes.has(name)) return false;
    }
  }
  return true;
}

/** Float dtypes that a scalar constant can be written in. */
export const SCALAR_DTYPES: ReadonlySet<DType | undefined> = new Set(['float', 'double', 'float16']);

/** Rank of an input, where it is known. */
export const rankOf = (value: Value | undefined): number | undefined => value?.shape?.length;

/** An int64 vector that holds the shape of `value` when the model runs: a constant where the shape allows one. */
export function shapeOf(value: Value, node: Node, scope: Scope): Value {
  const shape = value.shape;
  const unknown = shape?.filter((dim) => typeof dim !== 'number').length ?? 2;
  if (shape !== undefined && (unknown === 0 || (unknown === 1 && !shape.includes(0)))) {
    const dims = shape.map((dim) => (typeof dim === 'number' ? dim : -1));
    // In Reshape 0 stands for «as in the input»; an empty tensor keeps its shape only through the Shape operator.
    if (!dims.includes(0)) return constant(node, scope, Tensor.ints(dims), 'shape');
  }
  return createNode(
    { before: node },
    {
      opType: 'Shape',
      inputs: [value],
      outputs: [{ name: `${value.name}_shape`, type: tensorType('int64', [shape?.length ?? null]) }],
    },
  ).outputs[0]!;
}
