import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { AnswerCache } from '../../src/compile/cache.js';
import { plugIn } from '../../src/compile/plugged.js';
import { cacheFor } from '../../src/compile/plugged-cache.js';
import {
  type CompileRequest,
  compile,
  createNode,
  definePass,
  definePlugin,
  no,
  type Pass,
  type QuantcError,
  type QuantcPlugin,
  type RangeObserver,
  readModel,
  replaceAllUses,
  rewrite,
  type SeenValue,
  type TargetReport,
  value,
} from '../../src/index.js';
import { setOrigin } from '../../src/plugin/origin.js';
import { resolveTargets } from '../../targets/index.js';
import { type Workspace, workspace } from '../cli/workspace.js';

/** The same for every float. */
const reluToLeaky = rewrite({
  name: 'relu-to-leaky',
  doc: 'Relu(x) → LeakyRelu(x) that leaks nothing: the same numbers',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Relu($.x),
  check: ({ x }) => x.dtype === 'float' || no(`${x.name} is no float`),
  replace: ({ x }, op) => op.LeakyRelu(x, { alpha: 0 }),
});
const placed = (pass: Pass, after = 'sort-nodes'): QuantcPlugin =>
  definePlugin({ name: 'own', passes: [{ pass, after }] });

describe('compiling with plugins', () => {
  let at: Workspace;
  before(() => {
    at = workspace();
  });
  after(() => at.remove());

  const request = (plugins: readonly QuantcPlugin[], rest: Partial<CompileRequest> = {}): CompileRequest => ({
    ...{ model: at.model, calib: at.data, out: at.path('out'), threads: 1, cache: false, plugins },
    ...rest,
  });
  const made = async (
    plugins: readonly QuantcPlugin[],
    rest?: Partial<CompileRequest>,
  ): Promise<TargetReport> => (await compile(request(plugins, rest)))[0]!;
  const failure = (plugins: readonly QuantcPlugin[], rest?: Partial<CompileRequest>): Promise<QuantcError> =>
    compile(request(plugins, { out: at.path('none'), ...rest })).then(
      () => expect.fail('it compiled'),
      (error: QuantcError) => {
        expect(existsSync(at.path('none')), 'files of a compilation that failed').to.equal(false);
        return error;
      },
    );

  it('runs a rewrite, and tells of it in events, ledger, and report', async () => {
    const events: string[] = [];
    const report = await made([placed(reluToLeaky)], {
      precision: 'fp16',
      onEvent: (event) => {
        if (event.kind === 'pass' && event.event.plugin)
          events.push(`${event.event.plugin}: ${event.event.changes.join()}`);
      },
    });
    const model = readModel(at.path('out', report.files[0]!.path));
    expect([...model.graph.nodes()].map(({ opType }) => opType)).to.include('LeakyRelu');
    expect(events[0]).to.equal('own: activation: relu-to-leaky');
    expect(
      report.ledger.filter(({ plugin }) => plugin !== undefined).map(({ node, plugin }) => [node, plugin]),
    ).to.deep.equal([['activation', 'own']]);
    expect(report.plugins).to.deep.equal([
      {
        plugin: 'own',
        passes: [
          {
            pass: 'relu-to-leaky',
            // sort-nodes runs twice.
            runs: 2,
            changed: 1,
            declined: 0,
            changes: ['activation: relu-to-leaky'],
            declines: [],
          },
        ],
      },
    ]);
    expect(report.proof.status).to.equal('passed');
  });

  it('tells what a pass left alone, and notes that it makes', async () => {
    const shy = definePass({
      name: 'shy',
      doc: 'nothing → nothing',
      run(model, { decline, ledger }) {
        const node = model.graph.first!;
        decline('too large for me', node);
        ledger.note('info', 'shy-note', 'looked around');
        ledger.record(node, { reason: 'left by shy' });
      },
    });
    const report = await made([placed(shy, 'upgrade-opset')], { precision: 'fp16' });
    expect(report.plugins![0]!.passes[0]!.declines).to.deep.equal(['first: too large for me']);
    expect(report.notes.find(({ code }) => code === 'shy-note')!.plugin).to.equal('own');
    expect(report.ledger.find(({ node }) => node === 'first')!.plugin).to.equal('own');
    expect(report.ledger.find(({ node }) => node === 'head')!.plugin).to.equal(undefined);
  });

  it('blames the plugin, the pass and the node for what check, replace and run throw', async () => {
    const boom = (): never => {
      throw new TypeError('boom');
    };
    const checking = await failure([placed(rewrite({ ...RELU, name: 'bad-check', check: boom }))]);
    expect(checking.code).to.equal('E_PLUGIN_FAILED');
    expect(checking.kind).to.equal('usage');
    expect(checking.message).to.equal('plugin own failed: check of bad-check: boom');
    expect(checking.place).to.deep.equal({ plugin: 'own', pass: 'bad-check', node: 'activation' });

    const replacing = await failure([placed(rewrite({ ...RELU, name: 'bad-replace', replace: boom }))]);
    expect(replacing.place.node).to.equal('activation');

    const running = await failure([
      placed(
        definePass({
          name: 'bad-run',
          doc: 'x → y',
          run(model, { decline }) {
            decline('looked at', model.graph.first);
            boom();
          },
        }),
      ),
    ]);
    expect(running.place).to.deep.equal({ plugin: 'own', pass: 'bad-run' });
    expect(running.hint).to.contain('It had last spoken of first: looked at.');
  });

  it('names the plugin where the pipeline itself complains', async () => {
    const endless = rewrite({ ...RELU, name: 'endless', replace: ({ x }, op) => op.Relu(op.Identity(x)) });
    const again = await failure([placed(endless)]);
    expect(again.code).to.equal('E_REWRITE_ENDLESS');
    expect(again.kind).to.equal('usage');
    expect(again.place).to.include({ plugin: 'own', pass: 'endless' });

    const needy = await failure([
      placed({ ...definePass({ name: 'needy', doc: 'x → y', run() {} }), needs: ['planned'] }),
    ]);
    expect(needy.code).to.equal('E_PIPELINE_FACT');
    expect(needy.place).to.deep.equal({ plugin: 'own', pass: 'needy' });
  });

  it('finds a graph that a pass broke, whether it used the edits or not', async () => {
    const cycle = definePass({
      name: 'cycle',
      doc: 'x → x',
      run(model) {
        const [first] = model.graph.nodes();
        const late = [...model.graph.nodes()].find((node) => node.is('Relu'))!.outputs[0]!;
        const sum = createNode(
          { before: first! },
          { opType: 'Abs', inputs: [late], outputs: [{ type: late.type }] },
        );
        replaceAllUses(model.graph.inputs[0]!, sum.outputs[0]!);
      },
    });
    const looped = await failure([placed(cycle)]);
    expect(looped.code).to.equal('E_PLUGIN_GRAPH');
    expect(looped.place).to.include({ plugin: 'own', pass: 'cycle' });
    expect(looped.place.node ?? looped.place.value).to.be.a('string');

    const sly = definePass({
      name: 'sly',
      doc: 'x → y',
      run(model) {
        const node = [...model.graph.nodes()].find((each) => each.is('Relu'))!;
        (node as unknown as { inputs: unknown[] }).inputs = [];
      },
    });
    const error = await failure([placed(sly)]);
    expect(['E_PLUGIN_GRAPH', 'E_PLUGIN_FAILED']).to.include(error.code);
    expect(error.place).to.include({ plugin: 'own', pass: 'sly' });
  });

  it('notes passes of a plugin that do not settle in a group', async () => {
    const to = (name: string, from: 'Relu' | 'Softplus', into: 'Relu' | 'Softplus'): Pass =>
      rewrite({
        name,
        doc: 'x ↔ y',
        bind: { x: value },
        pattern: (op, $) => op[from]!($.x),
        replace: ({ x }, op) => op[into]!(x),
      });
    const quarrel = definePlugin({
      name: 'own',
      passes: [
        { pass: to('to-and', 'Relu', 'Softplus'), before: 'fuse-gelu' },
        { pass: to('fro', 'Softplus', 'Relu'), after: 'fuse-gelu' },
      ],
    });
    const report = await made([quarrel], { precision: 'float' });
    expect(report.notes.map(({ code }) => code)).to.include('plugin-restless');
  });

  it('chooses ranges as an observer says, and keeps no answer of an observer that changed', async () => {
    const seen: SeenValue[] = [];
    const half = (share: number): QuantcPlugin => {
      const observer: RangeObserver = {
        name: 'part',
        doc: 'a share of all of it',
        range(value) {
          seen.push(value);
          return { min: value.min * share, max: value.max * share };
        },
      };
      return { name: 'own', observers: [observer] };
    };
    const bytes = async (share: number): Promise<Buffer> => {
      const rest = { ranges: 'part', algorithms: ['none'], cache: at.path('cache') } as const;
      const report = await made([half(share)], rest);
      expect(report.plugins![0]!.observer).to.equal('part');
      return readFileSync(at.path('out', report.files[0]!.path));
    };
    const whole = await bytes(1);
    for (const { counts, edges, min, max, total, zeros } of seen) {
      expect(edges).to.have.length(counts.length + 1);
      expect(counts.reduce((sum, each) => sum + each, zeros)).to.equal(total);
      expect(edges[0]).to.be.at.most(min === 0 ? edges[1]! : min);
      expect(edges.at(-1)).to.be.at.least(max);
    }
    const narrow = await bytes(0.5);
    expect(narrow.equals(whole)).to.equal(false);
    expect((await bytes(1)).equals(whole), 'the same observer, the same bytes').to.equal(true);
    const plain = await made([], { ranges: 'minmax', algorithms: ['none'] });
    expect(readFileSync(at.path('out', plain.files[0]!.path)).equals(whole), 'as minmax does').to.equal(true);
  });

  it('blames an observer that throws or answers nonsense, with the value', async () => {
    const observing = (range: () => unknown): QuantcPlugin =>
      ({ name: 'own', observers: [{ name: 'odd', doc: 'odd', range }] }) as QuantcPlugin;
    for (const [range, said] of [
      [() => ({ min: 1, max: 0 }), 'which is no range'],
      [() => undefined, 'which is no range'],
      [() => ({ min: Number.NaN, max: 0 }), 'which is no range'],
      [
        () => {
          throw new Error('boom');
        },
        'boom',
      ],
    ] as const) {
      const error = await failure([observing(range)], { ranges: 'odd' });
      expect(error.code).to.equal('E_PLUGIN_FAILED');
      expect(error.message).to.contain(said);
      expect(error.place.plugin).to.equal('own');
      expect(error.place.value).to.be.a('string');
    }
    const unknown = await failure([observing(() => undefined)], { ranges: 'ods' });
    expect(unknown.code).to.equal('E_RANGES_UNKNOWN');
    expect(unknown.hint).to.match(/mse.*, odd\./);
  });

  it('compiles for a target of a plugin by its name, and blames its conditions', async () => {
    const [cpu] = resolveTargets(['cpu']);
    const own = { ...cpu!, name: 'my-chip', doc: 'as the CPU, but no Gemm in integers' };
    const rows = own.rows.filter(({ op }) => op !== 'Gemm' && op !== 'MatMul');
    const report = await made([{ name: 'chips', targets: [{ ...own, rows }] }], { targets: ['my-chip'] });
    expect(report.target).to.equal('my-chip');
    expect(report.plugins![0]!.target).to.equal('my-chip');
    expect(report.ledger.find(({ node }) => node === 'first')!.precision).to.equal('int8');
    expect(report.ledger.find(({ node }) => node === 'head')!.precision).not.to.equal('int8');

    const failing = rows.map((row) => ({
      ...row,
      when: () => {
        throw new Error('no such attribute');
      },
    }));
    const error = await failure([{ name: 'chips', targets: [{ ...own, rows: failing }] }], {
      targets: ['my-chip'],
    });
    expect(error.code).to.equal('E_PLUGIN_FAILED');
    expect(error.message).to.match(/rows\[\d+\]\.when of target my-chip: no such attribute/);
    expect(error.place.plugin).to.equal('chips');
    expect(error.place.node).to.be.a('string');

    const unknown = await failure([{ name: 'chips', targets: [own] }], { targets: ['my-chips'] });
    expect(unknown.code).to.equal('E_TARGET_UNKNOWN');
    expect(unknown.hint).to.contain('my-chip');
  });

  it('keeps trials for the code that they were made with, and none for code that nobody knows', async () => {
    const asked: string[] = [];
    const cacheWith = (origin?: string) => {
      const plugin = definePlugin({ name: 'own', passes: [{ pass: reluToLeaky, after: 'sort-nodes' }] });
      if (origin !== undefined) setOrigin(plugin, origin);
      return cacheFor(at.path('trials'), plugIn([plugin]), resolveTargets(['cpu']));
    };
    const ask = (cache: AnswerCache, kind: string, who: string) =>
      cache.remember(kind, ['the same key'], async () => asked.push(`${kind} ${who}`));
    for (const kind of ['trial-mix', 'calibration']) {
      for (const [origin, who] of [
        ['a', 'first'],
        ['a', 'again'],
        ['b', 'changed'],
        [undefined, 'unknown'],
        [undefined, 'unknown again'],
      ])
        await ask(cacheWith(origin), kind, who!);
    }
    expect(asked).to.deep.equal([
      'trial-mix first',
      'trial-mix changed',
      'trial-mix unknown',
      'trial-mix unknown again',
      'calibration first',
    ]);
    const [cpu] = resolveTargets(['cpu']);
    const handed = cacheFor(at.path('trials'), plugIn(), [{ ...cpu!, name: 'handed-over' }]);
    await ask(handed, 'trial-mix', 'handed over');
    expect(asked.at(-1)).to.equal('trial-mix handed over');
  });

  it('runs an algorithm of a plugin at its stage, by name or by default', async () => {
    const order: string[] = [];
    const tell = (name: string): Pass =>
      definePass({
        name,
        doc: 'x → x',
        run: (model) =>
          void order.push(`${name} ${[...model.graph.nodes()].some((node) => node.is('QuantizeLinear'))}`),
      });
    const plugin = definePlugin({
      name: 'own',
      algorithms: [
        { pass: tell('own-late'), stage: 'integers', source: 'nobody', byDefault: true },
        { pass: tell('own-early'), stage: 'float', source: 'nobody', byDefault: true },
        { pass: tell('own-never'), stage: 'float', source: 'nobody', byDefault: false },
      ],
    });
    await made([plugin]);
    expect(order).to.deep.equal(['own-early false', 'own-late true']);
    order.length = 0;
    await made([plugin], { algorithms: ['own-never'] });
    expect(order).to.deep.equal(['own-never false']);
    const error = await failure([plugin], { algorithms: ['own-nver'] });
    expect(error.code).to.equal('E_ALGORITHM_UNKNOWN');
    expect(error.hint).to.contain('own-never');
  });

  it('leaves nothing behind where a plugin fails', () => {
    expect(readdirSync(at.folder).filter((name) => name.includes('none'))).to.deep.equal([]);
  });
});

const RELU = {
  doc: 'Relu → something',
  bind: { x: value },
  pattern: (op, $) => op.Relu($.x),
  replace: ({ x }) => x,
} satisfies Omit<Parameters<typeof rewrite<{ readonly x: typeof value }>>[0], 'name'>;
