import { expect } from 'chai';
import { inlineFunctions } from '../../passes/inline-functions.js';
import { type Model, runPipeline, verify } from '../../src/index.js';
import { parseModel } from '../../src/text/parse.js';
import { printModel } from '../../src/text/print.js';

async function inline(text: string): Promise<{ model: Model; declines: string[] }> {
  const model = parseModel(`<ir_version: 10, opset_import: ["": 21, "own": 1]>\n${text}`);
  const declines: string[] = [];
  await runPipeline(model, [inlineFunctions], {
    engine: { inferTypes: async () => {}, evaluate: async () => new Map(), observe: async () => new Map() },
    verify: true,
    onPass: (event) => declines.push(...event.declines),
  });
  return { model, declines };
}

/** A chain of functions, each of which calls the next `times` times. */
function tower(height: number, times: number): string {
  const floors = Array.from({ length: height }, (_, floor) => {
    const next = floor + 1 === height ? 'Neg' : `own.f${floor + 1}`;
    const calls = Array.from({ length: times }, (_, i) => `v${i + 1} = ${next} (v${i})`);
    return `<domain: "own", opset_import: ["": 21, "own": 1]> f${floor} (v0) => (v${times}) { ${calls.join('\n')} }`;
  });
  return `g (float[2] x) => (float[2] y) { y = own.f0 (x) }\n${floors.join('\n')}`;
}

describe('inline-functions', () => {
  it('follows calls inside functions, and drops functions that nothing calls any more', async () => {
    const { model, declines } = await inline(tower(5, 2));
    expect(declines).to.deep.equal([]);
    expect([...model.graph.nodes()].map((node) => node.opType)).to.deep.equal(new Array(32).fill('Neg'));
    expect(model.functions).to.deep.equal([]);
  });

  it('leaves calls whose functions would grow without bound', async () => {
    const { model, declines } = await inline(tower(30, 2));
    expect(declines.join('\n')).to.match(/beyond 1000000 nodes/);
    expect(model.graph.nodeCount).to.equal(1);
    expect(model.functions).to.have.lengthOf(30);
  });

  it('leaves calls that nest too deep', async () => {
    const { declines } = await inline(tower(300, 1));
    expect(declines.join('\n')).to.match(/nest deeper than 256/);
  });

  it('imports the domains that a body uses', async () => {
    const { model } = await inline(`g (float[2] x) => (float[2] y) { y = own.f (x) }
      <domain: "own", opset_import: ["": 21, "com.microsoft": 1]> f (x) => (y) { y = com.microsoft.QuickGelu (x) }`);
    expect(model.opsets.get('com.microsoft')).to.equal(1);
    expect(verify(model)).to.deep.equal([]);
  });

  it('leaves out attributes that a call does not give', async () => {
    const { model } = await inline(`g (float[2] x) => (float[2] y) { y = own.f (x) }
      <domain: "own", opset_import: ["": 21]> f <alpha> (x) => (y) { y = LeakyRelu <alpha: float = @alpha> (x) }`);
    expect(model.graph.first!.attributes.size).to.equal(0);
  });

  it('names nodes after the call, and copies subgraphs so that two calls share nothing', async () => {
    const { model } =
      await inline(`g (bool c, float[2] x) => (float[2] y) { [one] m = own.f (c, x) [two] y = own.f (c, m) }
      <domain: "own", opset_import: ["": 21]> f (c, x) => (y) {
        [choice] y = If (c) <
          then_branch = t () => (a) { k = Constant <value_float = 2.0> () a = Mul (x, k) },
          else_branch = e () => (b) { b = Neg (x) }
        >
      }`);
    const nodes = [...model.graph.nodes()];
    expect(nodes.map((node) => node.name)).to.deep.equal(['one/choice', 'two/choice']);
    expect(verify(model)).to.deep.equal([]);
    expect(parseModel(printModel(model)).graph.nodeCount).to.equal(2);
  });
});
