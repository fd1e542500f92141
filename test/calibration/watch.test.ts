import { expect } from 'chai';
import { syntheticData, watch } from '../../src/calibration/index.js';
import { parseModel, type Value } from '../../src/index.js';

const model = parseModel(`<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 3] x) => (float[N, 3] y) <float[3] w = {1, 2, 3}> { h = Mul (x, w)  y = Relu (h) }`);

describe('watch', () => {
  it('shows inputs, constants and inner values, one sample a run', async () => {
    const data = syntheticData(model.graph.inputs).first(5);
    const [x] = model.graph.inputs;
    const [mul] = [...model.graph.nodes()];
    const values: Value[] = [x!, mul!.inputs[1]!, mul!.outputs[0]!];
    let runs = 0;
    await watch(model, values, data.rebatched(4), (seen) => {
      runs += 1;
      const [input, weight, product] = values.map((value) => seen.get(value)!.toNumbers());
      expect(input).to.have.length(3);
      product!.forEach((p, i) => {
        expect(p).to.equal(Math.fround(input![i]! * weight![i]!));
      });
    });
    expect(runs).to.equal(Math.min(5, data.count));
  });
});
