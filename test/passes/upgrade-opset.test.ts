import { expect } from 'chai';
import { upgradeOpset } from '../../passes/upgrade-opset.js';
import { cloneModel, type Ledger, type Model, type Node, runPipeline, verify } from '../../src/index.js';
import { withSession } from '../../src/runtime/session.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import { feedsOf } from '../golden.js';
import { differenceOf } from '../outputs.js';
import { OLD_GRAPHS } from './old-opsets.js';

const engine = {
  inferTypes: async (model: Model) => void (await inferTypes(model)),
  evaluate: async () => new Map(),
  observe: async () => new Map(),
};

/** Runs the pass in place; the ledger tells what it noted. */
async function upgrade(
  model: Model,
): Promise<{ ledger: Ledger; facts: Map<string, unknown>; declines: string[] }> {
  const facts = new Map<string, unknown>();
  const declines: string[] = [];
  const ledger = await runPipeline(model, [upgradeOpset], {
    engine,
    facts,
    verify: true,
    onPass: (event) => declines.push(...event.declines),
  });
  return { ledger, facts, declines };
}

const nodesOf = (model: Model): Node[] =>
  [...model.graph.withSubgraphs()].flatMap((graph) => [...graph.nodes()]);

const parse = (graph: string, opset: number): Model =>
  parseModel(`<ir_version: 8, opset_import: ["" : ${opset}]>\n${graph}`);

async function run(model: Model, draw: number) {
  return withSession(model, { optimization: 'off', threads: 1 }, (session) =>
    session.run(feedsOf(model, { dims: {} }, draw)),
  );
}

describe('upgrade-opset', () => {
  describe('keeps what ONNX Runtime computes', () => {
    for (const [name, opset, graph, operators] of OLD_GRAPHS) {
      it(`${name}, from ${opset}`, async () => {
        const before = parse(graph, opset);
        const after = cloneModel(before).model;
        const { declines } = await upgrade(after);
        expect(declines).to.deep.equal([]);
        expect(after.opset).to.equal(21);
        expect(after.irVersion).to.equal(10);
        expect(verify(after)).to.deep.equal([]);
        if (operators !== undefined) {
          expect(
            nodesOf(after)
              .map((node) => node.opType)
              .join(' '),
          ).to.equal(operators);
        }
        for (const draw of [0, 1]) {
          const difference = differenceOf(await run(before, draw), await run(after, draw), {
            tolerance: 1e-6,
          });
          expect(difference).to.equal(undefined);
        }
      });
    }
  });
});
