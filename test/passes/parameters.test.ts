import { expect } from 'chai';
import { placementOf, planStatic, rangeOf, type Target, type TargetRow } from '../../src/index.js';
import { encodeModel } from '../../src/onnx/encode.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { parseModel } from '../../src/text/parse.js';
import { eager, type Quantized, quantized } from './quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';
const same = '<pads = [1, 1, 1, 1]>';

/** `eager`, with some of its rows as another executor would have them. */
const having = (change: (row: TargetRow) => Partial<TargetRow>, more: Partial<Target> = {}): Target => ({
  ...eager,
  ...more,
  name: 'other',
  rows: eager.rows.map((row) => ({ ...row, ...change(row) })),
});

/** Scale and zero point of each QuantizeLinear, by the value that it quantizes. */
function gridsOf({ after }: Quantized): Record<string, [dtype: string, scale: number, zero: number]> {
  const pairs = [...after.graph.nodes()]
    .filter((node) => node.is('QuantizeLinear'))
    .map(({ inputs: [value, scale, zero] }) => {
      const { dtype } = zero!.constant!;
      return [value!.name, [dtype, scale!.constant!.toNumbers()[0], zero!.constant!.toNumbers()[0]]];
    });
  return Object.fromEntries(pairs);
}

async function likeness({ before, after, data }: Quantized): Promise<number> {
  const session = { threads: 1 };
  const compared = await compareOutputs(encodeModel(before), encodeModel(after), data, {
    reference: session,
    candidate: session,
  });
  return Math.min(...compared.map(({ sqnr }) => sqnr));
}

const CONCAT = `${head}
  g (float[N,8,12,12] x) => (float[N,8,12,12] y) <
    float[8,8,3,3] w = ["fill": "normal:1:0:0.1"], float[4,8,1,1] v = ["fill": "normal:3:0:1.5"],
    float[8,12,1,1] u = ["fill": "normal:4:0:0.3"]
  > {
    [first] a = Conv ${same} (x, w)
    [second] c = Conv (a, v)
    [both] s = Concat <axis = 1> (a, c)
    [last] y = Conv (s, u)
  }`;

describe('parameters that a target asks for', () => {
  it('have one scale for all that a sharing kernel joins, wide enough for each', async () => {
    const sharing = having(({ op }) => (op === 'Concat' ? { output: 'shared' } : {}));
    const made = await quantized(CONCAT, { target: sharing });
    const { a, c, s, x } = gridsOf(made);
    expect(a).to.deep.equal(c);
    expect(s).to.deep.equal(a);
    expect(x).not.to.deep.equal(a);
    expect(await likeness(made)).to.be.above(25);
    const own = gridsOf(await quantized(CONCAT));
    expect(own['a']).not.to.deep.equal(own['c']);
    expect(a![1]).to.equal(Math.max(own['a']![1], own['c']![1], own['s']![1]));
  });

  it('share across kernels that only move bytes, and hold the fixed range of what is joined', () => {
    const typed = parseModel(`${head}
      g (float[1,8,4,4] x) => (float[1,8,4,4] y) <
        float[8,8,3,3] w = ["fill": "normal:1"], float[8,24,1,1] u = ["fill": "normal:4"],
        float[1,8,4,4] a, float[1,8,4,4] g, float[1,8,4,4] t, float[1,24,4,4] s
      > {
        [first] a = Conv ${same} (x, w)
        [gate] g = Sigmoid (a)
        [turn] t = Transpose <perm = [0, 1, 3, 2]> (a)
        [all] s = Concat <axis = 1> (g, t, x)
        [last] y = Conv (s, u)
      }`);
    const sharing = having(({ op }) => (op === 'Concat' ? { output: 'shared' } : {}));
    const { values } = placementOf(planStatic(typed.graph, sharing));
    const named = new Map([...values].map(([value, parameters]) => [value.name, parameters]));
    const ranges = new Map([...values.keys()].map((value, i) => [value, { min: -i, max: 0.1 * i }]));
    const [one] = [named.get('s')!];
    for (const name of ['a', 'g', 't', 'x']) expect(named.get(name), name).to.deep.equal(one);
    expect(named.get('y')).to.include({ kind: 'range' });
    // Sigmoid reaches 1, whatever else is joined.
    expect(rangeOf(one, ranges)).to.deep.equal({ min: -4, max: 1 });
    expect(rangeOf(one, new Map())).to.equal(undefined);
  });

  it('do not share with a constant', async () => {
    const sharing = having(({ op }) => (op === 'Add' ? { output: 'shared' } : {}));
    const text = CONCAT.replace('[both] s = Concat <axis = 1> (a, c)', '[both] s = Add (a, k)')
      .replace('float[8,12,1,1] u', 'float[1,8,1,1] k = ["fill": "normal:7"], float[8,8,1,1] u')
      .replace('[second] c = Conv (a, v)\n', '');
    expect((await quantized(text, { target: sharing })).row('both').reason).to.match(
      /^it would share parameters with the constant/,
    );
  });

  it('are fixed where a kernel always ends in the same range', async () => {
    const tanh: TargetRow = {
      op: 'Tanh',
      kernel: 'Tanh',
      inputs: ['activation'],
      output: { min: -1, max: 1 },
      kind: 'follow',
    };
    const made = await quantized(
      CONCAT.replace('[second] c = Conv (a, v)', '[mid] m = Tanh (a)\n [second] c = Conv (m, v)'),
      {
        target: { ...eager, name: 'other', rows: [...eager.rows, tanh] },
      },
    );
    const [dtype, scale, zero] = gridsOf(made)['m']!;
    expect(dtype).to.equal('uint8');
    expect(zero).to.be.within(127, 128);
    expect(scale).to.be.closeTo(2 / 255, 1e-8);
  });
});

describe('activations of 16 bits', () => {
  const wide = (
    names: readonly string[],
    rows: readonly string[] = ['Conv', 'Concat', 'Relu', 'Transpose'],
  ): Target =>
    having(({ op }) => ({ wide: rows.includes(op) }), {
      activation: {
        ...eager.activation,
        wide: { dtype: 'uint16', symmetric: false },
        wantsWide: (node) => names.includes(node.name),
      },
    });

  it('are as much nearer to float as their steps are finer', async () => {
    const narrow = await quantized(CONCAT);
    const all = await quantized(CONCAT, { target: wide(['first', 'second', 'both', 'last']) });
    expect(Object.values(gridsOf(all)).map(([dtype]) => dtype)).to.deep.equal(Array(5).fill('uint16'));
    expect(all.row('first').precision).to.equal('w8a16');
    // What is left is the error of the weights.
    expect(await likeness(all)).to.be.above((await likeness(narrow)) + 2);
  });

  it('meet those of 8 bits in a second pair', async () => {
    const made = await quantized(CONCAT, { target: wide(['first', 'last']) });
    const grids = gridsOf(made);
    expect([grids['x']![0], grids['a']![0]]).to.deep.equal(['uint16', 'uint16']);
    // What the first gives has 16 bits, and 8 for those who read it so; what the concatenation gives the other way round.
    expect(grids['a_dequantized']![0]).to.equal('uint8');
    expect(grids['s']![0]).to.equal('uint8');
    expect(grids['s_dequantized']![0]).to.equal('uint16');
    expect(await likeness(made)).to.be.above(25);
  });

  it('follow bytes that are only moved', async () => {
    const text = CONCAT.replace(
      '[second] c = Conv (a, v)',
      '[turn] t = Transpose <perm = [0, 1, 3, 2]> (a)\n [second] c = Conv (t, v)',
    );
    const made = await quantized(text, { target: wide(['first', 'second', 'both', 'last']) });
    expect(made.row('turn').precision).to.equal('w8a16');
    expect(gridsOf(made)['t']).to.deep.equal(gridsOf(made)['a']);
  });

  it('are declined, with the reason, where the kernel has none', async () => {
    const made = await quantized(CONCAT, { target: wide(['first', 'last'], ['Conv'].slice(1)) });
    expect(made.row('first')).to.include({
      precision: 'int8',
      reason: 'activations of 16 bits were asked for, but QLinearConv takes 8',
    });
    expect(Object.values(gridsOf(made)).every(([dtype]) => dtype === 'uint8')).to.equal(true);
  });
});

describe('scales of weights', () => {
  const GEMM = `${head}
    g (float[N,64] x) => (float[N,24] y) <
      float[64,24] w = ["fill": "normal:1:0:0.1"], float[24] b = ["fill": "normal:2"]
    > { [only] y = Gemm (x, w, b) }`;
  const scaleOf = ({ after }: Quantized): readonly number[] => {
    const node = [...after.graph.nodes()].find((each) => each.is('Gemm'))!;
    return node.inputs[1]!.producer!.inputs[1]!.constant!.shape;
  };

  it('lie as the row says: one a channel, one for all, one a block', async () => {
    const channels = await quantized(GEMM);
    expect(scaleOf(channels)).to.deep.equal([24]);
    const tensor = await quantized(GEMM, { target: having(() => ({ weightAxis: () => undefined })) });
    expect(scaleOf(tensor)).to.deep.equal([]);
    const blocks = await quantized(GEMM, {
      target: having(() => ({ weightBlock: () => ({ axis: 0, size: 16 }) })),
    });
    expect(scaleOf(blocks)).to.deep.equal([4, 24]);
    const gemm = [...blocks.after.graph.nodes()].find((each) => each.is('Gemm'))!;
    expect(gemm.inputs[2]!.constant!.dtype).to.equal('float');
    const likenesses = [await likeness(tensor), await likeness(channels), await likeness(blocks)];
    expect(likenesses[0]).to.be.above(25);
    expect(likenesses[1]).to.be.above(likenesses[0]!);
    expect(likenesses[2]).to.be.above(likenesses[1]! - 1);
  });
});
