/** `quantc new`: what it writes passes its own test and TypeScript, and configs keep what is in them. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import ts from 'typescript';
import { loadConfig } from '../../src/build/load-config.js';
import { withPlugin } from '../../src/codegen/config-edit.js';
import { newScaffold } from '../../src/codegen/scaffold.js';
import { SCAFFOLDS } from '../../src/codegen/scaffold-text.js';
import { plugIn } from '../../src/compile/plugged.js';
import type { QuantcError } from '../../src/errors/error.js';
import { invoke } from '../cli/invoke.js';

const ROOT = join(import.meta.dirname, '..', '..');

describe('quantc new', function () {
  this.timeout(90_000);
  let folder: string;
  const path = (...parts: string[]): string => join(folder, ...parts);
  const text = (...parts: string[]): string => readFileSync(path(...parts), 'utf8');
  const refusal = (words: Parameters<typeof newScaffold>[0]): Promise<QuantcError> =>
    newScaffold({ from: folder, ...words }).then(
      () => expect.fail('it was written'),
      (error: QuantcError) => error,
    );
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-new-')));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('writes parts that compile under strict, pass their own tests, and are in the config', async () => {
    const compilerOptions = {
      ...{
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noPropertyAccessFromIndexSignature: true,
        noUnusedLocals: true,
      },
      ...{
        target: 'es2022',
        lib: ['es2023'],
        module: 'nodenext',
        moduleResolution: 'nodenext',
        noEmit: true,
      },
      ...{ skipLibCheck: true, types: ['node', 'mocha'], verbatimModuleSyntax: true },
      paths: {
        quantc: [join(ROOT, 'src/index.ts')],
        'quantc/testing': [join(ROOT, 'src/testing/index.ts')],
      },
    };
    writeFileSync(path('package.json'), '{ "type": "module" }');
    writeFileSync(path('tsconfig.json'), JSON.stringify({ compilerOptions }));
    symlinkSync(join(ROOT, 'node_modules'), path('node_modules'));
    for (const kind of SCAFFOLDS) await newScaffold({ kind, name: `my-${kind}`, from: folder });
    const own = readdirSync(path('quantc')).sort();
    expect(own).to.deep.equal(SCAFFOLDS.flatMap((kind) => [`my-${kind}.test.ts`, `my-${kind}.ts`]).sort());

    // Operators of other domains: those that ONNX Runtime has, and those that only their author knows.
    writeFileSync(
      path('quantc', 'domains.ts'),
      `import { type PatternBuilder, rewrite, value } from 'quantc';
export const domains = rewrite({
  name: 'domains',
  doc: 'Fused(x) → QuickGelu(x)',
  bind: { x: value },
  pattern: (op, $) => op.domain<'Fused'>('local').Fused(op.domain('com.microsoft').FastGelu($.x), { mode: 1 }),
  replace: ({ x }, op) => op.domain<'Own'>('local').Own(op.domain('com.microsoft').QuickGelu(op.Neg(x)), { mode: 1 }),
});
// @ts-expect-error: not one of the names that it was said to have.
export const missed = (op: PatternBuilder) => op.domain<'Fused'>('local').Fusd();
`,
    );
    const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, folder);
    const program = ts.createProgram(
      [...own, 'domains.ts'].map((name) => path('quantc', name)).concat(path('quantc.config.ts')),
      options,
    );
    const complaints = program
      .getSourceFiles()
      .filter(({ fileName }) => fileName.startsWith(folder) && !fileName.includes('node_modules'))
      .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
      .map(
        ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
      );
    expect(complaints).to.deep.equal([]);

    const mocha = join(ROOT, 'node_modules/mocha/bin/mocha.js');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [mocha, '--import=tsx', '--reporter', 'dot', 'quantc/*.test.ts'],
      { cwd: folder, timeout: 80_000 },
    );
    expect(stdout)
      .to.match(/7 passing/)
      .and.not.match(/failing/);

    expect(text('quantc.config.ts')).to.equal(`import { defineConfig, definePlugin } from 'quantc';
import { myObserver } from './quantc/my-observer.js';
import { myPass } from './quantc/my-pass.js';
import { myRewrite } from './quantc/my-rewrite.js';
import { myTarget } from './quantc/my-target.js';

export default defineConfig({
  // Name the models of your app here: { classifier: 'models/net.onnx' }.
  models: {},
  plugins: [definePlugin({ name: 'my-pass', passes: [{ pass: myPass, after: 'drop-no-ops' }] }), definePlugin({ name: 'my-rewrite', passes: [{ pass: myRewrite, after: 'drop-no-ops' }] }), definePlugin({ name: 'my-target', targets: [myTarget] }), definePlugin({ name: 'my-observer', observers: [myObserver] })],
});
`);
  });

  it('overwrites nothing, and leaves nothing behind when something is wrong', async () => {
    mkdirSync(path('own'));
    writeFileSync(path('own', 'x.test.ts'), 'mine');
    const taken = await refusal({ kind: 'pass', name: 'x', dir: 'own' });
    expect([taken.code, taken.place.file]).to.deep.equal(['E_NEW_EXISTS', path('own', 'x.test.ts')]);
    expect(readdirSync(path('own'))).to.deep.equal(['x.test.ts']);
    expect(existsSync(path('quantc.config.ts'))).to.equal(false);
    for (const name of ['', 'MyPass', 'a--b', '-a', '../x', 'a b', 'é', '1a', 'x'.repeat(81)])
      expect((await refusal({ kind: 'pass', name })).code, name).to.equal('E_NEW_NAME');
    writeFileSync(path('file'), '');
    expect((await refusal({ kind: 'pass', name: 'y', dir: 'file/below' })).code).to.equal('E_OUT_FOLDER');
    expect(readdirSync(folder).sort()).to.deep.equal(['file', 'own']);
  });

  it('gives names to what no constant can be called', async () => {
    await newScaffold({ kind: 'rewrite', name: 'delete', from: folder });
    await newScaffold({ kind: 'pass', name: 'define-plugin', from: folder, dir: 'a/b' });
    const config = text('quantc.config.ts');
    expect(config).to.include("import { deleteRewrite } from './quantc/delete.js';");
    expect(config).to.include("import { definePluginPass } from './a/b/define-plugin.js';");
  });

  it('tells what to add to a config that it cannot edit', async () => {
    writeFileSync(path('quantc.config.json'), '{ "models": { "net": "net.onnx" } }');
    const { config } = await newScaffold({ kind: 'pass', name: 'x', from: path('.') });
    expect(config.done).to.equal('left');
    expect(config.told?.lines[1]).to.equal("import { x } from './quantc/x.js';");
    const before = process.cwd();
    process.chdir(folder);
    try {
      const { code, out } = await invoke(['new', 'observer', 'y', '--dir', 'more']);
      expect(code).to.equal(0);
      expect(out).to.include('more/y.test.ts').and.to.include("definePlugin({ name: 'y', observers: [y] })");
    } finally {
      process.chdir(before);
    }
  });

  it('makes configs that are loaded with the plugin in them', async () => {
    mkdirSync(path('node_modules/quantc'), { recursive: true });
    writeFileSync(path('node_modules/quantc/package.json'), '{ "type": "module", "main": "index.js" }');
    writeFileSync(
      path('node_modules/quantc/index.js'),
      'export const defineConfig = (c) => c; export const definePlugin = (p) => p;',
    );
    writeFileSync(path('quantc.config.ts'), "export default { models: { net: 'net.onnx' } };\n");
    await newScaffold({ kind: 'observer', name: 'tails', from: folder });
    const { config } = await loadConfig(path('quantc.config.ts'));
    expect(plugIn(config.plugins).observers.map(({ observer }) => observer.name)).to.deep.equal(['tails']);
  });

  const entry = { name: 'mine', module: './quantc/mine.js', element: 'NEW' };
  const edited = async (config: string): Promise<string> => {
    const made = await withPlugin(config, entry);
    return 'text' in made ? made.text : `refused: ${made.refused}`;
  };

  it('edits configs of every form and keeps comments, quotes, order and line ends', async () => {
    const cases: readonly (readonly [before: string, after: string])[] = [
      [
        '// Our models.\nexport default { models: {} };\n',
        "// Our models.\nimport { definePlugin } from 'quantc';\nimport { mine } from './quantc/mine.js';\n\nexport default { models: {}, plugins: [NEW] };\n",
      ],
      [
        'import { z } from "./z.js";\nimport { defineConfig } from "quantc"; // types\nimport fs from "node:fs";\nexport default defineConfig({\n  plugins: [\n    z, // last\n  ],\n  models: {},\n});\n',
        'import { z } from "./z.js";\nimport { defineConfig, definePlugin } from "quantc"; // types\nimport fs from "node:fs";\nimport { mine } from "./quantc/mine.js";\nexport default defineConfig({\n  plugins: [\n    z, // last\n    NEW,\n  ],\n  models: {},\n});\n',
      ],
      [
        "import { defineConfig, definePlugin, x } from 'quantc';\nimport { a } from './a.js';\nimport { z } from './z.js';\n\nconst config = {\n\tplugins: [a /* first */, z],\n\tmodels: {}\n} satisfies object;\nexport default config;\n",
        "import { defineConfig, definePlugin, x } from 'quantc';\nimport { a } from './a.js';\nimport { mine } from './quantc/mine.js';\nimport { z } from './z.js';\n\nconst config = {\n\tplugins: [a /* first */, z, NEW],\n\tmodels: {}\n} satisfies object;\nexport default config;\n",
      ],
      [
        "import type { QuantcConfig } from 'quantc';\r\nexport default {\r\n  models: {} // none, yet\r\n} as QuantcConfig;\r\n",
        "import type { QuantcConfig } from 'quantc';\r\nimport { definePlugin } from 'quantc';\r\nimport { mine } from './quantc/mine.js';\r\nexport default {\r\n  models: {}, // none, yet\r\n  plugins: [NEW],\r\n} as QuantcConfig;\r\n",
      ],
      [
        "import { definePlugin } from 'quantc';\nexport default { plugins: [], models: {} };",
        "import { definePlugin } from 'quantc';\nimport { mine } from './quantc/mine.js';\nexport default { plugins: [NEW], models: {} };",
      ],
      [
        "import { definePlugin } from 'quantc';\nexport default {\n  plugins: [\n    // none\n  ],\n};",
        "import { definePlugin } from 'quantc';\nimport { mine } from './quantc/mine.js';\nexport default {\n  plugins: [\n    // none\n    NEW,\n  ],\n};",
      ],
      [
        "import { definePlugin } from 'quantc';\nexport default {\n  plugins: [a, ],\n};",
        "import { definePlugin } from 'quantc';\nimport { mine } from './quantc/mine.js';\nexport default {\n  plugins: [a, NEW ],\n};",
      ],
    ];
    for (const [before, after] of cases) expect(await edited(before)).to.equal(after);
  });

  it('refuses to guess', async () => {
    const cases: readonly (readonly [config: string, why: RegExp])[] = [
      ['export default await load();', /no object that is written out/],
      ['export default () => ({ models: {} });', /no object that is written out/],
      ['module.exports = {};', /no object that is written out/],
      ['export default { ...base };', /keys from elsewhere/],
      ['export default { plugins };', /no list that is written out/],
      ['export default { plugins: makePlugins() };', /no list that is written out/],
      ["import mine from 'x';\nexport default {};", /means something else/],
    ];
    for (const [config, why] of cases)
      expect(await edited(config))
        .to.match(/^refused/)
        .and.to.match(why);
  });
});
