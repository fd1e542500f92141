/** Puts a plugin into a `quantc.config.ts` that somebody wrote, and leaves everything else in it as it stands. */
import type { Expression, ImportDeclaration, Node, ObjectLiteralExpression, SourceFile } from 'ts-morph';

export interface ConfigEntry {
  /** Name that the module exports. */
  readonly name: string;
  /** Path of the module from the config: `./quantc/drop-no-op.js`. */
  readonly module: string;
  /** Element of `plugins`: `definePlugin({ … })`. */
  readonly element: string;
}

/** A config that holds nothing but the plugin. */
export const newConfig = ({ name, module, element }: ConfigEntry): string =>
  `import { defineConfig, definePlugin } from 'quantc';
import { ${name} } from '${module}';

export default defineConfig({
  // Name the models of your app here: { classifier: 'models/net.onnx' }.
  models: {},
  plugins: [${element}],
});
`;

/** Text that comes to stand at a place, instead of nothing. */
interface Insertion {
  readonly at: number;
  readonly text: string;
}

/**
 * The config with one plugin more: an import among its like, in order, and an element of `plugins`.
 * @returns why it cannot be done, where the config is no object that is written out
 */
export async function withPlugin(
  text: string,
  entry: ConfigEntry,
): Promise<{ readonly text: string } | { readonly refused: string }> {
  const { Project, Node: Kind } = await import('ts-morph');
  const project = new Project({
    useInMemoryFileSystem: true,
    skipLoadingLibFiles: true,
    compilerOptions: { allowJs: true },
  });
  const file = project.createSourceFile('quantc.config.ts', text);
  const config = configObject(file, Kind);
  if (config === undefined) return { refused: 'its default export is no object that is written out there' };
  const own = pluginsEdit(config, entry.element, Kind);
  if (typeof own === 'string') return { refused: own };
  if (namesIn(file).has(entry.name)) return { refused: `the name ${entry.name} means something else there` };
  const edits = [...own, ...importEdits(file, entry, Kind)];
  let made = text;
  // From the end on, so that places stay what they are; what stands at one place keeps its order.
  const order = edits.map((edit, index) => ({ edit, index }));
  order.sort((a, b) => b.edit.at - a.edit.at || b.index - a.index);
  for (const { edit } of order) made = made.slice(0, edit.at) + edit.text + made.slice(edit.at);
  return { text: made };
}

/** Names that imports and declarations of the file give to something. */
function namesIn(file: SourceFile): Set<string> {
  const imported = file
    .getImportDeclarations()
    .flatMap((each) => [
      each.getDefaultImport()?.getText(),
      each.getNamespaceImport()?.getText(),
      ...each.getNamedImports().map((named) => named.getAliasNode()?.getText() ?? named.getName()),
    ]);
  const declared = [...file.getVariableDeclarations(), ...file.getFunctions(), ...file.getClasses()];
  return new Set(
    [...imported, ...declared.map((each) => each.getName())].filter((each) => each !== undefined),
  );
}

type Kinds = typeof Node;

/** Without what says only the type of an expression. */
function plain(expression: Node | undefined, Kind: Kinds): Node | undefined {
  let at = expression;
  while (Kind.isAsExpression(at) || Kind.isSatisfiesExpression(at) || Kind.isParenthesizedExpression(at))
    at = at.getExpression();
  return at;
}

/** The object that is the default export: by itself, in a call, or by the name of a constant. */
function configObject(file: SourceFile, Kind: Kinds): ObjectLiteralExpression | undefined {
  const [assignment] = file.getExportAssignments().filter((each) => !each.isExportEquals());
  let at = plain(assignment?.getExpression(), Kind);
  for (let steps = 0; steps < 4 && at !== undefined; steps++) {
    if (Kind.isObjectLiteralExpression(at)) return at;
    if (Kind.isCallExpression(at)) at = plain(at.getArguments()[0], Kind);
    else if (Kind.isIdentifier(at))
      at = plain(file.getVariableDeclaration(at.getText())?.getInitializer(), Kind);
    else return undefined;
  }
  return undefined;
}

/** @returns why not, where `plugins` is no list that is written out */
function pluginsEdit(config: ObjectLiteralExpression, element: string, Kind: Kinds): Insertion[] | string {
  const property = config.getProperty('plugins');
  if (property === undefined) {
    const spread = config.getProperties().some((each) => Kind.isSpreadAssignment(each));
    if (spread) return 'it takes keys from elsewhere, and `plugins` may be among them';
    return appended(config, config.getProperties(), `plugins: [${element}]`);
  }
  const list = Kind.isPropertyAssignment(property) ? plain(property.getInitializer(), Kind) : undefined;
  if (!Kind.isArrayLiteralExpression(list)) return '`plugins` is no list that is written out there';
  return appended(list, list.getElements(), element);
}

/** One more at the end of a list: on a line of its own, with the others' indentation, where those have lines of theirs. */
function appended(list: Expression, members: readonly Node[], text: string): Insertion[] {
  const close = list.getEnd() - 1;
  const last = members.at(-1);
  const source = list.getSourceFile().getFullText();
  if (last === undefined) {
    const inside = source.slice(list.getStart() + 1, close);
    const space = list.getText().startsWith('{') ? ' ' : '';
    if (!inside.includes('\n')) return [{ at: close, text: `${space}${text}${space}` }];
  }
  const start = last?.getStart() ?? list.getStart();
  const comma = last !== undefined && source.slice(last.getEnd(), close).replace(COMMENTS, '').includes(',');
  const lineBreak = /\r?\n[^\S\n]*$/.exec(source.slice(0, close));
  if (lineBreak === null) {
    const pad = /\s$/.test(source.slice(0, close)) || list.getText().startsWith('[') ? '' : ' ';
    const at = comma ? close - (/\s*$/.exec(source.slice(0, close))?.[0].length ?? 0) : last!.getEnd();
    return [{ at, text: `${comma ? ' ' : ', '}${text}${pad}` }];
  }
  const indent = last === undefined ? `${indentOf(source, start)}  ` : indentOf(source, start);
  const [ending] = lineBreak[0].match(/^\r?\n/)!;
  return [
    ...(last !== undefined && !comma ? [{ at: last.getEnd(), text: ',' }] : []),
    { at: lineBreak.index, text: `${ending}${indent}${text},` },
  ];
}

const COMMENTS = /\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;

/** White space in front of the line that holds a place. */
const indentOf = (source: string, at: number): string =>
  /^[^\S\n]*/.exec(source.slice(source.lastIndexOf('\n', at - 1) + 1))![0];

/** Where imports of packages come first, those of files stay behind them; each sort by name. */
function importEdits(file: SourceFile, { name, module }: ConfigEntry, Kind: Kinds): Insertion[] {
  const imports = file.getImportDeclarations();
  const quote = imports[0]?.getModuleSpecifier().getText()[0] ?? "'";
  const line = (names: string, from: string): string => `import { ${names} } from ${quote}${from}${quote};`;
  const ending = file.getFullText().includes('\r\n') ? '\r\n' : '\n';
  const edits: Insertion[] = [];
  const fresh: { readonly text: string; readonly from: string }[] = [];
  const quantc = imports.find(
    (each) =>
      each.getModuleSpecifierValue() === 'quantc' && !each.isTypeOnly() && each.getNamedImports().length > 0,
  );
  const known = quantc
    ?.getNamedImports()
    .some((each) => each.getName() === 'definePlugin' && !each.isTypeOnly());
  if (quantc === undefined) fresh.push({ text: line('definePlugin', 'quantc'), from: 'quantc' });
  else if (!known) edits.push(namedImport(quantc, 'definePlugin'));
  fresh.push({ text: line(name, module), from: module });
  for (const { text, from } of fresh) {
    const behind = imports.filter((each) => inOrder(each.getModuleSpecifierValue(), from) <= 0).at(-1);
    if (behind !== undefined) edits.push({ at: behind.getEnd(), text: ending + text });
    else if (imports.length > 0) edits.push({ at: imports[0]!.getStart(), text: text + ending });
    else edits.push({ at: firstPlace(file, Kind), text: `${text}${ending}${from === module ? ending : ''}` });
  }
  return edits;
}

/** Behind comments that begin the file. */
const firstPlace = (file: SourceFile, Kind: Kinds): number =>
  file
    .getStatementsWithComments()
    .find((each) => !Kind.isCommentStatement(each))
    ?.getStart(true) ?? 0;

function namedImport(declaration: ImportDeclaration, name: string): Insertion {
  const named = declaration.getNamedImports();
  const before = named.find((each) => each.getName() > name);
  if (before !== undefined) return { at: before.getStart(), text: `${name}, ` };
  return { at: named.at(-1)!.getEnd(), text: `, ${name}` };
}

/** Node's own first, then packages, then files; each by name. */
function inOrder(a: string, b: string): number {
  const rank = (each: string): number => (each.startsWith('node:') ? 0 : each.startsWith('.') ? 2 : 1);
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}
