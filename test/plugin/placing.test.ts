import { expect } from 'chai';
import { noteUnplaced, plugIn, withPlaced } from '../../src/compile/plugged.js';
import { definePass, definePlugin, Ledger, type Pass, QuantcError, repeatPasses } from '../../src/index.js';
import { recipeFor } from '../../src/recipe.js';

const idle = (name: string): Pass => definePass({ name, doc: 'nothing → nothing', run: () => {} });

/** Names of passes in order, those of a group in brackets. */
const shown = (passes: readonly Pass[]): string =>
  passes.map(({ name, passes: inner }) => (inner ? `${name}[${shown(inner)}]` : name)).join(' ');

function failure(plugins: readonly unknown[]): QuantcError {
  try {
    plugIn(plugins);
  } catch (error) {
    if (error instanceof QuantcError) return error;
    throw error;
  }
  return expect.fail('it was plugged in');
}

describe('placing passes of plugins', () => {
  const canonical = (...plugins: readonly unknown[]): string =>
    shown(withPlaced(recipeFor('int8'), plugIn(plugins)).canonicalize);

  it('puts them beside their anchors, in the order of the plugins and of their lists', () => {
    const found = canonical(
      definePlugin({
        name: 'one',
        passes: [
          { pass: idle('one-a'), after: 'upgrade-opset' },
          { pass: idle('one-b'), after: 'upgrade-opset' },
          { pass: idle('one-c'), before: 'upgrade-opset' },
        ],
      }),
      definePlugin({
        name: 'two',
        passes: [
          { pass: idle('two-a'), after: 'upgrade-opset' },
          { pass: idle('two-b'), before: 'upgrade-opset' },
        ],
      }),
    );
    expect(found).to.contain(' one-c two-b upgrade-opset one-a one-b two-a ');
  });

  it('puts them into the group that the anchor is in, and wherever the anchor runs', () => {
    const found = canonical({ name: 'inner', passes: [{ pass: idle('after-gelu'), after: 'fuse-gelu' }] });
    expect(found).to.contain(' fusion[fuse-layer-normalization fuse-gelu after-gelu fuse-hard-sigmoid ');
    const often = canonical({ name: 'often', passes: [{ pass: idle('often-a'), before: 'drop-no-ops' }] });
    expect(often.match(/often-a drop-no-ops/g)).to.have.length(2);
  });

  it('takes passes of other plugins for anchors, in whatever order they are given', () => {
    const found = canonical(
      {
        name: 'later',
        passes: [
          { pass: idle('second'), after: 'first' },
          { pass: idle('zeroth'), before: 'first' },
        ],
      },
      { name: 'earlier', passes: [{ pass: idle('first'), after: 'sort-nodes' }] },
    );
    expect(found).to.contain(' sort-nodes zeroth first second ');
  });

  it('signs a group and what is in it, and finds anchors there', () => {
    const group = repeatPasses('own-group', 'two → two', [idle('own-a'), idle('own-b')], 3);
    const recipe = withPlaced(
      recipeFor('int8'),
      plugIn([
        { name: 'own', passes: [{ pass: group, after: 'insert-qdq' }] },
        { name: 'other', passes: [{ pass: idle('other-a'), after: 'own-a' }] },
      ]),
    );
    const [found] = recipe.quantize.filter(({ name }) => name === 'own-group');
    expect(shown([found!])).to.equal('own-group[own-a other-a own-b]');
    expect(found!.rounds).to.equal(3);
    expect(found!.passes!.map(({ plugin }) => plugin)).to.deep.equal(['own', 'other', 'own']);
  });

  it('leaves recipes alone where nothing is plugged in', () => {
    const recipe = recipeFor('int8');
    expect(withPlaced(recipe, plugIn([]))).to.equal(recipe);
    expect(
      withPlaced(recipe, plugIn([{ name: 'far', passes: [{ pass: idle('far-a'), after: 'add-kv-cache' }] }])),
    ).to.deep.equal(recipe);
  });

  it('refuses an unknown anchor and lists those there are', () => {
    const error = failure([{ name: 'lost', passes: [{ pass: idle('lost-a'), after: 'fold-constant' }] }]);
    expect(error.code).to.equal('E_PLUGIN_ANCHOR');
    expect(error.place).to.deep.equal({ plugin: 'lost', pass: 'lost-a' });
    expect(error.hint).to.match(/^Did you mean `fold-constants`\? Passes: .*\binsert-qdq\b.*\blost-a\b/);
  });

  it('refuses anchors that go round in a circle, and a pass beside itself', () => {
    const both = failure([
      { name: 'a', passes: [{ pass: idle('pass-a'), after: 'pass-b' }] },
      { name: 'b', passes: [{ pass: idle('pass-b'), before: 'pass-a' }] },
    ]);
    expect(both.code).to.equal('E_PLUGIN_ANCHOR');
    expect(both.message).to.contain('pass-a and pass-b wait for each other');
    const alone = failure([{ name: 'a', passes: [{ pass: idle('pass-a'), after: 'pass-a' }] }]);
    expect(alone.message).to.contain('pass-a waits for itself');
  });

  it('notes an anchor that the recipe has no place for, and what stands beside it', () => {
    const plugged = plugIn([
      {
        name: 'quiet',
        passes: [
          { pass: idle('quiet-a'), after: 'insert-qdq' },
          { pass: idle('quiet-b'), after: 'quiet-a' },
        ],
      },
    ]);
    const ledger = new Ledger();
    noteUnplaced(withPlaced(recipeFor('fp16'), plugged), plugged, 'fp16 for cpu-x64', ledger);
    expect(ledger.notes.map(({ code, pass }) => `${code} ${pass}`)).to.deep.equal([
      'plugin-anchor quiet-a',
      'plugin-anchor quiet-b',
    ]);
    expect(ledger.notes[0]!.message).to.contain(
      'insert-qdq, which it runs after, is no pass of fp16 for cpu-x64',
    );
  });
});

describe('shapes and names of plugins', () => {
  const pass = idle('fine');
  const target = {
    name: 'cpu-x64',
    doc: '',
    opset: 21,
    rows: [],
    dynamicRows: [],
    absorbed: [],
    activation: {},
    weight: {},
    costs: {},
    session: {},
  };
  const observer = { name: 'own-range', doc: 'all of it', range: () => ({ min: 0, max: 1 }) };

  const shapes: readonly (readonly [what: string, plugin: unknown, said: string])[] = [
    ['no object', 7, 'plugins[0]: expected what definePlugin gives, not a number'],
    ['no name', { passes: [] }, 'plugins[0].name: expected a name, not nothing'],
    ['nothing in it', { name: 'empty' }, 'plugin empty: passes: it plugs nothing in'],
    ['a strange key', { name: 'p', pases: [] }, 'plugin p: pases: there is no such key'],
    ['no list', { name: 'p', passes: pass }, 'plugin p: passes: expected a list, not an object'],
    [
      'a pass without its place',
      { name: 'p', passes: [pass] },
      'plugin p: passes[0].pass: expected what definePass or rewrite gives, not nothing',
    ],
    ['no anchor', { name: 'p', passes: [{ pass }] }, 'plugin p: passes[0]: expected one anchor'],
    [
      'two anchors',
      { name: 'p', passes: [{ pass, before: 'a', after: 'b' }] },
      'plugin p: passes[0]: expected one anchor',
    ],
    [
      'a pass without a name',
      { name: 'p', passes: [{ pass: { doc: 'x', run() {} }, after: 'a' }] },
      'passes[0].pass.name: expected a name',
    ],
    [
      'a pass without run',
      { name: 'p', passes: [{ pass: { name: 'x', doc: 'x' }, after: 'a' }] },
      'passes[0].pass.run: expected a function',
    ],
    [
      'an unknown fact',
      { name: 'p', passes: [{ pass: { ...pass, needs: ['typd'] }, after: 'a' }] },
      'passes[0].pass.needs[0]: there is no fact "typd"',
    ],
    [
      'endless rounds',
      {
        name: 'p',
        passes: [{ pass: { ...pass, passes: [], rounds: Number.POSITIVE_INFINITY }, after: 'a' }],
      },
      'passes[0].pass.rounds: expected a number from 1 to 1000',
    ],
    [
      'an algorithm without a stage',
      { name: 'p', algorithms: [{ pass, source: 's', byDefault: true }] },
      'algorithms[0].stage: expected one of float, plan, integers',
    ],
    [
      'a target without rows',
      { name: 'p', targets: [{ ...target, name: 'own', rows: undefined }] },
      'targets[0].rows: expected a list, not nothing',
    ],
    [
      'an observer without range',
      { name: 'p', observers: [{ ...observer, range: 1 }] },
      'observers[0].range: expected a function, not a number',
    ],
  ];
  for (const [what, plugin, said] of shapes) {
    it(`refuses ${what}`, () => {
      const error = failure([plugin]);
      expect(error.code).to.equal('E_PLUGIN_SHAPE');
      expect(error.kind).to.equal('usage');
      expect(error.message).to.contain(said);
    });
  }

  const names: readonly (readonly [what: string, plugins: readonly unknown[], said: string])[] = [
    [
      'of a plugin that is no name',
      [{ name: 'My Plugin', passes: [] }],
      '"My Plugin" is no name of a plugin',
    ],
    [
      'of two plugins',
      [
        { name: 'p', observers: [observer] },
        { name: 'p', observers: [] },
      ],
      'two plugins of the name "p"',
    ],
    [
      'of a pass of ours',
      [{ name: 'p', passes: [{ pass: idle('fold-affine'), after: 'sort-nodes' }] }],
      'quantc has a pass "fold-affine" of its own',
    ],
    [
      'of an algorithm of ours',
      [
        {
          name: 'p',
          algorithms: [{ pass: idle('smooth-quant'), stage: 'plan', source: 's', byDefault: false }],
        },
      ],
      'quantc has a pass "smooth-quant" of its own',
    ],
    ['of a target of ours', [{ name: 'p', targets: [target] }], 'quantc has a target "cpu-x64" of its own'],
    [
      'of an alias of ours',
      [{ name: 'p', targets: [{ ...target, name: 'npu' }] }],
      'quantc has a target "npu" of its own',
    ],
    [
      'of a way of ours',
      [{ name: 'p', observers: [{ ...observer, name: 'entropy' }] }],
      'quantc has a way to choose ranges "entropy" of its own',
    ],
    [
      'of another plugin',
      [
        { name: 'p', observers: [observer] },
        { name: 'q', observers: [observer] },
      ],
      'plugin p has a way to choose ranges "own-range", too',
    ],
    [
      'that is used twice',
      [
        {
          name: 'p',
          passes: [
            { pass, after: 'sort-nodes' },
            { pass, after: 'dead-code' },
          ],
        },
      ],
      'plugin p has a pass "fine" already',
    ],
  ];
  for (const [what, plugins, said] of names) {
    it(`refuses the name ${what}`, () => {
      const error = failure(plugins);
      expect(error.code).to.equal('E_PLUGIN_NAME');
      expect(error.message).to.contain(said);
    });
  }

  it('takes the default export of a module that is handed over whole', () => {
    expect(plugIn([{ default: { name: 'p', observers: [observer] } }]).observers).to.have.length(1);
  });
});
