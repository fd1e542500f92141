/** Types: `float[N, 3]`, `float` (a scalar), `float[]` (rank unknown), `seq(…)`, `optional(…)`, `map(…)` and the rest. */
import { DTYPES, type DType } from '../ir/dtype.js';
import type { Dim, TensorType, Type } from '../ir/type.js';
import { isTypeWord, type Lexer } from './lexer.js';

const dtypes = new Set<string>(DTYPES);

export const atType = (lexer: Lexer): boolean => lexer.token.kind === 'id' && isTypeWord(lexer.token.text);

/** Reads a type; `?` stands for one that is not known, inside of others only. */
export function parseType(lexer: Lexer): Type {
  if (!atType(lexer))
    lexer.fail('a type (float[2, 3], seq(…), optional(…), map(…), sparse_tensor(…), opaque(…))');
  const word = lexer.token.text;
  if (dtypes.has(word)) return parseTensorType(lexer, 'tensor');
  lexer.take();
  lexer.expect('(', `after "${word}"`);
  const type = lexer.nested((): Type => {
    if (word === 'seq') return { kind: 'sequence', element: parseInner(lexer) };
    if (word === 'optional') return { kind: 'optional', element: parseInner(lexer) };
    if (word === 'sparse_tensor') return parseTensorType(lexer, 'sparse');
    if (word === 'opaque') return parseOpaque(lexer);
    const key = parseDType(lexer);
    lexer.expect(',', 'between the key and the value type of a map');
    return { kind: 'map', key, value: parseInner(lexer) };
  });
  lexer.expect(')', `to close "${word}("`);
  return type;
}

const parseInner = (lexer: Lexer): Type | undefined => (lexer.accept('?') ? undefined : parseType(lexer));

function parseDType(lexer: Lexer): DType {
  if (lexer.token.kind !== 'id' || !dtypes.has(lexer.token.text))
    lexer.fail('an element type such as float or int64');
  return lexer.take().text as DType;
}

function parseTensorType(lexer: Lexer, kind: 'tensor' | 'sparse'): TensorType {
  const dtype = parseDType(lexer);
  if (!lexer.accept('[')) return { kind, dtype, shape: [] };
  if (lexer.accept(']')) return { kind, dtype, shape: undefined };
  const shape: Dim[] = [];
  lexer.list(']', 'in a shape', () => shape.push(parseDim(lexer)));
  return { kind, dtype, shape };
}

function parseDim(lexer: Lexer): Dim {
  if (lexer.accept('?')) return null;
  if (lexer.atName) return lexer.name('a dimension');
  return lexer.smallInt('a dimension: a number, a name, or "?"');
}

function parseOpaque(lexer: Lexer): Type {
  if (lexer.is(')')) return { kind: 'opaque', domain: '', name: '' };
  const first = parseDotted(lexer);
  if (!lexer.accept(',')) return { kind: 'opaque', domain: '', name: first };
  return { kind: 'opaque', domain: first, name: parseDotted(lexer) };
}

/** `a.b.c`, each part plain or quoted. */
function parseDotted(lexer: Lexer): string {
  const parts = [lexer.name('a name')];
  while (lexer.accept('.')) parts.push(lexer.name('a name after "."'));
  return parts.join('.');
}
