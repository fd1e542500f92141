/** `quantc new`: a part of a plugin as source, test and a place in the config; all of it, or nothing. */
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { newConfig, withPlugin } from './config-edit.js';
import { camelCase } from './identifier.js';
import { SCAFFOLD_TEXTS, type ScaffoldKind } from './scaffold-text.js';

export interface ScaffoldRequest {
  readonly kind: ScaffoldKind;
  /** Kebab-case: what it is called in reports, traces and options. */
  readonly name: string;
  /** Folder for the files; default `quantc` beside the config. */
  readonly dir?: string;
  /** Where the search for a config begins, and where one is made when there is none. Default this folder. */
  readonly from?: string;
}

/** What was written. Paths are absolute. */
export interface ScaffoldResult {
  readonly source: string;
  readonly test: string;
  readonly config: {
    readonly path: string;
    /** Whether it was made, got a plugin more, or is left to its author. */
    readonly done: 'made' | 'edited' | 'left';
    /** Lines to add by hand, and why, where it is left. */
    readonly told?: { readonly why: string; readonly lines: readonly string[] };
  };
}

const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const CONFIGS = ['ts', 'mts', 'js', 'mjs', 'json'].map((ending) => `quantc.config.${ending}`);

/** Names that a module cannot give to a constant, or that scaffolds and configs use themselves. */
const RESERVED = new Set(
  (
    'abstract allOf any arguments assert async await boolean break case catch class compile const constantInput continue ' +
    'debugger declare default defineConfig definePass definePlugin defineTarget delete describe do else encodeModel enum ' +
    'eval expectSameOutputs export extends false finally floatInput for function if implements import in instanceof ' +
    'interface it join let mkdtempSync new no node null number object package parseModel private protected public ' +
    'rankIs replaceNode return rewrite rmSync runPass static string super switch symbol this throw tmpdir true try type ' +
    'typeof undefined value var void while with writeFileSync yield'
  ).split(' '),
);

/**
 * Writes source and test of a new part, and registers it in the nearest config, which is made where there is none.
 * @throws QuantcError E_NEW_NAME, E_NEW_EXISTS where a file stands there already, E_OUT_FOLDER; nothing is written then
 */
export async function newScaffold(request: ScaffoldRequest): Promise<ScaffoldResult> {
  const { kind, name, from = process.cwd() } = request;
  if (!NAME.test(name) || name.length > 80) {
    throw new QuantcError('E_NEW_NAME', `"${name}" is no name: small letters, digits, and - between words`, {
      kind: 'usage',
      hint: 'Write it like drop-double-negation.',
    });
  }
  const camel = camelCase(name, kind);
  const identifier = RESERVED.has(camel) ? `${camel}${kind[0]!.toUpperCase()}${kind.slice(1)}` : camel;
  const found = nearestConfig(resolve(from));
  const config = found ?? resolve(from, 'quantc.config.ts');
  const folder = request.dir === undefined ? join(dirname(config), 'quantc') : resolve(from, request.dir);
  const source = join(folder, `${name}.ts`);
  const test = join(folder, `${name}.test.ts`);
  for (const path of [source, test]) if (existsSync(path)) throw exists(path);
  const texts = SCAFFOLD_TEXTS[kind]({ name, identifier });
  const below = relative(dirname(config), folder).split(sep).join('/');
  const at = below.startsWith('.') ? below : `./${below}`;
  const entry = { name: identifier, module: `${at.replace(/\/?$/, '/')}${name}.js`, element: texts.element };
  const edited =
    found === undefined
      ? { text: newConfig(entry) }
      : found.endsWith('.json')
        ? { refused: 'JSON can hold no plugins' }
        : await withPlugin(readFileSync(found, 'utf8'), entry);
  place(
    [
      { path: source, text: texts.source },
      { path: test, text: texts.test },
    ],
    'text' in edited ? { path: config, text: edited.text, fresh: found === undefined } : undefined,
  );
  if ('text' in edited)
    return { source, test, config: { path: config, done: found === undefined ? 'made' : 'edited' } };
  const lines = [
    "import { definePlugin } from 'quantc';",
    `import { ${entry.name} } from '${entry.module}';`,
    `plugins: [${entry.element}]`,
  ];
  return { source, test, config: { path: config, done: 'left', told: { why: edited.refused, lines } } };
}

/** The nearest config in a folder or above. */
function nearestConfig(from: string): string | undefined {
  for (let at = from; ; at = dirname(at)) {
    const found = CONFIGS.map((name) => join(at, name)).find((file) => existsSync(file));
    if (found !== undefined || at === dirname(at)) return found;
  }
}

interface NewFile {
  readonly path: string;
  readonly text: string;
}

/** Puts new files in their places and then the config, which may stand there; what cannot be finished is undone. */
function place(files: readonly NewFile[], config: (NewFile & { readonly fresh: boolean }) | undefined): void {
  const undo: (() => void)[] = [];
  const folders = new Set([...files, ...(config ? [config] : [])].map(({ path }) => dirname(path)));
  const staged: string[] = [];
  let at = '';
  try {
    const stagings = new Map<string, string>();
    for (at of folders) {
      const made = mkdirSync(at, { recursive: true });
      if (made !== undefined) undo.push(() => removeEmpty(at, made));
      const staging = mkdtempSync(join(at, '.quantc-new-'));
      staged.push(staging);
      stagings.set(at, staging);
    }
    const stage = ({ path, text }: NewFile): string => {
      at = path;
      const waiting = join(stagings.get(dirname(path))!, basename(path));
      writeFileSync(waiting, text);
      return waiting;
    };
    const waiting = files.map((file) => [file.path, stage(file)] as const);
    const configured = config && ([config.path, stage(config)] as const);
    const add = (path: string, from: string): void => {
      at = path;
      // Whoever was faster keeps what is theirs.
      copyFileSync(from, path, constants.COPYFILE_EXCL);
      undo.push(() => rmSync(path));
    };
    for (const [path, from] of waiting) add(path, from);
    if (configured && config?.fresh) add(...configured);
    else if (configured) renameSync(configured[1], configured[0]);
  } catch (cause) {
    for (const staging of staged.splice(0)) rmSync(staging, { recursive: true, force: true });
    for (const step of undo.reverse()) step();
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw exists(at);
    throw new QuantcError('E_OUT_FOLDER', `cannot write there: ${(cause as Error).message}`, {
      kind: 'usage',
      place: { file: at },
      cause,
    });
  } finally {
    for (const staging of staged) rmSync(staging, { recursive: true, force: true });
  }
}

/** Takes away folders that were made for nothing. */
function removeEmpty(folder: string, outermost: string): void {
  for (let at = folder; ; at = dirname(at)) {
    rmdirSync(at);
    if (at === resolve(outermost)) return;
  }
}

const exists = (path: string): QuantcError =>
  new QuantcError('E_NEW_EXISTS', 'there is such a file already, and it is left as it is', {
    kind: 'usage',
    place: { file: path },
    hint: 'Choose another name, or another folder with --dir.',
  });
