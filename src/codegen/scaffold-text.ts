/** What `quantc new` writes: small things that work, each with its test, to be changed into what their author wants. */

/** Kinds of parts that a plugin brings. */
export const SCAFFOLDS = ['pass', 'rewrite', 'target', 'observer'] as const;
export type ScaffoldKind = (typeof SCAFFOLDS)[number];

/** A part's names: in quantc (`drop-no-op`), and in TypeScript (`dropNoOp`). */
export interface ScaffoldName {
  readonly name: string;
  readonly identifier: string;
}

export interface Scaffold {
  readonly source: string;
  readonly test: string;
  /** Element of `plugins` in a config. */
  readonly element: string;
}

/** Where new passes run until their author says otherwise: among the rewrites that are repeated until nothing changes. */
const ANCHOR = 'drop-no-ops';

const passSource = ({
  name,
  identifier,
}: ScaffoldName): string => `import { definePass, replaceNode } from 'quantc';

/**
 * Relu(Relu(x)) → Relu(x): max(0, max(0, x)) = max(0, x), for infinities and NaN, too.
 * Change this into what you want: say before → after, why that is right, and under which conditions.
 */
export const ${identifier} = definePass({
  name: '${name}',
  doc: 'Relu(Relu(x)) → Relu(x): max(0, max(0, x)) = max(0, x)',
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        const [input] = node.inputs;
        if (!node.is('Relu') || input?.producer?.is('Relu') !== true) continue;
        if (input.graph !== graph) {
          decline('its input comes from an outer graph', node);
          continue;
        }
        changed('its input has no negative elements: removed', node);
        replaceNode(node, [input]);
      }
    }
  },
});
`;

const rewriteSource = ({
  name,
  identifier,
}: ScaffoldName): string => `import { no, node, rewrite, value } from 'quantc';

/**
 * Neg(Neg(x)) → x: negation is exact in every signed type, so two of them cancel, for infinities and NaN, too.
 * Change this into what you want: say before → after, why that is right, and under which conditions.
 */
export const ${identifier} = rewrite({
  name: '${name}',
  doc: 'Neg(Neg(x)) → x: −(−x) = x',
  needs: ['typed'],
  bind: { x: value, outer: node },
  pattern: (op, $) => $.outer(op.Neg(op.Neg($.x))),
  check: ({ x, outer }) => x.dtype !== undefined || no(\`\${x.name} has no known type\`, outer),
  replace: ({ x }) => x,
});
`;

/** Graphs on which a pass fires, and on which it must not. */
const passTest = (
  { name, identifier }: ScaffoldName,
  graphs: { readonly fires: string; readonly left: string; readonly gone: string; readonly kept: string },
): string => `import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { expectSameOutputs, runPass } from 'quantc/testing';
import { ${identifier} } from './${name}.js';

const HEAD = '<ir_version: 10, opset_import: ["": 21]>';

describe('${name}', () => {
  it('fires where it should, and the model answers the same', async () => {
    const text = \`\${HEAD}
g (float[N, 4] x) => (float[N, 4] y) {
${graphs.fires}
}\`;
    const run = await runPass(text, ${identifier});
    assert.equal(run.fired, true);
    assert.doesNotMatch(run.text, ${graphs.gone});
    await expectSameOutputs(text, run.model);
  });

  it('leaves alone what it should', async () => {
    const text = \`\${HEAD}
g (float[N, 4] x) => (float[N, 4] y) {
${graphs.left}
}\`;
    const run = await runPass(text, ${identifier});
    assert.equal(run.fired, false);
    assert.match(run.text, ${graphs.kept});
  });
});
`;

const targetSource = ({
  name,
  identifier,
}: ScaffoldName): string => `import { allOf, constantInput, defineTarget, floatInput, rankIs } from 'quantc';

/**
 * An executor as a table: which kernel takes which operator, under which conditions. This one has a single kernel,
 * ONNX Runtime's product of activations that are quantized while the model runs. Add a row for each that yours has.
 */
export const ${identifier} = defineTarget({
  name: '${name}',
  doc: 'products in int8, activations quantized while the model runs',
  opset: 21,
  activation: { dtype: 'uint8', symmetric: false },
  weight: { dtype: 'int8', limit: 127 },
  // Static int8: kernels between QuantizeLinear and DequantizeLinear. None yet.
  rows: [],
  dynamicRows: [
    {
      op: 'MatMul',
      // As the executor's optimized graph names it: the proof looks for it there.
      kernel: 'DynamicQuantizeMatMul',
      inputs: ['activation', 'weight'],
      output: 'float',
      kind: 'compute',
      weightAxis: () => 1,
      when: allOf(floatInput, constantInput(1), rankIs(1, 2)),
    },
  ],
  absorbed: [],
  // Nanoseconds a unit: what decides whether integers pay. Measure them on your device.
  costs: {
    floatMac: 0.02,
    integerMac: 0.005,
    floatDepthwiseMac: 0.06,
    integerDepthwiseMac: 0.06,
    floatOutput: 0.25,
    integerOutput: 0.35,
    floatElement: 0.16,
    integerElement: 0.2,
    quantize: 0.06,
    dequantize: 0.06,
    vector: 16,
    node: 700,
  },
  session: {},
});
`;

const targetTest = ({ name, identifier }: ScaffoldName): string => `import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { compile, encodeModel, parseModel } from 'quantc';
import { ${identifier} } from './${name}.js';

const NET = \`<ir_version: 10, opset_import: ["": 21]>
g (float[N, 256] x) => (float[N, 256] y) <float[256, 256] w = ["fill": "normal:1"]> {
  y = MatMul (x, w)
}\`;

describe('${name}', () => {
  it('gets a file whose products run where its table says', async () => {
    const folder = mkdtempSync(join(tmpdir(), '${name}-'));
    try {
      const model = join(folder, 'net.onnx');
      writeFileSync(model, encodeModel(parseModel(NET)));
      const [report] = await compile({
        model,
        targets: [${identifier}],
        precision: 'int8-dynamic',
        out: join(folder, 'out'),
        cache: false,
      });
      assert.equal(report?.proof.status, 'passed');
      assert.deepEqual(report.proof.broken, []);
      assert.equal(report.proof.kernels['DynamicQuantizeMatMul'], 1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }).timeout(60_000);
});
`;

const observerSource = ({
  name,
  identifier,
}: ScaffoldName): string => `import type { RangeObserver } from 'quantc';

/** Elements that may be clipped at each end, as a share of all. */
const CLIPPED = 0.001;

/** Chooses ranges of activations from what calibration saw of each. Change \`range\` into what you want. */
export const ${identifier}: RangeObserver = {
  name: '${name}',
  doc: 'all but one element in a thousand at each end',
  range({ min, max, total, counts, edges }) {
    const spared = total * CLIPPED;
    let [low, high] = [0, counts.length - 1];
    for (let sum = counts[low] ?? 0; low < high && sum <= spared; sum += counts[low] ?? 0) low += 1;
    for (let sum = counts[high] ?? 0; high > low && sum <= spared; sum += counts[high] ?? 0) high -= 1;
    return { min: Math.max(min, edges[low] ?? min), max: Math.min(max, edges[high + 1] ?? max) };
  },
};
`;

const observerTest = ({ name, identifier }: ScaffoldName): string => `import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ${identifier} } from './${name}.js';

describe('${name}', () => {
  it('leaves out what is rare at the ends', () => {
    const seen = { name: 'x', min: -4, max: 4, total: 10_000, zeros: 0, edges: [-4, -2, 0, 2, 4] };
    const { min, max } = ${identifier}.range({ ...seen, counts: [1, 4999, 4990, 10] });
    assert.deepEqual([min, max], [-2, 2]);
  });

  it('keeps all where nothing is rare, and where nothing was spread', () => {
    const seen = { name: 'x', min: -1, max: 3, total: 100, zeros: 0 };
    assert.deepEqual(${identifier}.range({ ...seen, edges: [-1, 1, 3], counts: [50, 50] }), { min: -1, max: 3 });
    assert.deepEqual(${identifier}.range({ ...seen, edges: [], counts: [] }), { min: -1, max: 3 });
  });
});
`;

const plugin = ({ name }: ScaffoldName, part: string): string => `definePlugin({ name: '${name}', ${part} })`;
const placed = (own: ScaffoldName): string =>
  plugin(own, `passes: [{ pass: ${own.identifier}, after: '${ANCHOR}' }]`);

/** What is written for each kind. */
export const SCAFFOLD_TEXTS: Readonly<Record<ScaffoldKind, (own: ScaffoldName) => Scaffold>> = {
  pass: (own) => ({
    source: passSource(own),
    test: passTest(own, {
      ...{ fires: '  a = Relu (x)\n  y = Relu (a)', gone: '/Relu[\\s\\S]*Relu/' },
      ...{ left: '  a = Relu (x)\n  y = Neg (a)', kept: '/Relu[\\s\\S]*Neg/' },
    }),
    element: placed(own),
  }),
  rewrite: (own) => ({
    source: rewriteSource(own),
    test: passTest(own, {
      ...{ fires: '  a = Neg (x)\n  y = Neg (a)', gone: '/Neg/' },
      ...{ left: '  a = Neg (x)\n  y = Abs (a)', kept: '/Neg[\\s\\S]*Abs/' },
    }),
    element: placed(own),
  }),
  target: (own) => ({
    source: targetSource(own),
    test: targetTest(own),
    element: plugin(own, `targets: [${own.identifier}]`),
  }),
  observer: (own) => ({
    source: observerSource(own),
    test: observerTest(own),
    element: plugin(own, `observers: [${own.identifier}]`),
  }),
};
