/**
 * What a rewrite puts in place of a match, as a plan: nothing is made while `replace` runs, so that only the driver
 * changes the graph, and a `replace` that throws leaves it as it was.
 */
import { QuantcError } from '../errors/error.js';
import type { Attribute, AttributeInput } from '../ir/attribute.js';
import type { DType } from '../ir/dtype.js';
import { floatAttribute } from '../ir/edit.js';
import { type Node, Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import type { Type } from '../ir/type.js';
import type { ByOperator, MicrosoftOperator, OperatorName, StandardOperator } from './operators.js';

/** A node that will be made. */
export interface PlannedNode {
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly ReplacementInput[];
  readonly attributes: Readonly<Record<string, AttributeInput | undefined>>;
  readonly like: Node | undefined;
  /** Types of outputs as far as the author says them; its length is the number of outputs. */
  readonly outputs: (Type | undefined)[];
}

/** Output `index` of a node that will be made. */
export class PlannedValue {
  readonly node: PlannedNode;
  readonly index: number;
  constructor(node: PlannedNode, index: number) {
    this.node = node;
    this.index = index;
    while (node.outputs.length <= index) node.outputs.push(undefined);
  }
  /** Another output of the same node. */
  out(index: number): PlannedValue {
    return new PlannedValue(this.node, index);
  }
  /** States the type, where a later rewrite of the same pass wants to see it. */
  as(type: Type | undefined): this {
    this.node.outputs[this.index] = type;
    return this;
  }
}

/** What a new node may read: a value of the graph, a constant (bound or new), or another new node's output. */
export type ReplacementInput = Value | Tensor | PlannedValue | undefined;
/** Inputs in order, then perhaps attributes. */
export type ReplacementArguments = readonly (
  | ReplacementInput
  | Readonly<Record<string, AttributeInput | undefined>>
)[];
export type ReplacementOperator = (...parts: ReplacementArguments) => PlannedValue;

interface ReplacementParts {
  /** Copies name, attributes and metadata of `node` to the operator that follows; attributes given override. */
  like<Own extends OperatorName = StandardOperator>(node: Node): ReplacementBuilder<Own>;
  /**
   * Operators of another domain, imported at version 1 when the model does not import it yet:
   * `op.domain<'MyNorm'>('my.domain').MyNorm(x)`, where the names may be left out.
   */
  domain(name: 'com.microsoft'): ReplacementBuilder<MicrosoftOperator>;
  domain<Own extends OperatorName = OperatorName>(name: string): ReplacementBuilder<Own>;
  /** A constant of no dimensions. */
  scalar(number: number, dtype: DType): Tensor;
  /** A constant of given bytes. */
  constant(dtype: DType, shape: readonly number[], data: ArrayBufferView, name?: string): Tensor;
  /** A constant that a pure function makes from others, when the model is written. Named after the first of them. */
  derived(
    dtype: DType,
    shape: readonly number[],
    from: readonly Tensor[],
    compute: (from: readonly Tensor[]) => ArrayBufferView,
  ): Tensor;
}

/** What `replace` is given: a function for each operator. `Name`: those that its domain is known to have. */
export type ReplacementBuilder<Name extends OperatorName = StandardOperator> = ReplacementParts &
  ByOperator<Name, ReplacementOperator>;

/** An empty last argument counts as an input, which is then dropped with the other omitted ones at the end. */
const isInput = (part: ReplacementArguments[number]): part is ReplacementInput =>
  part === undefined || part instanceof Value || part instanceof Tensor || part instanceof PlannedValue;

export function replacementBuilder(domain = '', like?: Node): ReplacementBuilder {
  const own = {
    like: (node: Node) => {
      if (node.subgraphs.length > 0) {
        throw new QuantcError('E_REWRITE_SUBGRAPH', `op.like cannot copy the subgraphs of ${node.opType}`, {
          kind: 'usage',
          place: { node: node.label },
        });
      }
      return replacementBuilder(node.domain, node);
    },
    domain: (name: string) => replacementBuilder(name, like),
    scalar: (number: number, dtype: DType) => Tensor.scalar(number, dtype),
    constant: (dtype: DType, shape: readonly number[], data: ArrayBufferView, name?: string) =>
      Tensor.of(dtype, shape, data, { name }),
    derived: (
      dtype: DType,
      shape: readonly number[],
      from: readonly Tensor[],
      compute: (from: readonly Tensor[]) => ArrayBufferView,
    ) => Tensor.derive(dtype, shape, from, compute, { name: from[0]?.name }),
  };
  return new Proxy(own, {
    get: (target, name) =>
      name in target
        ? target[name as keyof typeof target]
        : typeof name === 'string'
          ? (...parts: ReplacementArguments) => plan(name, domain, like, parts)
          : undefined,
  }) as unknown as ReplacementBuilder;
}

function plan(
  opType: string,
  domain: string,
  like: Node | undefined,
  parts: ReplacementArguments,
): PlannedValue {
  const last = parts.at(-1);
  const attributes = isInput(last) ? {} : (last as PlannedNode['attributes']);
  const inputs = isInput(last) ? [...parts] : parts.slice(0, -1);
  while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
  const wrong = inputs.find((part) => !isInput(part));
  if (wrong !== undefined) {
    throw new QuantcError(
      'E_REWRITE_INPUT',
      `an input given to ${opType} is neither a value nor a constant`,
      {
        kind: 'usage',
        hint: 'Attributes come last, after all inputs.',
      },
    );
  }
  return new PlannedValue(
    { opType, domain, like, attributes, inputs: inputs as ReplacementInput[], outputs: [undefined] },
    0,
  );
}

/** Attributes that ONNX types as float wherever they occur: a whole number given for one is a float all the same. */
const FLOAT_ATTRIBUTES = new Set([
  'alpha',
  'beta',
  'gamma',
  'epsilon',
  'momentum',
  'lambd',
  'bias',
  'ratio',
  'extrapolation_value',
  'cubic_coeff_a',
]);

/** Attributes that a planned node gets: those of the node that it is like, then its own. */
export function plannedAttributes(planned: PlannedNode): Map<string, Attribute | AttributeInput> {
  const all = new Map<string, Attribute | AttributeInput>(planned.like?.attributes ?? []);
  for (const [name, input] of Object.entries(planned.attributes)) {
    if (input === undefined) all.delete(name);
    else
      all.set(name, typeof input === 'number' && FLOAT_ATTRIBUTES.has(name) ? floatAttribute(input) : input);
  }
  return all;
}
