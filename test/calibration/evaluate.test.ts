import { expect } from 'chai';
import { openData } from '../../src/calibration/data.js';
import type { Batch } from '../../src/calibration/dataset.js';
import { type Evaluation, evaluate, evaluatorFor } from '../../src/calibration/evaluate.js';
import type { Metric } from '../../src/calibration/manifest.js';
import { QuantcError } from '../../src/errors/error.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readModel } from '../../src/onnx/read.js';
import { withSession } from '../../src/runtime/session.js';
import { sharedPath } from '../shared.js';
import { memoryData } from './memory-data.js';

const batch = (feeds: Batch['feeds'], count: number, padding = 0, start = 0): Batch => ({
  feeds,
  start,
  count,
  padding,
});
const x = Tensor.floats(Array(8).fill(0), [8, 1]);

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof QuantcError) return error.code;
    throw error;
  }
  return 'none';
};

describe('evaluate', () => {
  it('counts right answers, the first of equal scores, and none for NaN or padding', () => {
    const data = memoryData({ x }, { labels: [2, 0, 1, 0, 0, 0, 0, 0] });
    const evaluator = evaluatorFor(data);
    expect(evaluator.metric).to.equal('top1');
    const scores = Tensor.floats([0, 1, 5, 3, 3, 0, 9, 1, 0, Number.NaN, 1, 0, 9, 0, 0], [5, 3]);
    evaluator.add(batch({ x }, 4, 1), { ids: Tensor.ints([1, 2]), scores });
    expect(evaluator.evaluation()).to.deep.equal({ metric: 'top1', value: 0.5, samples: 4 });
  });

  it('takes perplexity from the next tokens', () => {
    const evaluator = evaluatorFor(memoryData({ x }), 'perplexity');
    const ids = Tensor.ints([0, 2, 1, 1, 0, 0], [2, 3]);
    const logits = Tensor.floats(
      Array.from({ length: 18 }, (_, i) => ((i * 7) % 5) - 2 + (i > 9 ? 80 : 0)),
      [2, 3, 3],
    );
    evaluator.add(batch({ mask: Tensor.ints([1]), ids }, 2), { logits });
    let loss = 0;
    const [tokens, values] = [ids.toNumbers(), logits.toNumbers()];
    for (const at of [0, 1, 3, 4]) {
      const row = values.slice(at * 3, at * 3 + 3);
      const shifted = row.map((each) => Math.exp(each - 70));
      loss -= Math.log(shifted[tokens[at + 1]!]! / shifted.reduce((a, b) => a + b));
    }
    expect(evaluator.evaluation().value).to.be.closeTo(Math.exp(loss / 4), 1e-9);
    const masked = evaluatorFor(memoryData({ x }), 'perplexity');
    const attention_mask = Tensor.ints([1, 1, 0, 1, 0, 0], [2, 3]);
    masked.add(batch({ input_ids: ids, attention_mask }, 2), { logits });
    const first = values.slice(0, 3).map((each) => Math.exp(each));
    const only = first.reduce((a, b) => a + b) / first[2]!;
    expect(masked.evaluation().value, 'padding is not predicted').to.be.closeTo(only, 1e-9);
  });

  it('takes SQNR over all float outputs and feeds, padding left out', () => {
    const evaluator = evaluatorFor(memoryData({ x }));
    expect(evaluator.metric).to.equal('sqnr');
    const [a, b] = [Tensor.floats([3, 4, 100], [3, 1]), Tensor.floats([3, 4.5, 0], [3, 1])];
    const count = Tensor.ints([1]);
    evaluator.add(batch({ x }, 2, 1), { a: b, count }, { a, count: Tensor.ints([9]) });
    evaluator.add(batch({ x }, 3), { a: Tensor.floats([0]) }, { a: Tensor.floats([0]) });
    expect(evaluator.evaluation().value).to.be.closeTo(10 * Math.log10(25 / 0.25), 1e-9);
    const equal = evaluatorFor(memoryData({ x }), 'sqnr');
    equal.add(batch({ x }, 3), { a }, { a });
    expect(equal.evaluation().value).to.equal(Number.POSITIVE_INFINITY);
  });

  it('refuses outputs of another form', () => {
    const data = memoryData({ x }, { labels: Array(8).fill(0) });
    const add = (metric: Metric, outputs: Record<string, Tensor>, reference?: Record<string, Tensor>) =>
      codeOf(() => evaluatorFor(data, metric).add(batch({ x }, 8), outputs, reference));
    expect(add('top1', { y: Tensor.floats([1, 2]) })).to.equal('E_EVAL_OUTPUT');
    expect(add('perplexity', { y: x })).to.equal('E_EVAL_OUTPUT');
    expect(add('sqnr', { y: x })).to.equal('E_EVAL_REFERENCE');
    expect(add('sqnr', {}, { y: x })).to.equal('E_EVAL_OUTPUT');
    expect(codeOf(() => evaluatorFor(memoryData({ x }), 'top1'))).to.equal('E_EVAL_LABELS');
    expect(codeOf(() => evaluatorFor(data).evaluation())).to.equal('E_EVAL_EMPTY');
  });

  /** Opens, runs and scores the first samples of a shared model. */
  const score = async (name: string, samples: number): Promise<Evaluation | undefined> => {
    const folder = sharedPath('models', name);
    if (folder === undefined) return undefined;
    const model = await readModel(`${folder}/model.onnx`);
    const data = (await openData(folder, 'eval', model.graph.inputs)).first(samples);
    return withSession(`${folder}/model.onnx`, {}, (session) =>
      withSession(`${folder}/model.onnx`, { optimization: 'off' }, (reference) =>
        evaluate(session, data, { reference }),
      ),
    );
  };

  it('scores the shared models as their makers do', async function () {
    const expected: readonly [string, number, Metric, number, number][] = [
      ['mnist-opset8', 200, 'top1', 0.95, 1],
      ['resnet20-cifar', 200, 'top1', 0.7, 0.95],
      ['resnet8-tiny', 200, 'top1', 0.6, 0.95],
      ['magika', 16, 'top1', 1, 1],
      ['kwt1-keyword', 40, 'top1', 0.6, 1],
      ['stories260k', 12, 'perplexity', 2.5, 4.5],
      ['silero-vad', 12, 'sqnr', 60, Number.POSITIVE_INFINITY],
      ['nsnet2-gru', 4, 'sqnr', 60, Number.POSITIVE_INFINITY],
      ['espcn-x3', 2, 'sqnr', 60, Number.POSITIVE_INFINITY],
    ];
    for (const [name, samples, metric, low, high] of expected) {
      const evaluation = await score(name, samples);
      if (evaluation === undefined) return this.skip();
      expect([evaluation.metric, evaluation.samples], name).to.deep.equal([metric, samples]);
      expect(evaluation.value, name).to.be.within(low, high);
    }
  });
});
