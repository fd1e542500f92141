import { expect } from 'chai';
import { type ExplainRequest, explain } from '../../src/explain.js';
import { sharedPath } from '../shared.js';

type Request = Omit<ExplainRequest, 'model'>;

/** Models that no NPU takes as they are, with what makes them whole. */
const CASES: readonly (readonly [name: string, request: Request])[] = [
  [
    'silero-vad',
    { dims: { 'input:1': 576, 'state:1': 1 }, fix: { sr: 16000 }, target: 'npu-qnn', precision: 'a16w8' },
  ],
  ['silero-vad', { dims: { 'input:1': 576, 'state:1': 1 }, fix: { sr: 16000 }, target: 'npu-coreml' }],
  ['nsnet2-gru', { dims: { T: 4 }, target: 'npu-qnn', precision: 'a8w8' }],
  ['nsnet2-gru', { dims: { T: 4 }, target: 'npu-coreml' }],
  ['magika', { target: 'npu-coreml' }],
  ['style-starry', { dims: { H: 64, W: 64 }, target: 'npu-coreml' }],
];

describe('legalization of shared models', () => {
  for (const [name, request] of CASES) {
    it(`${name} is wholly taken by ${request.target}`, async function () {
      const model = sharedPath('models', name, 'model.onnx');
      if (model === undefined) return this.skip();
      const { verdict } = await explain({ model, ...request });
      expect(verdict!.breaks.map(({ rule }) => rule)).to.deep.equal([]);
      expect([verdict!.coverage, verdict!.partitions.length]).to.deep.equal([1, 1]);
    });
  }

  it('leaves a recurrent node of more steps than the limit, and says why', async function () {
    const model = sharedPath('models', 'nsnet2-gru', 'model.onnx');
    if (model === undefined) return this.skip();
    const { verdict } = await explain({ model, dims: { T: 4 }, unroll: 3, target: 'npu-coreml' });
    expect(verdict!.breaks.some(({ rule }) => rule === 'coreml/operator')).to.equal(true);
  });
});
