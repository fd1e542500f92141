/** ModelProto and FunctionProto ⇄ Model. */
import { QuantcError } from '../errors/error.js';
import type { Attribute } from '../ir/attribute.js';
import { type AttributeParts, buildGraph } from '../ir/build.js';
import { type Graph, LocalFunction, Model } from '../ir/graph.js';
import { decodeAttribute, encodeAttribute } from './attribute-proto.js';
import type { ExternalFolder } from './external-data.js';
import {
  bare,
  decodeGraphParts,
  decodeNode,
  type EncodeContext,
  encodeGraph,
  encodeNode,
  encodeValueInfo,
  type GraphExtras,
  settleGraphs,
  valuesByName,
} from './graph-proto.js';
import {
  decodeEntries,
  decodeOpsets,
  type EntryExtras,
  encodeEntries,
  encodeOpsets,
  type OpsetExtras,
} from './pairs.js';
import type { Message } from './schema.js';
import { decodeDeclaration } from './value-info.js';

interface ModelExtras {
  readonly rest: Message<'ModelProto'>;
  readonly opsets: OpsetExtras;
  readonly metadata: EntryExtras;
}
interface FunctionExtras {
  readonly rest: Message<'FunctionProto'>;
  readonly opsets: OpsetExtras;
}

/**
 * Reads a model.
 * @throws QuantcError E_ONNX_NOT_A_MODEL when it has no graph or no IR version, E_ONNX_DUPLICATE for functions of one
 * name, E_ONNX_EXTERNAL_TRAINING for external data in training information; errors of all that it holds.
 */
export function decodeModelProto(record: Message<'ModelProto'>, folder: ExternalFolder | undefined): Model {
  const { ir_version, producer_name, producer_version, graph, opset_import, metadata_props, ...others } =
    record;
  if (graph === undefined || typeof ir_version !== 'number' || ir_version < 1) {
    throw new QuantcError(
      'E_ONNX_NOT_A_MODEL',
      'this is protobuf, but not an ONNX model: graph or IR version is missing',
      {
        hint: 'Expected a ModelProto, as exporters write to .onnx files.',
      },
    );
  }
  const { functions, ...plain } = others;
  const rest: Message<'ModelProto'> = plain;
  if (producer_name === '') rest.producer_name = producer_name;
  if (producer_version === '') rest.producer_version = producer_version;
  for (const each of rest.training_info ?? []) refuseExternal(each);
  const [opsets, opsetExtras] = decodeOpsets(opset_import ?? []);
  const model = new Model(
    build(() => buildGraph(decodeGraphParts(graph, folder))),
    {
      irVersion: ir_version,
      opsets,
    },
  );
  model.producerName = producer_name ?? '';
  model.producerVersion = producer_version ?? '';
  const [metadata, metadataExtras] = decodeEntries(metadata_props ?? []);
  for (const [key, value] of metadata) model.metadata.set(key, value);
  const names = new Set<string>();
  for (const each of functions ?? []) {
    const made = decodeFunction(each, folder);
    const name = JSON.stringify([made.domain, made.name, made.overload]);
    if (names.has(name)) {
      throw new QuantcError('E_ONNX_DUPLICATE', `two functions are named ${made.domain}.${made.name}`);
    }
    names.add(name);
    model.functions.push(made);
  }
  model.extras = { rest, opsets: opsetExtras, metadata: metadataExtras } satisfies ModelExtras;
  return model;
}

function build(make: () => Graph): Graph {
  const graph = make();
  settleGraphs(graph);
  return graph;
}

/** Training information is carried along unread, so a place of data in it would be wrong in another folder. */
function refuseExternal(message: object): void {
  for (const [key, value] of Object.entries(message)) {
    if (key === 'data_location' && value === 1) {
      throw new QuantcError(
        'E_ONNX_EXTERNAL_TRAINING',
        'training information with external data is not supported',
        {
          hint: 'Save the model with its training tensors inside, or without training information.',
        },
      );
    }
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each === 'object' && each !== null && !(each instanceof Uint8Array)) refuseExternal(each);
    }
  }
}

function decodeFunction(record: Message<'FunctionProto'>, folder: ExternalFolder | undefined): LocalFunction {
  const { name, domain, overload, input, output, attribute, attribute_proto, node, ...others } = record;
  const { opset_import, value_info, ...plain } = others;
  const rest: Message<'FunctionProto'> = plain;
  if (name === '') rest.name = name;
  if (overload === '') rest.overload = overload;
  if (domain === '' || domain === 'ai.onnx') rest.domain = domain;
  const infos = (value_info ?? []).map(decodeDeclaration);
  const extras: GraphExtras = {
    rest: {},
    order: [],
    annotations: [],
    declared: { inputs: [], outputs: [], infos, annotations: [] },
  };
  const body = build(() =>
    buildGraph({
      name: name ?? '',
      inputs: (input ?? []).map((each) => ({ name: each })),
      outputs: (output ?? []).map((each) => ({ name: each })),
      valueInfo: infos.map(bare),
      nodes: (node ?? []).map((each) => decodeNode(each, folder)),
      extras,
    }),
  );
  const [opsets, opsetExtras] = decodeOpsets(opset_import ?? []);
  const attributeDefaults = new Map<string, Attribute>();
  for (const each of attribute_proto ?? []) {
    const [key, parts] = decodeAttribute(each, folder);
    if (attributeDefaults.has(key)) {
      throw new QuantcError('E_ONNX_DUPLICATE', `two attributes of the function ${name} are named "${key}"`);
    }
    attributeDefaults.set(key, linked(parts));
  }
  return new LocalFunction({
    domain: domain ?? '',
    name: name ?? '',
    overload: overload ?? '',
    body,
    attributes: attribute ?? [],
    attributeDefaults,
    opsets,
    extras: { rest, opsets: opsetExtras } satisfies FunctionExtras,
  });
}

/** A default belongs to no node, so its graphs stand alone. */
function linked(parts: AttributeParts): Attribute {
  if (parts.kind === 'graph') return { ...parts, value: build(() => buildGraph(parts.value)) };
  if (parts.kind === 'graphs') {
    return { ...parts, value: parts.value.map((each) => build(() => buildGraph(each))) };
  }
  return parts;
}

export function encodeModelProto(model: Model, context: EncodeContext): Message<'ModelProto'> {
  const extras = model.extras as ModelExtras | undefined;
  const record: Message<'ModelProto'> = { ...extras?.rest, ir_version: model.irVersion };
  if (model.producerName !== '') record.producer_name = model.producerName;
  if (model.producerVersion !== '') record.producer_version = model.producerVersion;
  record.opset_import = encodeOpsets(model.opsets, extras?.opsets);
  record.metadata_props = encodeEntries(model.metadata, extras?.metadata);
  record.graph = encodeGraph(model.graph, context);
  record.functions = model.functions.map((each) => encodeFunction(each, context));
  return record;
}

function encodeFunction(made: LocalFunction, context: EncodeContext): Message<'FunctionProto'> {
  const extras = made.extras as FunctionExtras | undefined;
  const record: Message<'FunctionProto'> = { ...extras?.rest };
  if (made.name !== '') record.name = made.name;
  if (made.domain !== '') record.domain = made.domain;
  if (made.overload !== '') record.overload = made.overload;
  record.input = made.body.inputs.map((value) => value.name);
  record.output = made.body.outputs.map((value) => value.name);
  record.attribute = [...made.attributes];
  record.attribute_proto = [...made.attributeDefaults].map(([name, value]) =>
    encodeAttribute(name, value, context),
  );
  record.node = [...made.body.nodes()].map((node) => encodeNode(node, context));
  record.opset_import = encodeOpsets(made.opsets, extras?.opsets);
  // A function's inputs and outputs are mere names: their types, too, stand in value_info.
  record.value_info = encodeValueInfo(made.body, valuesByName(made.body), new Set(), context);
  return record;
}
