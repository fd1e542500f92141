/** The rules of the house, as tables: who may import whom, which packages are seen where, how files are named. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { expect } from 'chai';
import ts from 'typescript';

/**
 * Areas from the ground up, and what each may import besides itself: only areas of rows above its own, so that the
 * table itself cannot hold a circle. `*` stands for all of them.
 */
const LAYERS: readonly (readonly [area: string, mayImport: readonly string[]])[] = [
  ['src/errors', []],
  ['src/ir', ['src/errors']],
  ['src/text', ['src/errors', 'src/ir']],
  ['src/quant', ['src/errors', 'src/ir']],
  ['src/onnx', ['src/errors', 'src/ir']],
  ['src/pipeline', ['src/errors', 'src/ir']],
  ['src/tflite', ['src/errors', 'src/ir', 'src/quant']],
  ['src/target', ['src/errors', 'src/ir', 'src/quant', 'src/pipeline']],
  [
    'src/rewrite',
    ['src/errors', 'src/ir', 'src/text', 'src/quant', 'src/onnx', 'src/pipeline', 'src/target'],
  ],
  ['src/autodiff', ['src/errors', 'src/ir']],
  ['src/kernels', ['src/errors', 'src/ir', 'src/quant', 'src/onnx']],
  ['src/transformer', ['src/errors', 'src/ir', 'src/pipeline']],
  ['src/runtime', ['src/errors', 'src/ir', 'src/quant', 'src/onnx', 'src/pipeline', 'src/target']],
  [
    'src/calibration',
    [
      'src/errors',
      'src/ir',
      'src/quant',
      'src/onnx',
      'src/pipeline',
      'src/target',
      'src/kernels',
      'src/runtime',
    ],
  ],
  ['src/training', ['src/errors', 'src/ir', 'src/text', 'src/autodiff', 'src/runtime', 'src/calibration']],
  ['src/plugin', ['src/errors', 'src/ir', 'src/pipeline', 'src/target']],
  [
    'src/index.ts',
    [
      'src/errors',
      'src/ir',
      'src/text',
      'src/quant',
      'src/onnx',
      'src/pipeline',
      'src/target',
      'src/rewrite',
      'src/autodiff',
      'src/tflite',
      'src/transformer',
      'src/plugin',
    ],
  ],
  // A user's pass or target is the equal of ours: both see the public face and nothing else.
  ['passes', ['src/index.ts']],
  ['targets', ['src/index.ts']],
  ['src/testing', ['src/errors', 'src/ir', 'src/text', 'src/pipeline', 'src/target', 'src/runtime']],
  ['src/codegen', ['src/errors', 'src/ir', 'src/pipeline']],
  ['src/report', ['src/errors', 'src/ir', 'src/quant', 'src/pipeline', 'src/target', 'src/calibration']],
  ['src/compile', ['*']],
  ['src/build', ['*']],
  ['src/bundlers', ['src/errors', 'src/report', 'src/compile', 'src/build']],
  ['src/cli', ['*']],
  ['examples', ['src/index.ts', 'src/compile']],
  ['models', ['src/errors', 'src/ir', 'src/onnx', 'src/calibration', 'src/index.ts']],
  ['test', ['*']],
  ['bench', ['*']],
];

/** The public face hands on to the compiler that is built on it: by type, and when it is called. */
const HANDED_ON = [
  'src/compile.ts',
  'src/compile/finetune/finetune.ts',
  'src/report/report.ts',
  'src/build/config.ts',
  'src/build/build.ts',
  'src/build/watch.ts',
  'src/build/build-bindings.ts',
  'src/build/events.ts',
  'src/build/manifest.ts',
  'src/compile/declared-runtimes.ts',
  'src/compile/finetune/output.ts',
  'src/compile/finetune/plan.ts',
  'src/compile/range-method.ts',
  'src/compile/request.ts',
  'src/report/training.ts',
];

/** The composition root: what puts the parts together, and is the only one that knows them all. */
const COMPOSITION = /^src\/(?:compile|explain|prove|recipe)\b/;

/** Packages that one area alone may import; tests may use them as oracles. */
const CONFINED: Readonly<Record<string, string>> = {
  protobufjs: 'src/onnx',
  'onnxruntime-node': 'src/runtime',
  'onnxruntime-web': 'src/runtime',
  'ts-morph': 'src/codegen',
  unplugin: 'src/bundlers',
  commander: 'src/cli',
  'cli-progress': 'src/cli',
  'cli-table3': 'src/cli',
  picocolors: 'src/cli',
  sharp: 'src/calibration',
  'fast-png': 'src/calibration',
  'jpeg-js': 'src/calibration',
  wavefile: 'src/calibration',
};

/** Longest file by where it lies, in lines. */
const LENGTHS: readonly (readonly [where: RegExp, lines: number])[] = [
  [/^test\//, 500],
  [/./, 300],
];

/** Names that say nothing of what is inside. */
const EMPTY_NAMES =
  /(?:^|[-/])(?:utils?|helpers?|managers?)(?=[./]|$)|(?:^|\/)(?:misc|commons?|stuff)(?=[./]|$)/;

/** Words of the places where the project was written, which mean nothing to its readers. Spelled so as not to be found. */
const FOREIGN_WORDS: readonly RegExp[] = [
  ['/wo', 'rk/'],
  ['/ro', 'ot/'],
  ['/tm', 'p/'],
  ['\\bsub', 'agent'],
  ['\\bclau', 'de\\b'],
  ['\\banth', 'ropic'],
  ['\\bverda', 'ccio'],
  ['\\barti', 'factory'],
].map((parts) => new RegExp(parts.join(''), 'i'));

const root = normalize(join(import.meta.dirname, '..'));
const SKIPPED = new Set(['node_modules', 'dist', 'coverage', '.git', 'out']);
const TEXTS = /\.(?:ts|mts|js|mjs|json|md|yml|yaml|onnxtxt|html|css|sh)$|(?:^|\/)\.[a-z]+rc$|^\.ci\//;

function* filesBelow(folder: string): IterableIterator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) yield* filesBelow(path);
    else if (entry.isFile()) yield relative(root, path).split(sep).join('/');
  }
}

const files = [...filesBelow(root)].sort();
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const sources = files.filter((file) => /\.m?ts$/.test(file) && !file.startsWith('src/kernels/assembly/'));

/** The row of the table that a file belongs to. */
function areaOf(file: string): string {
  if (COMPOSITION.test(file)) return 'src/compile';
  const [first, second] = file.split('/');
  return first === 'src' ? `src/${second}` : first!;
}

interface Import {
  readonly file: string;
  readonly specifier: string;
  /** The file of the project that is meant, for relative imports. */
  readonly target: string | undefined;
}

const imports: Import[] = sources.flatMap((file) =>
  ts.preProcessFile(read(file), true, true).importedFiles.map(({ fileName }) => ({
    file,
    specifier: fileName,
    target: fileName.startsWith('.')
      ? normalize(join(dirname(file), fileName))
          .split(sep)
          .join('/')
          .replace(/\.js$/, '.ts')
      : undefined,
  })),
);

describe('architecture', () => {
  it('has a row for every area, and rows that look up only', () => {
    const known = LAYERS.map(([area]) => area);
    const areas = [...new Set(sources.filter((file) => file.includes('/')).map(areaOf))];
    expect(areas.filter((area) => !known.includes(area))).to.deep.equal([]);
    LAYERS.forEach(([area, mayImport], row) => {
      for (const each of mayImport) {
        if (each !== '*') expect(known.slice(0, row), `${area} names ${each}`).to.include(each);
      }
    });
  });

  it('imports downwards only', () => {
    const order = LAYERS.map(([area]) => area);
    const breaches = imports
      .filter(({ file, target }) => {
        if (target === undefined) return false;
        if (file === 'src/index.ts' && HANDED_ON.includes(target)) return false;
        const [from, to] = [areaOf(file), areaOf(target)];
        const row = order.indexOf(from);
        const allowed = LAYERS[row]?.[1].includes('*') ? order.slice(0, row) : (LAYERS[row]?.[1] ?? []);
        return from !== to && !allowed.includes(to);
      })
      .map(({ file, target }) => `${file} imports ${target}`);
    expect(breaches).to.deep.equal([]);
  });

  it('has the public face load no compiler before it is called', () => {
    const source = ts.createSourceFile('index.ts', read('src/index.ts'), ts.ScriptTarget.Latest);
    const loading: string[] = [];
    for (const each of source.statements) {
      const typesOnly =
        (ts.isImportDeclaration(each) && each.importClause?.isTypeOnly) ||
        (ts.isExportDeclaration(each) && each.isTypeOnly);
      if (typesOnly || !(ts.isImportDeclaration(each) || ts.isExportDeclaration(each))) continue;
      const { text } = each.moduleSpecifier as ts.StringLiteral;
      if (HANDED_ON.includes(`src/${text.slice(2, -3)}.ts`)) loading.push(text);
    }
    expect(loading).to.deep.equal([]);
  });

  it('imports files that are there, by the names that Node will find them by', () => {
    const lost = imports
      .filter(({ specifier, target }) => target !== undefined && !/\.(?:js|json|mjs)$/.test(specifier))
      .map(({ file, specifier }) => `${file} imports ${specifier}`);
    const missing = imports
      .filter(({ target }) => target?.endsWith('.ts') && !existsSync(join(root, target)))
      .map(({ file, target }) => `${file} imports ${target}`);
    expect([...lost, ...missing]).to.deep.equal([]);
  });

  it('keeps packages in their areas', () => {
    const breaches = imports
      .filter(({ file, specifier }) => {
        const owner = Object.entries(CONFINED).find(
          ([name]) => specifier === name || specifier.startsWith(`${name}/`),
        )?.[1];
        return owner !== undefined && areaOf(file) !== owner && areaOf(file) !== 'test';
      })
      .map(({ file, specifier }) => `${file} imports ${specifier}`);
    expect(breaches).to.deep.equal([]);
  });

  it('imports only packages that are declared, and in src only those that users get', () => {
    const declared = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>;
    const optional = { ...declared['optionalDependencies'], ...declared['peerDependencies'] };
    const shipped = { ...declared['dependencies'], ...optional };
    const all = { ...shipped, ...declared['devDependencies'] };
    const breaches = imports
      .filter(({ file, specifier, target }) => {
        if (target !== undefined || specifier.startsWith('node:')) return false;
        const name = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/');
        // Examples import what they are examples of.
        if (name === 'quantc' && file.startsWith('examples/')) return false;
        return !(name in (/^(?:src|passes|targets)\//.test(file) ? shipped : all));
      })
      .map(({ file, specifier }) => `${file} imports ${specifier}`);
    expect(breaches).to.deep.equal([]);
  });

  it('keeps files short', () => {
    const long = sources
      .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
      .filter(({ file, lines }) => lines > LENGTHS.find(([where]) => where.test(file))![1])
      .map(({ file, lines }) => `${file} has ${lines} lines`);
    expect(long).to.deep.equal([]);
  });

  it('names files and folders for what is in them, in kebab-case', () => {
    const named = files.filter((file) => /^(?:src|passes|targets|test|models|bench|examples)\//.test(file));
    expect(named.filter((file) => EMPTY_NAMES.test(file))).to.deep.equal([]);
    const odd = sources.filter((file) => !/^(?:[a-z0-9.-]+\/)*[a-z0-9]+(?:[-.][a-z0-9]+)*\.m?ts$/.test(file));
    expect(odd).to.deep.equal([]);
  });

  it('says nothing of where it was written', () => {
    const found: string[] = [];
    for (const file of files) {
      if (!TEXTS.test(file) || file === 'package-lock.json') continue;
      const words = FOREIGN_WORDS.map((word) => word.exec(read(file))?.[0]).filter(
        (word) => word !== undefined,
      );
      if (words.length > 0) found.push(`${file}: ${words.join(', ')}`);
    }
    expect(found).to.deep.equal([]);
  });

  it('locks packages without naming a registry of its own', () => {
    const resolved = [...read('package-lock.json').matchAll(/"resolved": "(https?:\/\/[^/"]+)/g)].map(
      (each) => each[1],
    );
    expect([...new Set(resolved)].filter((host) => host !== 'https://registry.npmjs.org')).to.deep.equal([]);
  });

  it('leaves no work for later in the code', () => {
    const mark = new RegExp(['\\bTO', 'DO\\b|\\bFIX', 'ME\\b|\\bX', 'XX\\b'].join(''));
    expect(sources.filter((file) => mark.test(read(file)))).to.deep.equal([]);
  });
});
