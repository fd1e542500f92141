import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeNpy } from '../src/calibration/npy.js';
import {
  type CompileEvent,
  type CompileRequest,
  compile,
  encodeModel,
  parseModel,
  type QuantcError,
  Tensor,
  writeModel,
} from '../src/index.js';
import { filledTensor } from '../src/text/fill.js';
import { eager } from './passes/quantizing.js';

const NET = `<ir_version: 10, opset_import: ["": 17]>
g (float[N,16,16,16] x) => (float[N,32] y) <
  float[32,16,3,3] w = ["fill": "normal:1:0:0.1"], float[32] b = ["fill": "normal:2"], float[32,32] v = ["fill": "normal:3:0:0.2"]
> {
  [conv] a = Conv <pads = [1, 1, 1, 1]> (x, w, b)
  [relu] r = Relu (a)
  [pool] p = GlobalAveragePool (r)
  [flat] f = Flatten (p)
  [head] y = MatMul (f, v)
}`;

const models = join(import.meta.dirname, '..', 'models');

describe('compile', () => {
  let folder: string;
  const at = (...parts: string[]): string => join(folder, ...parts);
  const save = (name: string, text: string): string => {
    writeFileSync(at(name), encodeModel(parseModel(text)));
    return at(name);
  };
  const array = (name: string, law: string): string => {
    writeFileSync(at(name), encodeNpy(filledTensor('float', [8, 16, 16, 16], law, '')!));
    return at(name);
  };
  const failure = (request: CompileRequest): Promise<QuantcError> =>
    compile(request).then(
      () => expect.fail('it compiled'),
      (error: QuantcError) => error,
    );
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-compile-test-'));
    save('net.onnx', NET);
    array('calib.npy', 'normal:5');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  const net = () => ({ model: at('net.onnx'), calib: at('calib.npy'), threads: 1, cache: false as const });

  it('says what it is doing, and comes to an end of each stage', async () => {
    const events: CompileEvent[] = [];
    await compile({
      ...net(),
      eval: array('eval.npy', 'normal:6'),
      out: at('told'),
      onEvent: (event) => events.push(event),
    });
    const stages = events.flatMap((event) => (event.kind === 'stage' ? [event.stage] : []));
    // Algorithms that change the float model have it calibrated again.
    const order = ['read', 'rewrite', 'calibrate', 'search', 'write', 'prove', 'evaluate'];
    expect([...new Set(stages)]).to.deep.equal(order);
    for (const stage of ['calibrate', 'search', 'write', 'evaluate'] as const) {
      const shares = events.flatMap((event) =>
        event.kind === 'share' && event.stage === stage ? [event.share] : [],
      );
      expect(shares.at(-1), stage).to.equal(1);
      if (stage !== 'calibrate') expect(shares).to.deep.equal(shares.toSorted((a, b) => a - b));
    }
    const passes = events.flatMap((event) => (event.kind === 'pass' ? [event.event.pass] : []));
    expect(passes).to.include.members(['upgrade-opset', 'insert-qdq', 'dead-code']);
  });

  it('finds what is wrong with its data before any work, and refuses random ranges when it is strict', async () => {
    const broken = filledTensor('float', [8, 16, 16, 16], 'normal:5', '')!;
    const values = new Float32Array(broken.toFloat32());
    values[values.length - 1] = Number.NaN;
    writeFileSync(at('broken.npy'), encodeNpy(Tensor.floats(values, broken.shape)));
    const wrong: [CompileRequest, string][] = [
      [{ ...net(), calib: at('broken.npy') }, 'E_DATA_NAN'],
      [{ ...net(), eval: at('broken.npy') }, 'E_DATA_NAN'],
      [{ model: at('net.onnx'), precision: 'int8', strict: true }, 'E_STRICT'],
      [{ ...net(), eval: at('calib.npy'), strict: true }, 'E_STRICT'],
    ];
    for (const [request, code] of wrong) {
      const stages: string[] = [];
      const onEvent = (event: CompileEvent) => event.kind === 'stage' && stages.push(event.stage);
      const error = await failure({ ...request, out: at('wrong'), onEvent });
      expect([error.code, stages], code).to.deep.equal([code, ['read']]);
    }
    expect(readdirSync(folder)).not.to.include('wrong');
  });

  it('stops wherever it is told to, and leaves nothing', async () => {
    for (const stage of ['rewrite', 'calibrate', 'write', 'prove']) {
      const controller = new AbortController();
      const onEvent = (event: CompileEvent): void => {
        if (event.kind === 'stage' && event.stage === stage) controller.abort();
      };
      const error = await failure({ ...net(), out: at('stopped'), signal: controller.signal, onEvent });
      expect(error.code, stage).to.match(/^E_(CALIBRATION_)?ABORTED$/);
      expect(readdirSync(folder)).not.to.include('stopped');
    }
  });

  it('never takes ranges from evaluation data', async () => {
    const wild = array('wild.npy', 'uniform:7:-1000:1000');
    const bytes = [];
    for (const more of [{}, { eval: wild }]) {
      await compile({ ...net(), ...more, out: at('blind') });
      bytes.push(readFileSync(at('blind', 'net.cpu-x64.onnx')));
    }
    expect(bytes[0]).to.deep.equal(bytes[1]);
    const [report] = await compile({
      model: at('net.onnx'),
      precision: 'int8',
      eval: wild,
      out: at('blind'),
    });
    expect(report!.notes.map(({ code }) => code)).to.include('W_CALIBRATION_SYNTHETIC');
    const [seen] = await compile({ ...net(), eval: at('calib.npy'), out: at('blind') });
    expect(seen!.notes.map(({ code }) => code)).to.include('W_EVAL_SEEN');
  });

  it('compiles without data: dynamic, on random feeds, and says so', async () => {
    const [report] = await compile({ model: at('net.onnx'), out: at('dynamic') });
    expect(report).to.include({ precision: 'int8-dynamic', opset: 21 });
    expect(report!.proof).to.include({ status: 'passed', synthetic: true });
    expect(report!.bytesAfter / report!.bytesBefore).to.be.below(0.4);
  });

  it('changes no answer with precision float', async () => {
    const [report] = await compile({ ...net(), precision: 'float', out: at('float') });
    expect(report!.proof.outputs[0]!.sqnr ?? 200).to.be.above(110);
    expect(report!.ledger.every(({ precision }) => precision === 'float')).to.equal(true);
  });

  it('says that there is no proof where memory does not suffice for one', async () => {
    const [report] = await compile({ ...net(), maxMemory: 40_000, out: at('tight') });
    expect(report!.proof.status).to.equal('skipped');
    expect(report!.notes.map(({ code }) => code)).to.include('W_PROOF_SKIPPED');
    const error = await failure({ ...net(), maxMemory: 40_000, strict: true, out: at('strict') });
    expect([error.code, error.kind]).to.deep.equal(['E_STRICT', 'proof']);
  });

  /** A target that promises an integer kernel for Tanh, which there is none of. */
  const liar = {
    ...eager,
    name: 'liar',
    rows: [
      ...eager.rows,
      { op: 'Tanh', kernel: 'QLinearTanh', inputs: ['activation'], output: 'own', kind: 'follow' } as const,
    ],
  };

  it('leaves a node float, and says so, when the executor does not keep what the target promised', async () => {
    const model = save('tanh.onnx', NET.replace('[relu] r = Relu (a)', '[bent] r = Tanh (a)'));
    const [retried] = await compile({ ...net(), model, targets: [liar], out: at('lied') });
    expect(retried!.proof).to.deep.include({ status: 'passed', broken: [] });
    const bent = retried!.ledger.find(({ node }) => node === 'bent')!;
    expect(bent.precision).to.equal('float');
    expect(bent.reason).to.equal('kept float: the executor runs it as Tanh, not as QLinearTanh');
    expect(retried!.notes.find(({ code }) => code === 'W_PROOF_BROKEN')!.message).to.include('bent');
    expect(retried!.proof.kernels).to.include({ QLinearConv: 1 });
    const [report] = await compile({ ...net(), model, targets: ['cpu'], out: at('honest') });
    expect(report!.ledger.find(({ node }) => node === 'bent')!.reason).to.equal('no integer kernel for Tanh');
  });

  it('gives 16 bits to activations where the target has kernels for them, and says where it has none', async () => {
    const [report] = await compile({ ...net(), wide: ['conv'], algorithms: ['none'], out: at('narrow') });
    expect(report!.ledger.find(({ node }) => node === 'conv')).to.include({
      precision: 'int8',
      reason: 'activations of 16 bits were asked for, but QLinearConv takes 8',
    });
    const error = await failure({ ...net(), wide: ['cnov'], out: at('narrow') });
    expect(error.code).to.equal('E_EXCLUDE_NOTHING');
  });

  it('fails for all targets together where leaving nodes float does not help', async () => {
    // Integers reach zeros that the float convolution never does.
    const model = save('pole.onnx', NET.replace('[relu] r = Relu (a)', '[pole] r = Reciprocal (a)'));
    const error = await failure({
      ...net(),
      model,
      targets: ['cpu', { ...eager, name: 'eager' }],
      out: at('failed'),
    });
    expect([error.code, error.kind]).to.deep.equal(['E_PROOF', 'proof']);
    expect(readdirSync(folder)).not.to.include('failed');
  });

  it('does not put its output in the place of external data that it reads', async () => {
    mkdirSync(at('external'));
    await writeModel(parseModel(NET), at('external', 'net.onnx'), { externalData: 'always' });
    const data = at('external', 'net.onnx_data');
    const before = readFileSync(data);
    const [report] = await compile({ ...net(), model: at('external', 'net.onnx'), out: at('external') });
    expect(report!.bytesBefore).to.equal(readFileSync(at('external', 'net.onnx')).length + before.length);
    rmSync(at('external', 'net.cpu-x64.onnx'));
    symlinkSync(data, at('external', 'net.cpu-x64.onnx'));
    const error = await failure({ ...net(), model: at('external', 'net.onnx'), out: at('external') });
    expect(error.code).to.equal('E_OUT_IS_INPUT');
    expect(readFileSync(data)).to.deep.equal(before);
  });

  it('refuses data that are not for the model before anything runs', async () => {
    writeFileSync(at('small.npy'), encodeNpy(filledTensor('float', [8, 16, 4, 4], 'normal:5', '')!));
    const error = await failure({ ...net(), calib: at('small.npy'), out: at('refused') });
    expect([error.code, error.kind]).to.deep.equal(['E_DATA_SHAPE', 'input']);
    expect(readdirSync(folder)).not.to.include('refused');
  });

  for (const [name, precision, size, loss] of [
    ['shapes-cnn', 'int8', 0.3, 0.01],
    ['shapes-cnn', 'int8-weights', 0.32, 0.01],
    ['signal-transformer', 'int8', 0.35, 0.02],
    ['signal-transformer', 'int8-dynamic', 0.35, 0.01],
  ] as const) {
    it(`makes ${name} small and keeps its accuracy with ${precision}`, async () => {
      const data = join(models, name);
      const request = { model: join(data, 'model.onnx'), calib: data, eval: data, precision, threads: 2 };
      const [report] = await compile({ ...request, out: at(name, precision) });
      expect(report!.proof.status).to.equal('passed');
      expect(report!.bytesAfter / report!.bytesBefore).to.be.below(size);
      const { float, quantized } = report!.proof.evaluation!;
      expect(float - quantized).to.be.below(loss);
    });
  }
});
