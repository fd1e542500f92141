/** Attributes: `axis = 1`, `axes: ints = []`, `value = float[2] {1, 2}`, `to: int = @to`, graphs and types. */
import type { AttributeKind } from '../ir/attribute.js';
import type { AttributeParts, GraphParts } from '../ir/build.js';
import { isNumberWord, type Lexer, type Token } from './lexer.js';
import { parseFloat32, parseHex, parseSparseData, parseTensorData } from './parse-tensor.js';
import { atType, parseType } from './parse-type.js';

/** Spelled as ONNX's text spells the kinds of attributes. */
export const ATTRIBUTE_WORDS: Readonly<Record<AttributeKind, string>> = {
  float: 'float',
  int: 'int',
  string: 'string',
  tensor: 'tensor',
  graph: 'graph',
  type: 'type_proto',
  sparse: 'sparse_tensor',
  floats: 'floats',
  ints: 'ints',
  strings: 'strings',
  tensors: 'tensors',
  graphs: 'graphs',
  types: 'type_protos',
  sparses: 'sparse_tensors',
};
const KINDS = new Map(Object.entries(ATTRIBUTE_WORDS).map(([kind, word]) => [word, kind as AttributeKind]));

const LISTS = {
  float: 'floats',
  int: 'ints',
  string: 'strings',
  tensor: 'tensors',
  graph: 'graphs',
  type: 'types',
  sparse: 'sparses',
} as const;
type Single = keyof typeof LISTS;
const ELEMENTS = new Map<AttributeKind, Single>(
  Object.entries(LISTS).map(([single, list]) => [list, single as Single]),
);

type One = Extract<AttributeParts, { kind: Single }>;
type ReadGraph = (lexer: Lexer) => GraphParts;

/** Reads one attribute from its name on. */
export function parseAttribute(lexer: Lexer, readGraph: ReadGraph): [string, AttributeParts] {
  const name = lexer.name('the name of an attribute');
  return [name, parseAttributeValue(lexer, name, readGraph)];
}

/** Reads what follows an attribute's name: its kind where said, "=", and the value. */
export function parseAttributeValue(lexer: Lexer, name: string, readGraph: ReadGraph): AttributeParts {
  let kind: AttributeKind | undefined;
  if (lexer.accept(':')) {
    kind = KINDS.get(lexer.token.text);
    if (lexer.token.kind !== 'id' || kind === undefined) {
      lexer.fail(`the kind of attribute ${name} (${[...KINDS.keys()].join(', ')})`);
    }
    lexer.take();
  }
  lexer.expect('=', `after attribute ${name}`);
  const start = lexer.token;
  if (lexer.accept('@')) {
    const reference = lexer.name('the name of an attribute of the function');
    if (kind !== undefined) return { kind: 'ref', name: reference, type: kind };
    const hint = `Write ${name}: int = @${reference}, or whatever kind it is.`;
    lexer.failAt(start, 'E_TEXT_ATTRIBUTE', `a reference needs its kind: @${reference}`, hint);
  }
  if (!lexer.accept('[')) {
    if (kind !== undefined && ELEMENTS.has(kind))
      lexer.fail(`"[" before the values of ${name}: ${ATTRIBUTE_WORDS[kind]}`);
    return demand(lexer, start, kind, parseOne(lexer, kind, readGraph));
  }
  const element = kind && ELEMENTS.get(kind);
  if (kind !== undefined && element === undefined) {
    lexer.failAt(start, 'E_TEXT_ATTRIBUTE', `attribute ${name} is one ${ATTRIBUTE_WORDS[kind]}, not a list`);
  }
  const items: One[] = [];
  lexer.list(']', `among the values of attribute ${name}`, () => {
    const at = lexer.token;
    items.push(demand(lexer, at, element, parseOne(lexer, element, readGraph)) as One);
  });
  return listOf(lexer, start, name, kind, items);
}

function listOf(
  lexer: Lexer,
  start: Token,
  name: string,
  kind: AttributeKind | undefined,
  items: readonly One[],
): AttributeParts {
  const kinds = new Set(items.map((item) => item.kind));
  // [1, 2.5] is a list of floats, as a reader would take it.
  const single: Single | undefined =
    kinds.size === 2 && kinds.has('int') && kinds.has('float') ? 'float' : items[0]?.kind;
  if (kind === undefined && single === undefined) {
    const hint = `Write ${name}: ints = [], or whatever kind it is.`;
    lexer.failAt(start, 'E_TEXT_ATTRIBUTE', `the empty list ${name} needs its kind`, hint);
  }
  if (kinds.size > 1 && single !== 'float') {
    lexer.failAt(start, 'E_TEXT_ATTRIBUTE', `the values of attribute ${name} are of several kinds`);
  }
  const values = items.map((item) => (single === 'float' ? Number(item.value) : item.value));
  return { kind: kind ?? LISTS[single!], value: values } as AttributeParts;
}

function demand(
  lexer: Lexer,
  at: Token,
  kind: AttributeKind | undefined,
  found: AttributeParts,
): AttributeParts {
  if (kind === undefined || kind === found.kind) return found;
  const words = [ATTRIBUTE_WORDS[kind], ATTRIBUTE_WORDS[found.kind as AttributeKind]];
  lexer.failAt(at, 'E_TEXT_ATTRIBUTE', `expected a value of kind ${words[0]}, found ${words[1]}`);
}

/** One value. `wanted` decides where the words alone do not: 1 is an int unless a float is wanted. */
function parseOne(lexer: Lexer, wanted: AttributeKind | undefined, readGraph: ReadGraph): AttributeParts {
  const { kind, text } = lexer.token;
  if (wanted === 'graph') return { kind: 'graph', value: readGraph(lexer) };
  if (kind === 'bytes') return { kind: 'string', value: parseHex(lexer) };
  if (kind === 'string') return { kind: 'string', value: lexer.take().value };
  if (kind === 'int' && wanted !== 'float') return { kind: 'int', value: lexer.int('an integer') };
  if (kind === 'int' || kind === 'float' || (kind === 'id' && isNumberWord(text))) {
    return { kind: 'float', value: parseFloat32(lexer) };
  }
  if (atType(lexer)) return parseTyped(lexer);
  if (kind === 'id') return { kind: 'graph', value: readGraph(lexer) };
  lexer.fail('the value of an attribute');
}

/** A tensor, a sparse tensor, or a type by itself: what follows the type decides. */
function parseTyped(lexer: Lexer): AttributeParts {
  const type = parseType(lexer);
  const named = lexer.atName;
  if (!named && !lexer.is('=') && !lexer.is('{')) return { kind: 'type', value: type };
  const name = named ? lexer.name('a name') : '';
  lexer.accept('=');
  if (type.kind === 'sparse') return { kind: 'sparse', value: parseSparseData(lexer, type, name) };
  return { kind: 'tensor', value: parseTensorData(lexer, type, name) };
}
