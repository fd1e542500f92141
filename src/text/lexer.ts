/** Words of ONNX's textual syntax: splits a text into tokens and says where it went wrong. */
import { QuantcError } from '../errors/error.js';
import { DTYPES } from '../ir/dtype.js';

export interface Token {
  readonly kind: 'id' | 'string' | 'bytes' | 'int' | 'float' | 'punctuation' | 'end';
  /** As written; for `string` and `bytes` see `value`. */
  readonly text: string;
  /** What a string stands for, its escapes resolved; the digits between the quotes of `hex"…"`. */
  readonly value: string;
  readonly at: number;
}

const SPACE = /(?:[ \t\n\v\f\r]|#[^\n]*)*/y;
const WORD =
  /hex"[0-9a-fA-F]*"|[A-Za-z_][A-Za-z0-9_]*|"[^"\\]*(?:\\[\s\S][^"\\]*)*"|-?\d+(?:\.\d*)?(?:[eE][+-]?\d*)?|-[ \t]*(?:inf(?:inity)?|nan)(?![A-Za-z0-9_])|=>|[()[\]{}<>=,:.@?]/iy;

/** Words that start a type where a type may stand, or read as a number: names spelled so are printed in quotes. */
const TYPE_WORDS = new Set<string>([...DTYPES, 'seq', 'map', 'optional', 'sparse_tensor', 'opaque']);
const NUMBER_WORD = /^(?:inf|infinity|nan)$/i;

export const isTypeWord = (word: string): boolean => TYPE_WORDS.has(word);
export const isNumberWord = (word: string): boolean => NUMBER_WORD.test(word);

/** True for names that need no quotes anywhere in the syntax. */
export const isPlainName = (name: string): boolean =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !isTypeWord(name) && !isNumberWord(name);

/** A reader of tokens with one token of sight. */
export class Lexer {
  readonly #text: string;
  readonly #file: string | undefined;
  #token: Token;
  #end = 0;
  #depth = 0;

  constructor(text: string, file?: string) {
    this.#text = text;
    this.#file = file;
    this.#token = this.#read();
  }

  get token(): Token {
    return this.#token;
  }

  take(): Token {
    const token = this.#token;
    this.#token = this.#read();
    return token;
  }

  is(punctuation: string): boolean {
    return this.#token.kind === 'punctuation' && this.#token.text === punctuation;
  }

  accept(punctuation: string): boolean {
    if (!this.is(punctuation)) return false;
    this.take();
    return true;
  }

  expect(punctuation: string, where: string): void {
    if (!this.accept(punctuation)) this.fail(`"${punctuation}" ${where}`);
  }

  /** A plain word. */
  identifier(what: string): string {
    if (this.#token.kind !== 'id') this.fail(what);
    return this.take().text;
  }

  /** A plain word or a quoted string: the form that names take. */
  name(what: string): string {
    if (this.#token.kind === 'string') return this.take().value;
    return this.identifier(what);
  }

  get atName(): boolean {
    return this.#token.kind === 'id' || this.#token.kind === 'string';
  }

  string(what: string): string {
    if (this.#token.kind !== 'string') this.fail(what);
    return this.take().value;
  }

  /** An integer, as a number where that is exact. */
  int(what: string): number | bigint {
    if (this.#token.kind !== 'int') this.fail(what);
    const text = this.take().text;
    const value = Number(text);
    return Number.isSafeInteger(value) ? value : BigInt(text);
  }

  /** An integer that a plain number holds. */
  smallInt(what: string): number {
    const token = this.#token;
    const value = this.int(what);
    if (typeof value === 'bigint') this.failAt(token, 'E_TEXT_RANGE', `${token.text} is too large here`);
    return value;
  }

  /** `item` after `item`, separated by commas, up to the closing mark, which is consumed. */
  list(close: string, where: string, item: () => void): void {
    if (this.accept(close)) return;
    do item();
    while (this.accept(','));
    if (!this.accept(close)) this.fail(`"," or "${close}" ${where}`);
  }

  /** Runs a reader of something that may nest. @throws QuantcError E_TEXT_DEPTH beyond 64 levels. */
  nested<T>(read: () => T): T {
    if (this.#depth >= 64) this.failAt(this.#token, 'E_TEXT_DEPTH', 'graphs or types nest deeper than 64');
    this.#depth += 1;
    try {
      return read();
    } finally {
      this.#depth -= 1;
    }
  }

  /** @throws QuantcError E_TEXT_SYNTAX that names the present token, and what was expected instead. */
  fail(expected: string): never {
    const token = this.#token;
    const found = token.kind === 'end' ? 'the end of the text' : shorten(token.text);
    this.failAt(token, 'E_TEXT_SYNTAX', `expected ${expected}, found ${found}`);
  }

  failAt(token: Token, code: string, message: string, hint?: string): never {
    const before = this.#text.slice(0, token.at);
    const line = before.split('\n').length;
    const column = token.at - (before.lastIndexOf('\n') + 1) + 1;
    throw new QuantcError(code, `line ${line}, column ${column}: ${message}`, {
      place: { file: this.#file },
      hint,
    });
  }

  #read(): Token {
    SPACE.lastIndex = this.#end;
    SPACE.exec(this.#text);
    const at = SPACE.lastIndex;
    if (at >= this.#text.length) {
      this.#end = at;
      return { kind: 'end', text: '', value: '', at };
    }
    WORD.lastIndex = at;
    const match = WORD.exec(this.#text);
    if (match === null) {
      const bad: Token = { kind: 'punctuation', text: this.#text[at]!, value: '', at };
      const what = bad.text === '"' ? 'a string is not closed' : `"${bad.text}" has no meaning here`;
      this.failAt(bad, 'E_TEXT_SYNTAX', what);
    }
    this.#end = WORD.lastIndex;
    return classify(match[0], at);
  }
}

function classify(text: string, at: number): Token {
  const first = text[0]!;
  if (first === '"')
    return { kind: 'string', text, value: text.slice(1, -1).replace(/\\([\s\S])/g, '$1'), at };
  if (text.endsWith('"')) return { kind: 'bytes', text, value: text.slice(4, -1), at };
  if (/[A-Za-z_]/.test(first)) return { kind: 'id', text, value: text, at };
  if (/^-?\d+$/.test(text)) return { kind: 'int', text, value: text, at };
  if (/[-\d]/.test(first)) return { kind: 'float', text, value: text.replace(/\s/g, ''), at };
  return { kind: 'punctuation', text, value: text, at };
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
