/** ValueInfoProto ⇄ what a value knows of itself, and where it was declared. */
import { valuesOf } from '../ir/edit.js';
import type { Graph, Value } from '../ir/graph.js';
import type { Type } from '../ir/type.js';
import type { Message } from './schema.js';
import { decodeType, encodeType } from './type-proto.js';

type ValueInfoProto = Message<'ValueInfoProto'>;

/** One declaration of a value, as it was read. */
export interface Declaration {
  readonly name: string;
  readonly type: Type | undefined;
  /** Documentation, metadata, unknown fields; the type too, where the IR has none for it. */
  readonly rest: ValueInfoProto;
  /** The value's type when reading was done. While the value still has it, the declared type is written again. */
  seen?: Type;
}

/** Where a value was declared; rides on the value's `extras`. */
export interface ValueExtras {
  input?: Declaration;
  /** More than one where a graph gives the same value out twice. */
  outputs?: Declaration[];
  info?: Declaration;
}

export function decodeDeclaration(record: ValueInfoProto): Declaration {
  const { name = '', type, ...others } = record;
  const rest: ValueInfoProto = others;
  if (record.name === '') rest.name = '';
  const known = type && decodeType(type);
  if (type !== undefined && known === undefined) rest.type = type;
  return { name, type: known, rest };
}

export function encodeDeclaration(value: Value, declaration: Declaration | undefined): ValueInfoProto {
  const type = declaration && value.type === declaration.seen ? declaration.type : value.type;
  const record: ValueInfoProto = { ...declaration?.rest };
  if (value.name !== '') record.name = value.name;
  if (type !== undefined) record.type = encodeType(type);
  return record;
}

const extrasOf = (value: Value): ValueExtras => {
  const open = value as { extras?: unknown };
  open.extras ??= {};
  return open.extras as ValueExtras;
};

/** Ties the declarations that were read to the values of the graph that was built from them. */
export function tieDeclarations(
  graph: Graph,
  declared: {
    inputs: readonly Declaration[];
    outputs: readonly Declaration[];
    infos: readonly Declaration[];
  },
): { named: Map<string, Value>; order: (string | ValueInfoProto)[] } {
  const named = new Map<string, Value>();
  for (const value of valuesOf(graph)) named.set(value.name, value);
  declared.inputs.forEach((declaration, index) => {
    const value = graph.inputs[index]!;
    declaration.seen = value.type;
    extrasOf(value).input = declaration;
  });
  declared.outputs.forEach((declaration, index) => {
    const value = graph.outputs[index]!;
    declaration.seen = value.type;
    const extras = extrasOf(value);
    extras.outputs ??= [];
    extras.outputs.push(declaration);
  });
  const order = declared.infos.map((declaration) => {
    const value = named.get(declaration.name);
    const extras = value && extrasOf(value);
    if (value === undefined || extras!.info !== undefined) return strayRecord(declaration);
    declaration.seen = value.type;
    extras!.info = declaration;
    return value.name;
  });
  return { named, order };
}

/** An entry that names no value of the graph, or one that another entry declared before: kept as it is. */
function strayRecord({ name, type, rest }: Declaration): ValueInfoProto {
  return { ...rest, ...(name && { name }), ...(type && { type: encodeType(type) }) };
}
