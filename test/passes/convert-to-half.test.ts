import { expect } from 'chai';
import { convertToHalf } from '../../passes/convert-to-half.js';
import { watch } from '../../src/calibration/watch.js';
import {
  type Engine,
  type HalfType,
  halfFact,
  type Model,
  runPipeline,
  targetFact,
  verify,
} from '../../src/index.js';
import { Ledger } from '../../src/pipeline/ledger.js';
import { createEngine } from '../../src/runtime/engine.js';
import { filledTensor } from '../../src/text/fill.js';
import { parseModel } from '../../src/text/parse.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { memoryData } from '../calibration/memory-data.js';
import { expectKept, type Options, quantized } from './quantizing.js';

const model = (signature: string, initializers: string, body: string): string =>
  `<ir_version: 10, opset_import: ["": 21]> g ${signature} < ${initializers} > { ${body} }`;

const half: Options = { precision: 'fp16', half: { dtype: 'float16', interfaces: false } };

const operators = (converted: Model): string[] => [...converted.graph.nodes()].map(({ opType }) => opType);

interface Asked {
  readonly interfaces?: boolean;
  readonly dtype?: HalfType;
  readonly halves?: readonly HalfType[];
  readonly engine?: Engine;
}

async function converted(text: string, asked: Asked = {}) {
  const { interfaces = false, dtype = 'float16', halves = [dtype], engine = createEngine() } = asked;
  const parsed = parseModel(text);
  const facts = new Map<string, unknown>();
  targetFact.set({ facts }, { ...cpuX64Vnni, halves });
  halfFact.set({ facts }, { dtype, interfaces });
  const ledger = new Ledger();
  await runPipeline(parsed, [convertToHalf], { engine, ledger, facts, verify: true });
  expect(verify(parsed)).to.deep.equal([]);
  const row = (node: string) => ledger.rows.find((each) => each.node === node);
  return { model: parsed, row, reason: (node: string) => row(node)?.reason };
}

const perceptron = model(
  '(float[N,16] x) => (float[N,8] y)',
  'float[16,12] w = ["fill": "normal:1:0:0.3"], float[12] b = ["fill": "normal:2"], float[12,8] v = ["fill": "normal:3:0:0.3"]',
  '[first] h = MatMul(x, w) [bias] c = Add(h, b) [act] a = Relu(c) [second] y = MatMul(a, v)',
);

describe('passes/convert-to-half', () => {
  it('computes in float16 between a float input and a float output, and answers alike', async () => {
    const result = await quantized(perceptron, { ...half });
    expect(operators(result.after)).to.deep.equal(['Cast', 'MatMul', 'Add', 'Relu', 'MatMul', 'Cast']);
    expect(result.after.graph.inputs[0]!.dtype).to.equal('float');
    expect(result.after.graph.outputs.map(({ name, dtype }) => [name, dtype])).to.deep.equal([
      ['y', 'float'],
    ]);
    expect(result.row('first').precision).to.equal('float16');
    await expectKept(result, 50);
  });

  it('changes the interfaces where it is asked to', async () => {
    const { model: made } = await converted(perceptron, { interfaces: true });
    expect(operators(made)).to.deep.equal(['MatMul', 'Add', 'Relu', 'MatMul']);
    expect(made.graph.inputs[0]!.dtype).to.equal('float16');
    expect(made.graph.outputs[0]!.dtype).to.equal('float16');
  });

  it('keeps the statistics of a norm and Softmax in float', async () => {
    const text = model(
      '(float[N,32] x) => (float[N,32] y)',
      'float two = {2.0}, float eps = {1e-6}, float[32] g = ["fill": "normal:4"], int64[1] last = {-1}',
      `[power] p = Pow(x, two) [mean] m = ReduceMean(p, last) [eps] e = Add(m, eps) [root] r = Sqrt(e)
       [norm] n = Div(x, r) [scale] s = Mul(n, g) [soft] y = Softmax <axis = -1> (s)`,
    );
    const result = await quantized(text, { ...half });
    for (const node of ['power', 'mean', 'root', 'soft']) {
      expect(result.row(node), node).to.include({ precision: 'float' });
      expect(result.row(node).reason, node).to.contain('protected');
    }
    expect(result.row('scale').precision).to.equal('float16');
    await expectKept(result, 45);
  });

  it('leaves float what reads constants that do not fit, and arithmetic behind them', async () => {
    const mask = model(
      '(bool[N,N] later, float[N,N] scores) => (float[N,N] y)',
      'float far = {-1000000000.0}, float none = {0.0}, float tiny = {1e-12}',
      `[where] m = Where(later, far, none) [add] s = Add(scores, m) [tiny] t = Add(s, tiny)
       [soft] p = Softmax <axis = -1> (t) [last] y = Relu(p)`,
    );
    const { model: made, reason } = await converted(mask);
    expect(reason('where')).to.contain('far does not fit: 1.00e+9 is beyond float16');
    expect(reason('add')).to.contain('may be too large');
    expect(reason('tiny')).to.match(/would become 0/);
    expect(reason('last')).to.equal(undefined);
    const floats = [...made.graph.nodes()].filter(({ outputs }) => outputs[0]!.dtype === 'float');
    expect(floats.map(({ opType }) => opType)).to.include.members(['Where', 'Add', 'Softmax']);
  });

  it('computes angles in float from where positions become float', async () => {
    const rotary = model(
      '(int64[N] positions, float[N,8] x) => (float[N,8] y)',
      'float[1,8] frequencies = ["fill": "uniform:5:0:1"], int64[1] one = {1}',
      `[cast] f = Cast <to = 1> (positions) [column] c = Unsqueeze(f, one) [angles] a = MatMul(c, frequencies)
       [cosine] cos = Cos(a) [turn] y = Mul(x, cos)`,
    );
    const { reason } = await converted(rotary);
    for (const node of ['cast', 'column', 'angles', 'cosine']) expect(reason(node), node).to.be.a('string');
    expect(reason('turn')).to.equal(undefined);
  });

  it('patches the Cast that makes floats, leaves sizes of a Resize float, and reaches into branches', async () => {
    const text = model(
      '(bool flag, bool[1,2,4,4] b) => (float[1,2,8,8] y, float[1,2,4,4] z)',
      'float[4] scales = {1.0, 1.0, 2.0, 2.0}, float[1,2,4,4] k = ["fill": "normal:6"]',
      `[cast] c = Cast <to = 1> (b) [add] s = Add(c, k) [resize] y = Resize <mode = "nearest"> (s, "", scales)
       [if] z = If <then_branch = then () => (float[1,2,4,4] t) { [inner] t = Mul(s, k) },
                    else_branch = other () => (float[1,2,4,4] e) { e = Identity(s) }> (flag)`,
    );
    const result = await quantized(text, { ...half, inputs: { flag: 'ones', b: 'ones' } });
    const nodes = [...result.after.graph.nodes()];
    expect(nodes.find(({ name }) => name === 'cast')!.int('to')).to.equal(10);
    expect(nodes.find(({ name }) => name === 'resize')!.inputs.map((input) => input?.dtype)).to.deep.equal([
      ...['float16', undefined, 'float'],
    ]);
    expect(result.row('inner').precision).to.equal('float16');
    await expectKept(result, 50);
  });

  it('takes numbers that calibration saw near the end of the range for too large', async () => {
    const text = model(
      '(float[N,4] x) => (float[N,4] y)',
      'float[4] big = {300.0, 300.0, 300.0, 300.0}',
      '[one] a = Mul(x, big) [two] b = Mul(a, big) [three] y = Div(b, big)',
    );
    const data = memoryData({ x: filledTensor('float', [2, 3, 4], 'constant:1', 'x')! }, { stacked: true });
    const engine: Engine = {
      ...createEngine(),
      watch: (at, values, samples, see) => watch(at, values, data.first(samples), see),
    };
    const { reason } = await converted(text, { engine });
    expect(reason('one')).to.equal(undefined);
    expect(reason('two')).to.contain('calibration saw b');
    expect(reason('three')).to.contain('calibration saw b');
  });

  it('stores weights in bfloat16 where the executor computes in none', async () => {
    const text = perceptron
      .replace(
        'float[16,12] w = ["fill": "normal:1:0:0.3"]',
        'float[16,12] w = ["fill": "normal:1:0:0.3"], float[16,128] u = ["fill": "normal:8"]',
      )
      .replace('(float[N,8] y)', '(float[N,8] y, float[N,128] z)')
      .replace('[act]', '[wide] z = MatMul(x, u) [act]');
    const { model: made, row } = await converted(text, { dtype: 'bfloat16', halves: ['float16'] });
    expect(operators(made).filter((op) => op === 'Cast')).to.have.length(1);
    expect(row('wide')).to.include({ precision: 'bfloat16-weights', bytesBefore: 8192, bytesAfter: 4096 });
  });

  it('leaves recurrent operators float, and stores their weights in 16 bits', async () => {
    const recurrent = model(
      '(float[6,1,16] x) => (float[6,1,1,24] y)',
      'float[1,72,16] w = ["fill": "normal:1:0:0.3"], float[1,72,24] r = ["fill": "normal:2:0:0.3"], float[1,144] b = ["fill": "normal:3"]',
      '[gru] y = GRU <hidden_size = 24, linear_before_reset = 1> (x, w, r, b)',
    );
    const result = await quantized(recurrent, { ...half });
    expect(operators(result.after)).to.deep.equal(['Cast', 'Cast', 'GRU']);
    const [w, r, b] = [...result.after.graph.nodes()].at(-1)!.inputs.slice(1, 4);
    expect(w!.producer!.inputs[0]!.dtype).to.equal('float16');
    expect(r!.producer!.inputs[0]!.dtype).to.equal('float16');
    expect(b!.constant!.dtype).to.equal('float');
    const row = result.ledger.rows.find(({ node }) => node === 'gru')!;
    expect(row).to.include({ precision: 'float16-weights', reason: 'GRU is there in float alone' });
    await expectKept(result, 60);
  });

  it('converts to bfloat16 for executors that compute in it', async () => {
    const { model: made } = await converted(perceptron, { dtype: 'bfloat16' });
    expect([...made.graph.nodes()].map((node) => node.outputs[0]!.dtype)).to.deep.equal([
      ...['bfloat16', 'bfloat16', 'bfloat16', 'bfloat16', 'bfloat16', 'float'],
    ]);
  });
});
