/** GraphProto and NodeProto ⇄ Graph. */
import { QuantcError } from '../errors/error.js';
import type { AttributeParts, GraphParts, NodeParts } from '../ir/build.js';
import { valuesOf } from '../ir/edit.js';
import type { Graph, Node, Value } from '../ir/graph.js';
import { decodeAttribute, encodeAttribute } from './attribute-proto.js';
import type { ExternalFolder } from './external-data.js';
import type { Message } from './schema.js';
import {
  decodeSparse,
  decodeTensorProto,
  encodeSparse,
  encodeTensorProto,
  type LocateTensor,
} from './tensor-proto.js';
import {
  type Declaration,
  decodeDeclaration,
  encodeDeclaration,
  tieDeclarations,
  type ValueExtras,
} from './value-info.js';

/** What steers the writing of a whole model. */
export interface EncodeContext {
  readonly locate?: LocateTensor;
  /** Write `value_info` for every typed value, or only for those that the file declared. */
  readonly valueInfo: 'all' | 'declared' | 'none';
}

/** What the IR's graph does not say of the message it was read from. */
export interface GraphExtras {
  /** Documentation, metadata, unknown fields, an empty name. */
  readonly rest: Message<'GraphProto'>;
  /** Entries of `value_info` in order: names of values, or entries that belong to none. */
  order: (string | Message<'ValueInfoProto'>)[];
  /** Quantization annotations; `tied` ones speak of a value of this graph and go when it goes. */
  annotations: { readonly tied: boolean; readonly record: Message<'TensorAnnotation'> }[];
  /** What was read, until the graph is built. */
  declared?: {
    readonly inputs: readonly Declaration[];
    readonly outputs: readonly Declaration[];
    readonly infos: readonly Declaration[];
    readonly annotations: readonly Message<'TensorAnnotation'>[];
  };
}

/** Reads a graph, still by name. `settleGraphs` must follow once it is built. Errors: of all that it holds. */
export function decodeGraphParts(
  record: Message<'GraphProto'>,
  folder: ExternalFolder | undefined,
): GraphParts {
  const { node, name = '', initializer, sparse_initializer, input, output, value_info, ...others } = record;
  const { quantization_annotation, ...rest } = others;
  if (record.name === '') (rest as Message<'GraphProto'>).name = '';
  const inputs = (input ?? []).map(decodeDeclaration);
  const outputs = (output ?? []).map(decodeDeclaration);
  const infos = (value_info ?? []).map(decodeDeclaration);
  const annotations = quantization_annotation ?? [];
  const extras: GraphExtras = {
    rest,
    order: [],
    annotations: [],
    declared: { inputs, outputs, infos, annotations },
  };
  return {
    name,
    inputs: inputs.map(bare),
    outputs: outputs.map(bare),
    valueInfo: infos.map(bare),
    initializers: (initializer ?? []).map((each) => decodeTensorProto(each, folder)),
    sparse: (sparse_initializer ?? []).map((each) => decodeSparse(each, folder)),
    nodes: (node ?? []).map((each) => decodeNode(each, folder)),
    extras,
  };
}

/** What `buildGraph` needs of a declaration; the rest is tied to the value afterwards. */
export const bare = ({ name, type }: Declaration): { name: string; type?: Declaration['type'] } =>
  type === undefined ? { name } : { name, type };

/** Ties what was read by name to the values of a graph that was built, nested graphs included. */
export function settleGraphs(root: Graph): void {
  for (const graph of root.withSubgraphs()) {
    const extras = graph.extras as GraphExtras;
    if (extras.declared === undefined) continue;
    const { named, order } = tieDeclarations(graph, extras.declared);
    extras.order = order;
    extras.annotations = extras.declared.annotations.map((record) => ({
      tied: named.has(record.tensor_name ?? ''),
      record,
    }));
    delete extras.declared;
  }
}

export function decodeNode(record: Message<'NodeProto'>, folder: ExternalFolder | undefined): NodeParts {
  const { input, output, name, op_type, domain, overload, attribute, ...others } = record;
  const rest: Message<'NodeProto'> = others;
  // Words that the IR spells otherwise: said but empty, and the long name of the default domain.
  if (name === '') rest.name = name;
  if (op_type === '') rest.op_type = op_type;
  if (overload === '') rest.overload = overload;
  if (domain === '' || domain === 'ai.onnx') rest.domain = domain;
  const attributes = new Map<string, AttributeParts>();
  for (const each of attribute ?? []) {
    const [key, value] = decodeAttribute(each, folder);
    if (attributes.has(key)) {
      throw new QuantcError('E_ONNX_DUPLICATE', `two attributes of one node are named "${key}"`, {
        place: { node: name || op_type },
      });
    }
    attributes.set(key, value);
  }
  return {
    opType: op_type ?? '',
    domain,
    overload,
    name,
    inputs: input ?? [],
    outputs: output ?? [],
    attributes: [...attributes],
    ...(Object.keys(rest).length > 0 && { extras: rest }),
  };
}

export function encodeNode(node: Node, context: EncodeContext): Message<'NodeProto'> {
  const record: Message<'NodeProto'> = { ...(node.extras as Message<'NodeProto'> | undefined) };
  if (node.inputs.length > 0) record.input = node.inputs.map((value) => value?.name ?? '');
  if (node.outputs.length > 0) record.output = node.outputs.map((value) => value.name);
  if (node.name !== '') record.name = node.name;
  if (node.opType !== '') record.op_type = node.opType;
  if (node.domain !== '') record.domain = node.domain;
  else if (record.domain !== 'ai.onnx' && record.domain !== '') record.domain = undefined;
  if (node.overload !== '') record.overload = node.overload;
  if (node.attributes.size > 0) {
    record.attribute = [...node.attributes].map(([name, value]) => encodeAttribute(name, value, context));
  }
  return record;
}

export function encodeGraph(graph: Graph, context: EncodeContext): Message<'GraphProto'> {
  const extras = graph.extras as GraphExtras | undefined;
  const record: Message<'GraphProto'> = { ...extras?.rest };
  if (graph.name !== '') record.name = graph.name;
  const outputsSeen = new Map<Value, number>();
  put(
    record,
    'node',
    [...graph.nodes()].map((node) => encodeNode(node, context)),
  );
  put(
    record,
    'initializer',
    [...graph.initializers].map((value) => encodeTensorProto(value.constant!, value.name, context.locate)),
  );
  put(
    record,
    'sparse_initializer',
    [...graph.sparse].map(([value, sparse]) => encodeSparse(sparse, value.name, context.locate)),
  );
  put(
    record,
    'input',
    graph.inputs.map((value) => encodeDeclaration(value, (value.extras as ValueExtras | undefined)?.input)),
  );
  put(
    record,
    'output',
    graph.outputs.map((value) => {
      const nth = outputsSeen.get(value) ?? 0;
      outputsSeen.set(value, nth + 1);
      return encodeDeclaration(value, (value.extras as ValueExtras | undefined)?.outputs?.[nth]);
    }),
  );
  const alive = valuesByName(graph);
  const declaredElsewhere = new Set<Value>([...graph.inputs, ...graph.outputs]);
  put(record, 'value_info', encodeValueInfo(graph, alive, declaredElsewhere, context));
  const annotations = (extras?.annotations ?? [])
    .filter(({ tied, record: each }) => !tied || alive.has(each.tensor_name ?? ''))
    .map(({ record: each }) => each);
  put(record, 'quantization_annotation', annotations);
  return record;
}

/** The entries that the file had, as far as their values are still there, then the values that it did not know. */
export function encodeValueInfo(
  graph: Graph,
  alive: ReadonlyMap<string, Value>,
  declaredElsewhere: ReadonlySet<Value>,
  context: EncodeContext,
): Message<'ValueInfoProto'>[] {
  if (context.valueInfo === 'none') return [];
  const entries: Message<'ValueInfoProto'>[] = [];
  const done = new Set<Value>();
  const inputs = new Set(graph.inputs);
  for (const item of (graph.extras as GraphExtras | undefined)?.order ?? []) {
    const value = typeof item === 'string' ? alive.get(item) : undefined;
    if (typeof item !== 'string') entries.push(item);
    else if (value !== undefined) {
      done.add(value);
      entries.push(encodeDeclaration(value, (value.extras as ValueExtras | undefined)?.info));
    }
  }
  for (const value of alive.values()) {
    if (context.valueInfo === 'declared' || done.has(value) || declaredElsewhere.has(value)) continue;
    if (value.type !== undefined && (value.producer !== undefined || inputs.has(value))) {
      entries.push(encodeDeclaration(value, undefined));
    }
  }
  return entries;
}

/** The values of a graph by name. */
export const valuesByName = (graph: Graph): Map<string, Value> =>
  new Map([...valuesOf(graph)].map((value) => [value.name, value]));

/** Sets a repeated field; an empty one is absent, as on the wire. */
function put<M extends object, F extends keyof M>(record: M, field: F, list: M[F] & unknown[]): void {
  if (list.length > 0) record[field] = list;
}
