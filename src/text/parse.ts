/**
 * Reads models in ONNX's own textual syntax (docs/Syntax.md of onnx/onnx), with these additions of ours: `hex"…"` for
 * strings that are not UTF-8, `["fill": "normal:7"]` for constants made by a law, constants of sparse tensors, quoted
 * domains and operator names, and lists of tensors, graphs and types.
 */
import { QuantcError } from '../errors/error.js';
import type { Attribute, SparseTensor } from '../ir/attribute.js';
import { buildGraph, type GraphParts, type NodeParts, type ValueParts } from '../ir/build.js';
import { LocalFunction, Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Type } from '../ir/type.js';
import { Lexer } from './lexer.js';
import { parseAttribute, parseAttributeValue } from './parse-attribute.js';
import { parseSparseData, parseTensorData } from './parse-tensor.js';
import { atType, parseType } from './parse-type.js';

/**
 * The model that a text describes. `file` is named in errors. The header's `domain`, `model_version` and `doc_string`
 * are accepted, and not kept: they mean nothing to the compiler.
 * @throws QuantcError E_TEXT_SYNTAX (with line, column and what was expected) and its kin E_TEXT_RANGE,
 * E_TEXT_ATTRIBUTE, E_TEXT_TENSOR, E_TEXT_FILL, E_TEXT_ELIDED, E_TEXT_EXTERNAL, E_TEXT_DEPTH, E_TEXT_HEADER;
 * E_GRAPH_UNDEFINED and E_GRAPH_DUPLICATE where names do not fit together.
 */
export function parseModel(text: string, options: { file?: string } = {}): Model {
  const lexer = new Lexer(text, options.file);
  const header = lexer.is('<') ? parseHeader(lexer) : emptyHeader();
  const graph = buildGraph(parseGraph(lexer));
  const model = new Model(graph, { irVersion: header.irVersion, opsets: header.opsets });
  model.producerName = header.strings.get('producer_name') ?? '';
  model.producerVersion = header.strings.get('producer_version') ?? '';
  for (const [key, value] of header.metadata) model.metadata.set(key, value);
  model.file = options.file;
  while (lexer.token.kind !== 'end') model.functions.push(parseFunction(lexer));
  return model;
}

interface Header {
  irVersion: number | undefined;
  opsets: Map<string, number> | undefined;
  readonly strings: Map<string, string>;
  readonly metadata: Map<string, string>;
}

const emptyHeader = (): Header => ({
  irVersion: undefined,
  opsets: undefined,
  strings: new Map(),
  metadata: new Map(),
});

/** `< ir_version: 10, opset_import: ["" : 21] >`, of a model or of a function. */
function parseHeader(lexer: Lexer): Header {
  const header = emptyHeader();
  lexer.expect('<', 'before the header');
  lexer.list('>', 'in the header', () => {
    const at = lexer.token;
    const key = lexer.identifier('a header entry such as ir_version or opset_import');
    lexer.expect(':', `after ${key}`);
    switch (key) {
      case 'ir_version':
        header.irVersion = lexer.smallInt('the IR version');
        break;
      case 'model_version':
        lexer.int('the model version');
        break;
      case 'opset_import':
        header.opsets = parsePairs(lexer, () => lexer.smallInt('an opset version'));
        break;
      case 'metadata_props':
        for (const [name, value] of parsePairs(lexer, () => lexer.string('a metadata value')))
          header.metadata.set(name, value);
        break;
      case 'producer_name':
      case 'producer_version':
      case 'domain':
      case 'doc_string':
      case 'overload':
        header.strings.set(key, lexer.string(`the ${key} in quotes`));
        break;
      default:
        lexer.failAt(at, 'E_TEXT_HEADER', `"${key}" is no header entry`);
    }
  });
  return header;
}

function parsePairs<T>(lexer: Lexer, value: () => T): Map<string, T> {
  const pairs = new Map<string, T>();
  lexer.expect('[', 'before a list of pairs');
  lexer.list(']', 'in a list of pairs', () => {
    const key = lexer.string('a quoted name');
    lexer.expect(':', 'after the name');
    pairs.set(key, value());
  });
  return pairs;
}

function parseGraph(lexer: Lexer): GraphParts {
  return lexer.nested(() => {
    const name = lexer.name('the name of a graph');
    const constants: Constants = { initializers: [], sparse: [] };
    lexer.expect('(', `before the inputs of graph ${name}`);
    const inputs: ValueParts[] = [];
    lexer.list(')', `among the inputs of graph ${name}`, () => {
      const value = parseValue(lexer);
      inputs.push(value);
      if (lexer.accept('=')) parseConstant(lexer, value, constants);
    });
    lexer.expect('=>', `between the inputs and outputs of graph ${name}`);
    const outputs = parseValues(lexer, `of graph ${name}`);
    const valueInfo = lexer.accept('<') ? parseBodyValues(lexer, constants) : [];
    return { name, inputs, outputs, valueInfo, ...constants, nodes: parseNodes(lexer) };
  });
}

interface Constants {
  readonly initializers: Tensor[];
  readonly sparse: SparseTensor[];
}

function parseConstant(lexer: Lexer, value: ValueParts, into: Constants): void {
  if (value.type?.kind === 'sparse') into.sparse.push(parseSparseData(lexer, value.type, value.name));
  else into.initializers.push(parseTensorData(lexer, value.type, value.name));
}

/** What stands between the signature and the nodes: initializers, and types of values inside. */
function parseBodyValues(lexer: Lexer, constants: Constants): ValueParts[] {
  const types: ValueParts[] = [];
  lexer.list('>', 'among the initializers and value types of a graph', () => {
    const value = parseValue(lexer);
    if (lexer.accept('=')) parseConstant(lexer, value, constants);
    else types.push(value);
  });
  return types;
}

function parseValues(lexer: Lexer, where: string): ValueParts[] {
  const values: ValueParts[] = [];
  lexer.expect('(', `before the values ${where}`);
  lexer.list(')', `among the values ${where}`, () => values.push(parseValue(lexer)));
  return values;
}

function parseValue(lexer: Lexer): ValueParts {
  const type: Type | undefined = atType(lexer) ? parseType(lexer) : undefined;
  return { name: lexer.name('the name of a value'), type };
}

function parseNodes(lexer: Lexer): NodeParts[] {
  const nodes: NodeParts[] = [];
  lexer.expect('{', 'before the nodes');
  while (!lexer.accept('}')) nodes.push(parseNode(lexer));
  return nodes;
}

/** `[name] y, "" = com.example.Op:overload <axis = 1> (x, "", z)`; attributes may also follow the inputs. */
function parseNode(lexer: Lexer): NodeParts {
  let name = '';
  if (lexer.accept('[')) {
    name = lexer.is(']') ? '' : lexer.name('the name of a node');
    lexer.expect(']', 'after the name of a node');
  }
  const outputs = parseNames(lexer);
  lexer.expect('=', outputs.length > 0 ? 'after the outputs of a node' : 'or "}", or the outputs of a node');
  const path = [lexer.name('an operator')];
  while (lexer.accept('.')) path.push(lexer.name('an operator after "."'));
  const opType = path.pop()!;
  const overload = lexer.accept(':') ? lexer.name('an overload') : '';
  let attributes = parseAttributes(lexer);
  lexer.expect('(', `before the inputs of ${opType}`);
  const inputs = parseNames(lexer);
  lexer.expect(')', `after the inputs of ${opType}`);
  if (attributes.length === 0) attributes = parseAttributes(lexer);
  return { name, outputs, domain: path.join('.'), opType, overload, attributes, inputs };
}

/** Names separated by commas. An empty place, like `""`, stands for an omitted one; a trailing comma adds none. */
function parseNames(lexer: Lexer): string[] {
  const names: string[] = [];
  while (lexer.atName || lexer.is(',')) {
    names.push(lexer.atName ? lexer.name('a name') : '');
    if (!lexer.accept(',')) break;
  }
  return names;
}

function parseAttributes(lexer: Lexer): NonNullable<NodeParts['attributes']> {
  const attributes: NonNullable<NodeParts['attributes']>[number][] = [];
  if (lexer.accept('<')) {
    lexer.list('>', 'among the attributes', () => attributes.push(parseAttribute(lexer, parseGraph)));
  }
  return attributes;
}

/** `<domain: "d", opset_import: […]> name <alpha, beta: float = 1.0> (x) => (y) <float[2] t> { … }` */
function parseFunction(lexer: Lexer): LocalFunction {
  if (!lexer.is('<') && !lexer.atName) lexer.fail('a function, or the end of the text');
  const header = lexer.is('<') ? parseHeader(lexer) : emptyHeader();
  const name = lexer.name('the name of a function');
  const attributes: string[] = [];
  const attributeDefaults = new Map<string, Attribute>();
  if (lexer.accept('<')) {
    lexer.list('>', `among the attributes of function ${name}`, () => {
      const at = lexer.token;
      const attribute = lexer.name('the name of an attribute');
      if (!lexer.is(':') && !lexer.is('=')) attributes.push(attribute);
      else {
        const value = parseAttributeValue(lexer, attribute, parseGraph);
        if (value.kind === 'graph' || value.kind === 'graphs') {
          lexer.failAt(at, 'E_TEXT_ATTRIBUTE', 'a graph cannot be the default of a function attribute');
        }
        attributeDefaults.set(attribute, value);
      }
    });
  }
  const inputs = parseValues(lexer, `that enter function ${name}`);
  lexer.expect('=>', `between the inputs and outputs of function ${name}`);
  const outputs = parseValues(lexer, `that leave function ${name}`);
  const constants: Constants = { initializers: [], sparse: [] };
  const valueInfo = lexer.accept('<') ? parseBodyValues(lexer, constants) : [];
  if (constants.initializers.length + constants.sparse.length > 0) {
    throw new QuantcError('E_TEXT_TENSOR', `function ${name} has initializers, which functions cannot have`, {
      hint: 'Use Constant nodes.',
    });
  }
  return new LocalFunction({
    domain: header.strings.get('domain') ?? '',
    name,
    overload: header.strings.get('overload'),
    body: buildGraph({ name, inputs, outputs, valueInfo, nodes: parseNodes(lexer) }),
    attributes,
    attributeDefaults,
    opsets: header.opsets,
  });
}
