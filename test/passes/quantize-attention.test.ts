import { expect } from 'chai';
import { expectKept, quantized } from './quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>';
const dynamic = { precision: 'int8-dynamic' } as const;
const weights = 'float[128,384] w = ["fill": "normal:1:0:0.1"], float[384] b = ["fill": "normal:2:0:0.1"]';
const attention = 'com.microsoft.Attention <num_heads = 4, unidirectional = 1>';

describe('quantize-attention', () => {
  it('lets Attention quantize its input while it runs', async () => {
    const made = await quantized(
      `${head}
      g (float[N,10,128] x) => (float[N,10,128] y) <${weights}> { [only] y = ${attention} (x, w, b) }`,
      dynamic,
    );
    expect(made.row('only')).to.include({
      precision: 'int8-dynamic',
      kernel: 'QAttention',
      bytesAfter: 128 * 384,
    });
    await expectKept(made, 34);
  });

  it('keeps masks and what was seen before, and serves static int8', async () => {
    const made = await quantized(
      `${head}
      g (float[2,10,128] x, float[2,2,4,3,32] past) => (float[2,10,128] y, float[2,2,4,13,32] present) <
        ${weights}, int32[2,13] mask = {1,1,1,1,1,1,1,1,1,1,1,1,1, 1,1,1,1,1,1,1,1,1,1,1,0,0}
      > {
        [first] a, present = ${attention} (x, w, b, mask, past)
        [second] y = com.microsoft.Attention <num_heads = 4> (a, w, b)
      }`,
    );
    expect(made.count('QAttention')).to.equal(2);
    expect(made.after.graph.outputs.map(({ name }) => name)).to.deep.equal(['y', 'present']);
    await expectKept(made, 30);
  });

  it('leaves what the kernel cannot do, and says so', async () => {
    for (const [text, reason] of [
      [`${attention.replace('unidirectional', 'scale = 0.5, unidirectional')} (x, w, b)`, /knows no scale/],
      [`${attention} (x, w)`, /its bias is not optional/],
      [`${attention} (x, w, b, , , extra)`, /adds no attention bias/],
    ] as const) {
      const made = await quantized(
        `${head}
        g (float[2,10,128] x, float[2,4,10,10] extra) => (float[2,10,128] y) <${weights}> { [only] y = ${text} }`,
        dynamic,
      );
      expect(made.row('only').precision).to.equal('float');
      expect(made.row('only').reason).to.match(reason);
    }
  });
});
