/** The opset upgrade on ONNX's backend suite and on real models: outputs before and after, and none left behind. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { OPERATORS } from '../../passes/upgrade-opset/operators.js';
import { cloneModel, type Model, QuantcError, type Tensor } from '../../src/index.js';
import { decodeTensor, readModel } from '../../src/onnx/read.js';
import { differenceOf } from '../../src/testing/closeness.js';
import { drawnFeeds } from '../../src/testing/index.js';
import { filledTensor } from '../../src/text/fill.js';
import type { CaseConfig } from '../golden.js';
import { sharedPath } from '../shared.js';
import { runModel, upgrade } from './upgrading.js';

/** Inputs that real models need to be drawn otherwise than by default. */
const MODELS: Readonly<Record<string, CaseConfig & { shapes?: Record<string, number[]> }>> = {
  'bert-tiny-messy': {
    inputs: { token_type_ids: 'zeros', attention_mask: 'ones', input_ids: 'uniform:1:0:19' },
  },
  'espcn-x3': { dims: { N: 1 } },
  'kwt1-keyword': { dims: { N: 1 } },
  mobilenetv2: { dims: { N: 1 } },
  'ppocr-det': { dims: { '?': 64 } },
  'silero-vad': { inputs: { sr: 'constant:16000' }, shapes: { input: [1, 512], state: [2, 1, 128] } },
  'style-starry': { dims: { N: 1, H: 64, W: 64 } },
};

function feedsFor(name: string, model: Model): Record<string, Tensor> {
  const { shapes = {}, ...config } = MODELS[name] ?? {};
  const feeds = drawnFeeds(model, config, 0);
  for (const [input, shape] of Object.entries(shapes))
    feeds[input] = filledTensor('float', shape, 'normal:1', input)!;
  return feeds;
}

function feedsOfSet(model: Model, folder: string): Record<string, Tensor> | undefined {
  const feeds: Record<string, Tensor> = {};
  for (const [index, input] of model.graph.inputs.filter((each) => each.constant === undefined).entries()) {
    const file = join(folder, `input_${index}.pb`);
    // Sequences and optionals have no file.
    if (!existsSync(file)) return undefined;
    feeds[input.name] = decodeTensor(readFileSync(file));
  }
  return feeds;
}

/** What a model answers, or undefined where ONNX Runtime does not run it. */
async function answers(model: Model, feeds: Record<string, Tensor>) {
  return runModel(model, feeds).catch((error: unknown) => {
    if (error instanceof QuantcError && error.code.startsWith('E_RUNTIME_')) return undefined;
    throw error;
  });
}

describe('upgrade-opset on models', () => {
  const suite = sharedPath('onnx-suite');
  const models = sharedPath('models');

  it("the backend suite's models come to 21 with equal outputs, or stay as they are", async function () {
    if (suite === undefined) return this.skip();
    this.timeout(240_000);
    const count = { raised: 0, lowered: 0, kept: 0, compared: 0 };
    const problems: string[] = [];
    for (const name of readdirSync(suite)) {
      const file = join(suite, name, 'model.onnx');
      if (!existsSync(file)) continue;
      const before = readModel(file);
      const after = cloneModel(before).model;
      const { declines } = await upgrade(after);
      if (declines.length > 0) {
        count.kept += 1;
        if (before.opset < 21 || after.opset !== before.opset) problems.push(`${name}: ${declines[0]}`);
        continue;
      }
      count[before.opset > 21 ? 'lowered' : 'raised'] += 1;
      const feeds = feedsOfSet(before, join(suite, name, 'test_data_set_0'));
      const expected = feeds && (await answers(before, feeds));
      // Bernoulli draws anew in every run.
      if (feeds === undefined || expected === undefined || /bernoulli/.test(name)) continue;
      const found = await answers(after, feeds);
      const difference = found ? differenceOf(expected, found, { tolerance: 1e-6 }) : 'it no longer runs';
      if (difference !== undefined) problems.push(`${name}: ${difference}`);
      count.compared += 1;
    }
    console.log(`      ${JSON.stringify(count)}`);
    expect(problems).to.deep.equal([]);
    expect(count.compared).to.be.greaterThan(600);
  });

  it('every operator of the suite is in the table, at the version that uses it or before', function () {
    if (suite === undefined) return this.skip();
    const unknown = new Set<string>();
    for (const name of readdirSync(suite)) {
      const file = join(suite, name, 'model.onnx');
      if (!existsSync(file)) continue;
      const model = readModel(file);
      for (const graph of model.graph.withSubgraphs()) {
        for (const node of graph.nodes()) {
          const first = OPERATORS[node.opType]?.[0];
          const since = typeof first === 'number' ? first : first?.version;
          const isCall = model.functions.some((each) => node.is(each.name, each.domain));
          if (node.domain === '' && !isCall && !(since! <= model.opset)) unknown.add(node.opType);
        }
      }
    }
    expect([...unknown]).to.deep.equal([]);
  });

  for (const name of models === undefined ? [] : readdirSync(models)) {
    const file = join(models!, name, 'model.onnx');
    if (!existsSync(file)) continue;
    it(`${name} computes bit for bit the same`, async function () {
      this.timeout(60_000);
      const before = readModel(file);
      const after = cloneModel(before).model;
      const { declines } = await upgrade(after);
      expect(declines).to.deep.equal([]);
      expect(after.opset).to.equal(21);
      const feeds = feedsFor(name, before);
      const difference = differenceOf(await runModel(before, feeds), await runModel(after, feeds), {
        tolerance: 0,
      });
      expect(difference).to.equal(undefined);
    });
  }
});
