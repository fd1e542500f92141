import { expect } from 'chai';
import { canonicalization } from '../../passes/index.js';
import {
  cloneModel,
  type Engine,
  type Model,
  printModel,
  runPipeline,
  Tensor,
  verify,
} from '../../src/index.js';
import { evaluate } from '../../src/runtime/fold.js';
import { withSession } from '../../src/runtime/session.js';
import { inferTypes } from '../../src/runtime/types.js';
import { randomIntegers, randomModel } from './random-graph.js';

const engine: Engine = {
  inferTypes: async (model) => void (await inferTypes(model)),
  evaluate,
  observe: () => Promise.reject(new Error('nothing is calibrated here')),
};

const run = (model: Model, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> =>
  withSession(model, { optimization: 'off', threads: 1 }, (session) => session.run(feeds));

const transposesIn = (model: Model): number => {
  let count = 0;
  for (const graph of model.graphs()) for (const node of graph.nodes()) if (node.is('Transpose')) count += 1;
  return count;
};

/** More graphs, for a long look: QUANTC_RANDOM_GRAPHS=5000. */
const graphs = Number(process.env['QUANTC_RANDOM_GRAPHS'] ?? 60);

describe('canonicalization of random graphs', () => {
  it(`keeps the outputs of ${graphs} graphs, and never adds a Transpose`, async function () {
    this.timeout(0);
    let refused = 0;
    for (let seed = 1; seed <= graphs; seed++) {
      const original = randomModel(seed * 7919, 4 + (seed % 24));
      expect(verify(original), `seed ${seed}`).to.deep.equal([]);
      const { model } = cloneModel(original);
      const pick = randomIntegers(seed);
      const feeds = Object.fromEntries(
        original.graph.inputs.map(({ name, shape }) => {
          const sizes = shape!.map((dim) => (typeof dim === 'number' ? dim : 2));
          const count = sizes.reduce((product, size) => product * size, 1);
          return [
            name,
            Tensor.floats(
              Array.from({ length: count }, () => (pick(33) - 16) / 8),
              sizes,
            ),
          ];
        }),
      );
      // ONNX Runtime loses casts that only a nested branch reads; such a graph has nothing to be compared with.
      const expected = await run(original, feeds).catch(() => undefined);
      if (expected === undefined) {
        refused += 1;
        continue;
      }
      let transposes = transposesIn(model);
      await runPipeline(model, canonicalization, {
        engine,
        verify: true,
        onPass: (event, now) => {
          const count = transposesIn(now);
          expect(count, `Transposes after ${event.pass}, seed ${seed}`).to.be.at.most(transposes);
          transposes = count;
        },
      });
      const found = await run(model, feeds).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${String(error)}\n${printModel(original)}\n${printModel(model)}`);
      });
      for (const [name, tensor] of Object.entries(expected)) {
        expect(found[name]!.shape, `shape of ${name}, seed ${seed}`).to.deep.equal(tensor.shape);
        const [a, b] = [tensor.toFloat32(), found[name]!.toFloat32()];
        const worst = a.reduce((most, value, at) => {
          const apart = value === b[at] ? 0 : Math.abs(value - b[at]!) / Math.max(1, Math.abs(value));
          return Number.isNaN(apart) && !(Number.isNaN(value) && Number.isNaN(b[at]))
            ? 1 / 0
            : Math.max(most, apart || 0);
        }, 0);
        expect(worst, `${name}, seed ${seed}\n${printModel(original)}\n${printModel(model)}`).to.be.below(
          1e-4,
        );
      }
    }
    expect(refused, 'graphs that ONNX Runtime refuses').to.be.below(Math.max(4, graphs / 10));
  });
});
