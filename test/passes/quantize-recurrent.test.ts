import { expect } from 'chai';
import { expectKept, quantized } from './quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';
const dynamic = { precision: 'int8-dynamic' } as const;

/** Weights of an LSTM of 96 units over 80 inputs. */
const weights = (directions: number): string =>
  [
    `float[${directions},384,80] w = ["fill": "normal:1:0:0.1"]`,
    `float[${directions},384,96] r = ["fill": "normal:2:0:0.1"]`,
    `float[${directions},768] b = ["fill": "normal:3:0:0.1"]`,
  ].join(', ');

describe('quantize-recurrent', () => {
  it('lets an LSTM quantize what it reads while it runs', async () => {
    const made = await quantized(
      `${head}
      g (float[12,N,80] x) => (float[12,1,N,96] y, float[1,N,96] h, float[1,N,96] c) <${weights(1)}> {
        [only] y, h, c = LSTM <hidden_size = 96> (x, w, r, b)
      }`,
      dynamic,
    );
    expect(made.row('only')).to.include({
      precision: 'int8-dynamic',
      kernel: 'DynamicQuantizeLSTM',
      bytesBefore: 4 * 384 * 176,
      bytesAfter: 384 * 176,
    });
    expect(made.after.graph.outputs.map(({ name }) => name)).to.deep.equal(['y', 'h', 'c']);
    await expectKept(made, 34);
  });

  it('keeps directions, lengths, states, peepholes and activations', async () => {
    const made = await quantized(
      `${head}
      g (float[7,2,80] x, float[2,2,96] h, float[2,2,96] c) => (float[7,2,2,96] y) <
        ${weights(2)}, int32[2] lengths = {7, 4}, float[2,288] p = ["fill": "normal:4:0:0.1"]
      > {
        [only] y = LSTM <hidden_size = 96, direction = "bidirectional", clip = 2.5,
          activations = ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Tanh", "Relu"]> (x, w, r, b, lengths, h, c, p)
      }`,
      dynamic,
    );
    expect(made.count('DynamicQuantizeLSTM')).to.equal(1);
    await expectKept(made, 32);
  });

  it('serves static int8 too, and shares a weight between the branches that read it', async () => {
    const made = await quantized(`${head}
      g (float[6,N,80] x) => (float[1,N,96] y) <${weights(1)}> {
        zero = Constant <value_float = 0.0> ()
        axes = Constant <value_ints = [0, 1, 2]> ()
        total = ReduceSum <keepdims = 0> (x, axes)
        t = Greater (total, zero)
        [choice] y = If (t) <
          then_branch = yes () => (float[1,N,96] p) { [one] q, p = LSTM <hidden_size = 96> (x, w, r, b) },
          else_branch = no () => (float[1,N,96] s) { [two] u, v, s = LSTM <hidden_size = 96> (x, w, r) }
        >
      }`);
    for (const node of ['one', 'two']) expect(made.row(node).kernel).to.equal('DynamicQuantizeLSTM');
    const integers = [...made.after.graph.initializers].filter(
      ({ dtype, shape }) => dtype === 'int8' && shape?.length === 3,
    );
    expect(integers.map(({ shape }) => shape)).to.deep.equal([
      [1, 80, 384],
      [1, 96, 384],
    ]);
    await expectKept(made, 32);
  });

  it('leaves what is small, what is computed, and what is excluded, and says why', async () => {
    const reason = async (text: string, exclude?: () => string) => {
      const made = await quantized(`${head}\n${text}`, { ...dynamic, ...(exclude && { exclude }) });
      expect(made.count('LSTM')).to.equal(1);
      return made.row('only').reason;
    };
    const small = 'float[1,32,8] w = ["fill": "normal:1"], float[1,32,8] r = ["fill": "normal:2"]';
    const lstm = '[only] y = LSTM <hidden_size = 8> (x, w, r)';
    expect(await reason(`g (float[3,N,8] x) => (float[3,1,N,8] y) <${small}> { ${lstm} }`)).to.equal(
      'DynamicQuantizeLSTM: float is as fast with 512 weights',
    );
    expect(
      await reason(
        `g (float[3,N,8] x, float[1,32,8] w) => (float[3,1,N,8] y) <float[1,32,8] r = ["fill": "normal:2"]> { ${lstm} }`,
      ),
    ).to.equal('DynamicQuantizeLSTM: input 1 is not a constant');
    const whole = `g (float[3,N,80] x) => (float[3,1,N,96] y) <${weights(1)}> { [only] y = LSTM <hidden_size = 96> (x, w, r, b) }`;
    expect(await reason(whole, () => 'because')).to.equal('because');
  });

  it('has no kernel for a GRU: its weights alone are integers', async () => {
    const made = await quantized(
      `${head}
      g (float[12,N,80] x) => (float[12,1,N,96] y) <
        float[1,288,80] w = ["fill": "normal:1:0:0.1"], float[1,288,96] r = ["fill": "normal:2:0:0.1"]
      > { [only] y = GRU <hidden_size = 96> (x, w, r) }`,
      dynamic,
    );
    expect(made.row('only')).to.include({
      precision: 'int8-weights',
      reason: 'no integer kernel for GRU',
    });
    await expectKept(made, 34);
  });
});
