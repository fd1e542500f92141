/**
 * Asking another program for the types of a model's values: their names are put into `value_info` without a type, and
 * whoever writes the model anew fills it in. Needs every name of the model, subgraphs included, to be unique.
 */
import type { Model } from '../ir/graph.js';
import type { Type } from '../ir/type.js';
import { encodeModelProto } from './model-proto.js';
import type { Message } from './schema.js';
import { decodeType } from './type-proto.js';
import { readMessage } from './wire-read.js';
import { writeMessage } from './wire-write.js';

/** The model in protobuf, every output of a node named in its graph's `value_info`. */
export function encodeTypeQuery(model: Model): Uint8Array {
  const record = encodeModelProto(model, { valueInfo: 'declared' });
  nameValues(record.graph!);
  const { segments } = writeMessage('ModelProto', record);
  return Buffer.concat(segments.map((each) => (each instanceof Uint8Array ? each : each.bytes())));
}

function nameValues(graph: Message<'GraphProto'>): void {
  const known = new Set<string | undefined>();
  for (const info of [...(graph.value_info ?? []), ...(graph.output ?? [])]) known.add(info.name);
  const asked: Message<'ValueInfoProto'>[] = [];
  for (const node of graph.node ?? []) {
    for (const name of node.output ?? []) {
      if (name === '' || known.has(name)) continue;
      known.add(name);
      asked.push({ name });
    }
    for (const inner of graphsOf(node)) nameValues(inner);
  }
  graph.value_info = [...(graph.value_info ?? []), ...asked];
}

/** Every type that an encoded model states of a value, by the value's name. */
export function statedTypes(bytes: Uint8Array): Map<string, Type> {
  const types = new Map<string, Type>();
  const graph = readMessage('ModelProto', bytes).graph;
  if (graph) collect(graph, types);
  return types;
}

function collect(graph: Message<'GraphProto'>, types: Map<string, Type>): void {
  for (const info of [...(graph.input ?? []), ...(graph.output ?? []), ...(graph.value_info ?? [])]) {
    const type = info.type && decodeType(info.type);
    if (info.name !== undefined && type !== undefined) types.set(info.name, type);
  }
  for (const node of graph.node ?? []) for (const inner of graphsOf(node)) collect(inner, types);
}

function* graphsOf(node: Message<'NodeProto'>): IterableIterator<Message<'GraphProto'>> {
  for (const { g, graphs } of node.attribute ?? []) {
    if (g) yield g;
    if (graphs) yield* graphs;
  }
}
