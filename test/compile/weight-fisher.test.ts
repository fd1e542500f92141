import { expect } from 'chai';
import { fisherOf } from '../../src/compile/weight-fisher.js';
import { parseModel, Tensor } from '../../src/index.js';
import { inferTypes } from '../../src/runtime/types.js';
import { memoryData } from '../calibration/memory-data.js';

describe('compile/weight-fisher', () => {
  it('is, for a classifier of one layer, x²·p·(1 − p) on average', async () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["": 21]> g (float[N,2] x) => (float[N,3] y) <
      float[2,3] w = {0.5, -0.3, 0.1, 0.2, 0.4, -0.6}
    > { y = MatMul (x, w) }`);
    await inferTypes(model);
    const count = 3000;
    const data = memoryData({
      x: Tensor.of(
        'float',
        [count, 2],
        Float32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? 1 : 2)),
      ),
    });
    const weight = [...model.graph.initializers][0]!;
    const found = await fisherOf(model, [weight], data.rebatched(1));
    const logits = [0.9, 0.5, -1.1].map(Math.exp);
    const sum = logits.reduce((total, each) => total + each, 0);
    const expected = [1, 4].flatMap((square) =>
      logits.map((each) => square * (each / sum) * (1 - each / sum)),
    );
    const fisher = (found as ReadonlyMap<typeof weight, Float64Array>).get(weight)!;
    expected.forEach((value, at) => {
      expect(fisher[at]! / value).to.be.within(0.9, 1.1);
    });
  });

  it('tells why there is none', async () => {
    const model =
      parseModel(`<ir_version: 10, opset_import: ["": 21]> g (float[N,2] x) => (float[N,3] y, float[N,3] z) <
      float[2,3] w = {0.5, -0.3, 0.1, 0.2, 0.4, -0.6}
    > { y = MatMul (x, w) z = Relu (y) }`);
    await inferTypes(model);
    const data = memoryData({ x: Tensor.of('float', [2, 2], new Float32Array(4)) });
    expect(await fisherOf(model, [...model.graph.initializers], data)).to.contain('no distributions');
  });
});
