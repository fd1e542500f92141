/**
 * Writes models in ONNX's own textual syntax (docs/Syntax.md of onnx/onnx; what we add to it is listed in `parse.ts`).
 * `parse(print(model))` equals the model when no constant is elided; names of nodes and values, order, types and
 * attributes all come back.
 */
import type { Attribute } from '../ir/attribute.js';
import { valuesOf } from '../ir/edit.js';
import type { Graph, LocalFunction, Model, Node, Value } from '../ir/graph.js';
import { formatFloat32 } from './elements.js';
import { isPlainName } from './lexer.js';
import { ATTRIBUTE_WORDS } from './parse-attribute.js';
import {
  type PrintOptions,
  printDotted,
  printName,
  printSparseData,
  printSparseType,
  printString,
  printTensor,
  printTensorData,
  printType,
  quote,
} from './print-tensor.js';

export { type PrintOptions, printType } from './print-tensor.js';

const STEP = '  ';

/** The whole model: header, graph, functions. Reading constants may throw what `Tensor.bytes` throws. */
export function printModel(model: Model, options: PrintOptions = {}): string {
  const header = [`ir_version: ${model.irVersion}`, `opset_import: ${printPairs(model.opsets)}`];
  if (model.producerName !== '') header.push(`producer_name: ${quote(model.producerName)}`);
  if (model.producerVersion !== '') header.push(`producer_version: ${quote(model.producerVersion)}`);
  if (model.metadata.size > 0) {
    const pairs = [...model.metadata].map(([key, value]) => `${quote(key)}: ${quote(value)}`);
    header.push(`metadata_props: [${pairs.join(', ')}]`);
  }
  const functions = model.functions.map((each) => `\n${printFunction(each, options)}\n`);
  return `${printHeader(header)}\n${printGraph(model.graph, options)}\n${functions.join('')}`;
}

const printHeader = (entries: readonly string[]): string =>
  `<\n${entries.map((entry) => STEP + entry).join(',\n')}\n>`;

const printPairs = (opsets: ReadonlyMap<string, number>): string =>
  `[${[...opsets].map(([domain, version]) => `${quote(domain)}: ${version}`).join(', ')}]`;

/** One graph: `name (inputs) => (outputs) <initializers and types> { nodes }`. */
export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  return graphText(graph, options, '', printName(graph.name));
}

function graphText(graph: Graph, options: PrintOptions, indent: string, name: string): string {
  const constants = [...graph.initializers].map(
    (value) =>
      `${printType({ kind: 'tensor', dtype: value.constant!.dtype, shape: value.constant!.shape })} ` +
      `${printName(value.name)} = ${printTensorData(value.constant!, options)}`,
  );
  for (const [value, sparse] of graph.sparse) {
    // The value bears the name; that of the tensor would speak over it when read back.
    const unnamed = { ...sparse, values: sparse.values.with({ name: '' }) };
    constants.push(
      `${printSparseType(sparse)} ${printName(value.name)} = ${printSparseData(unnamed, options)}`,
    );
  }
  const signature = `${name} ${printValues(graph.inputs)} => ${printValues(graph.outputs)}`;
  return signature + bodyText(graph, constants, options, indent);
}

/** Constants, types of inner values, and nodes. */
function bodyText(graph: Graph, constants: readonly string[], options: PrintOptions, indent: string): string {
  const lines = [...constants];
  for (const value of options.types === false ? [] : valuesOf(graph)) {
    if (value.producer && value.type && !value.isOutput) lines.push(printValue(value));
  }
  const inner = indent + STEP;
  const listed = lines.length > 0 ? ` <\n${lines.map((line) => inner + line).join(',\n')}\n${indent}>` : '';
  const nodes = [...graph.nodes()].map((node) => `${inner}${nodeText(node, options, inner)}\n`);
  return `${listed} {\n${nodes.join('')}${indent}}`;
}

const printValues = (values: readonly Value[]): string => `(${values.map(printValue).join(', ')})`;

const printValue = (value: Value): string =>
  value.type ? `${printType(value.type)} ${printName(value.name)}` : printName(value.name);

/** One node, on one line but for its subgraphs. */
export function printNode(node: Node, options: PrintOptions = {}): string {
  return nodeText(node, options, '');
}

function nodeText(node: Node, options: PrintOptions, indent: string): string {
  const label = node.name === '' ? '' : `[${printName(node.name)}] `;
  const outputs = node.outputs.map((output) => printName(output.name)).join(', ');
  const inputs = node.inputs.map((input) => (input ? printName(input.name) : '""')).join(', ');
  const domain = node.domain === '' ? '' : `${printDotted(node.domain)}.`;
  const operator = domain + printName(node.opType) + (node.overload ? `:${printName(node.overload)}` : '');
  const head = `${label}${outputs}${outputs && ' '}= ${operator}`;
  const carriesGraphs = node.subgraphs.length > 0;
  const inner = indent + STEP;
  const attributes = [...node.attributes].map(([name, each]) => attributeText(name, each, options, inner));
  if (attributes.length === 0) return `${head} (${inputs})`;
  if (!carriesGraphs) return `${head} <${attributes.join(', ')}> (${inputs})`;
  return `${head} (${inputs}) <\n${attributes.map((text) => inner + text).join(',\n')}\n${indent}>`;
}

/** One attribute: `axis = 1`. */
export const printAttribute = (name: string, attribute: Attribute, options: PrintOptions = {}): string =>
  attributeText(name, attribute, options, '');

function attributeText(name: string, attribute: Attribute, options: PrintOptions, indent: string): string {
  const value = attributeValueText(attribute, options, indent);
  const kind = attribute.kind === 'ref' ? attribute.type : attribute.kind;
  return `${printName(name)}${needsKind(attribute) ? `: ${ATTRIBUTE_WORDS[kind]}` : ''} = ${value}`;
}

/** Whether the value by itself would be read as another kind, or as none. */
function needsKind(attribute: Attribute): boolean {
  switch (attribute.kind) {
    case 'ref':
    case 'type':
    case 'types':
    case 'tensors':
    case 'graphs':
    case 'sparse':
    case 'sparses':
      return true;
    case 'graph':
      return !isPlainName(attribute.value.name);
    case 'ints':
    case 'floats':
    case 'strings':
      return attribute.value.length === 0;
    default:
      return false;
  }
}

function attributeValueText(attribute: Attribute, options: PrintOptions, indent: string): string {
  const list = <T>(items: readonly T[], print: (item: T) => string): string =>
    `[${items.map(print).join(', ')}]`;
  const float = (value: number): string => formatFloat32(value, true);
  const graph = (value: Graph): string => graphText(value, options, indent, printName(value.name));
  switch (attribute.kind) {
    case 'ref':
      return `@${printName(attribute.name)}`;
    case 'int':
      return String(attribute.value);
    case 'float':
      return float(attribute.value);
    case 'string':
      return printString(attribute.value);
    case 'tensor':
      return printTensor(attribute.value, options);
    case 'graph':
      return graph(attribute.value);
    case 'type':
      return printType(attribute.value);
    case 'sparse':
      return `${printSparseType(attribute.value)} = ${printSparseData(attribute.value, options)}`;
    case 'ints':
      return list(attribute.value, String);
    case 'floats':
      return list(attribute.value, float);
    case 'strings':
      return list(attribute.value, printString);
    case 'tensors':
      return list(attribute.value, (tensor) => printTensor(tensor, options));
    case 'graphs':
      return list(attribute.value, graph);
    case 'types':
      return list(attribute.value, printType);
    case 'sparses':
      return list(
        attribute.value,
        (sparse) => `${printSparseType(sparse)} = ${printSparseData(sparse, options)}`,
      );
  }
}

/** A local function: header, name, attributes, signature, body. */
export function printFunction(each: LocalFunction, options: PrintOptions = {}): string {
  const header = [`domain: ${quote(each.domain)}`];
  if (each.overload !== '') header.push(`overload: ${quote(each.overload)}`);
  header.push(`opset_import: ${printPairs(each.opsets)}`);
  const attributes = each.attributes.filter((name) => !each.attributeDefaults.has(name)).map(printName);
  for (const [name, value] of each.attributeDefaults) attributes.push(printAttribute(name, value, options));
  const listed = attributes.length > 0 ? ` <${attributes.join(', ')}>` : '';
  const signature = `${printValues(each.body.inputs)} => ${printValues(each.body.outputs)}`;
  const body = bodyText(each.body, [], options, '');
  return `${printHeader(header)}\n${printName(each.name)}${listed} ${signature}${body}`;
}
