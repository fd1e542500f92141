import { expect } from 'chai';
import { sortNodes } from '../../passes/sort-nodes.js';
import { type Engine, type Graph, type Model, parseModel, runPipeline } from '../../src/index.js';

const none = {} as Engine;
const model = (body: string): Model =>
  parseModel(
    `<ir_version: 10, opset_import: ["": 21]>\ng (float[2] x, bool c) => (float[2] y) {\n${body}\n}`,
  );
const order = (graph: Graph): string[] => Array.from(graph.nodes(), (node) => node.outputs[0]!.name);

describe('sort-nodes', () => {
  it('moves a node behind what it reads, itself or in a branch, and leaves the others where they are', async () => {
    const unsorted = model(`
      z = Exp (x)
      y = Add (b, d)
      d = If (c) <
        then_branch = t () => (p) {
          p = Neg (q)
          q = Abs (a)
        },
        else_branch = e () => (r) {
          r = Exp (x)
        }
      >
      w = Exp (z)
      b = Relu (a)
      a = Neg (x)`);
    await runPipeline(unsorted, [sortNodes], { engine: none });
    expect(order(unsorted.graph)).to.deep.equal(['z', 'a', 'b', 'd', 'y', 'w']);
    const branch = [...unsorted.graph.nodes()].find((node) => node.is('If'))!.subgraph('then_branch')!;
    expect(order(branch)).to.deep.equal(['q', 'p']);
  });

  it('refuses a circle', async () => {
    const circle = model('a = Neg (b)\nb = Neg (a)\ny = Add (a, x)');
    const error = await runPipeline(circle, [sortNodes], { engine: none }).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'E_GRAPH_CYCLE');
  });

  it('sorts 100,000 nodes that come in reverse', async function () {
    this.timeout(30_000);
    const count = 100_000;
    const lines = Array.from({ length: count }, (_, at) => `v${at + 1} = Neg (${at === 0 ? 'x' : `v${at}`})`);
    const long = model([`y = Neg (v${count})`, ...lines.reverse()].join('\n'));
    await runPipeline(long, [sortNodes], { engine: none });
    const names = order(long.graph);
    expect([names[0], names.at(-1)]).to.deep.equal(['v1', 'y']);
  });
});
