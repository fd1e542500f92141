import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { nextMethod, type Outcome, shortfall } from '../../src/compile/next-method.js';
import { compile, REPORT_NAME } from '../../src/compile.js';
import type { ModelKind } from '../../src/recipe-kind.js';
import type { Evaluation } from '../../src/report/report.js';

const output = (sqnr: number | null) => ({ name: 'y', sqnr, cosine: 1, maxError: 0 });
const score = (metric: string, float: number, quantized: number, samples = 1000): Evaluation => ({
  ...{ metric, float, quantized, samples, source: 'data' },
});
const proof = (evaluation?: Evaluation, sqnr: number | null = 10, synthetic = false): Outcome['proof'] => ({
  ...{ synthetic, outputs: [output(40), output(sqnr)] },
  ...(evaluation && { evaluation }),
});

describe('what falls short', () => {
  it('is told by labels where there are some', () => {
    expect(shortfall(proof(score('top1', 0.8, 0.78)))).to.equal(
      "top1 is 2.0 points below the float model's on 1000 samples",
    );
    expect(shortfall(proof(score('top1', 0.8, 0.796)))).to.equal(undefined);
    expect(shortfall(proof(score('top1', 0.8, 0.81)))).to.equal(undefined);
    expect(shortfall(proof(score('perplexity', 20, 20.1)))).to.equal(undefined);
    expect(shortfall(proof(score('perplexity', 20, 21)))).to.match(/^perplexity is 5.0 % above/);
    expect(shortfall(proof(score('sqnr', 0, 13.5), 40))).to.match(/^outputs have 13.5 dB/);
  });

  it('is no matter of two samples among few', () => {
    expect(shortfall(proof(score('top1', 1, 126 / 128, 128)))).to.equal(undefined);
    expect(shortfall(proof(score('top1', 1, 125 / 128, 128)))).to.match(/^top1 is 2.3 points/);
  });

  it('is told by likeness without labels, unless samples are random', () => {
    expect(shortfall(proof(undefined, 14.9))).to.match(/^outputs have 14.9 dB/);
    expect(shortfall(proof(undefined, 15.1))).to.equal(undefined);
    expect(shortfall(proof(undefined, null))).to.equal(undefined);
    expect(shortfall(proof(undefined, 3, true))).to.equal(undefined);
  });
});

describe('the next method', () => {
  type Case = Partial<Omit<Outcome, 'request' | 'kind'>> & {
    kind?: ModelKind;
    request?: Partial<Outcome['request']>;
  };
  const next = ({ kind = 'convolutional', request, ...facts }: Case): string | undefined =>
    nextMethod({
      ...{ target: 'cpu-x64', precision: 'int8', trained: false, proof: proof() },
      ...facts,
      request: { model: 'net.onnx', calib: 'data', ...request },
      kind: () => kind,
    })?.command;
  const top1 = proof(score('top1', 0.8, 0.7));
  const perplexity = proof(score('perplexity', 20, 25));
  const none = { calib: undefined } as unknown as Partial<Outcome['request']>;

  const cases: readonly (readonly [what: string, given: Case, command: string | undefined])[] = [
    [
      'static CNN',
      { proof: top1, request: { eval: 'data' } },
      'quantc finetune net.onnx --static --calib data --out net-static.onnx',
    ],
    [
      'static CNN, without labels',
      {},
      'quantc finetune net.onnx --static --calib data --out net-static.onnx',
    ],
    [
      'static CNN that is trained',
      { trained: true, proof: top1, request: { eval: 'e' } },
      "quantc compile net.onnx --budget 'top1>=-0.5%' --calib data --eval e",
    ],
    [
      'static detector',
      { proof: proof(score('sqnr', 0, 13)), request: { eval: 'e' } },
      'quantc compile net.onnx --precision int8-weights --calib data --eval e',
    ],
    [
      'static CNN over random ranges',
      { request: none },
      'quantc compile net.onnx --precision int8 --calib <data>',
    ],
    [
      'static CNN without its algorithms',
      { request: { algorithms: ['none'] } },
      'quantc compile net.onnx --precision int8 --calib data',
    ],
    [
      'static transformer',
      { kind: 'transformer' },
      'quantc compile net.onnx --precision int8-dynamic --calib data',
    ],
    [
      'dynamic, no data',
      { kind: 'transformer', precision: 'int8-dynamic', request: none },
      'quantc compile net.onnx --precision int8-dynamic --calib <data>',
    ],
    [
      'dynamic',
      { kind: 'transformer', precision: 'int8-dynamic' },
      'quantc compile net.onnx --precision int8-weights --calib data',
    ],
    [
      'int8 weights',
      { precision: 'int8-weights', target: 'webgpu' },
      'quantc compile net.onnx --target webgpu --precision fp16',
    ],
    [
      'int4, no data',
      { kind: 'language-model', precision: 'int4', request: none },
      'quantc compile net.onnx --precision int4 --calib <data>',
    ],
    [
      'int4, rounded plainly',
      { kind: 'language-model', precision: 'int4', request: { weightMethod: 'rtn' } },
      'quantc compile net.onnx --precision int4 --calib data',
    ],
    [
      'int4 decoder',
      { kind: 'language-model', precision: 'int4', proof: perplexity },
      'quantc finetune net.onnx --bits 4 --own-texts 256 --calib data --out net-w4.onnx',
    ],
    [
      'int2 decoder',
      { kind: 'language-model', precision: 'int2' },
      'quantc finetune net.onnx --bits 2 --own-texts 256 --calib data --out net-w2.onnx',
    ],
    [
      'int4 decoder, trained',
      { kind: 'language-model', precision: 'int4', trained: true, proof: perplexity, request: { eval: 'e' } },
      "quantc compile net.onnx --precision auto-weights --budget 'perplexity<=1%' --calib data --eval e",
    ],
    [
      'bits by weight',
      { kind: 'language-model', precision: 'auto-weights' },
      'quantc compile net.onnx --precision int8-weights --calib data',
    ],
    [
      'int4 encoder',
      { kind: 'transformer', precision: 'int4' },
      'quantc compile net.onnx --precision int8-weights --calib data',
    ],
    [
      'NPU, 8 bits',
      { precision: 'a8w8', target: 'npu-qnn', request: { dims: { batch: 1 } } },
      'quantc compile net.onnx --target npu-qnn --precision a16w8 --dim batch=1 --calib data',
    ],
    [
      'NPU, 16 bits',
      { precision: 'a16w8', target: 'npu-qnn' },
      'quantc finetune net.onnx --static --target npu-qnn --calib data --out net-static.onnx',
    ],
    ['NPU, 16 bits, trained', { precision: 'a16w8', target: 'npu-qnn', trained: true }, undefined],
    [
      'pruned by magnitude',
      { precision: 'float', request: { prune: 'magnitude:2:4' } },
      'quantc compile net.onnx --precision float --prune sparsegpt:2:4 --calib data',
    ],
    ['pruned as well as can be', { precision: 'float', request: { prune: 'sparsegpt:50%' } }, undefined],
    [
      'palettes',
      { precision: 'float', request: { palettize: 4 } },
      'quantc compile net.onnx --precision float --palettize 4 --palette-channels 8 --calib data',
    ],
    ['a budget', { request: { budget: ['size<=1MB'] } }, undefined],
    ['16-bit floats', { precision: 'fp16' }, undefined],
  ];
  for (const [what, given, command] of cases) {
    it(`after ${what}`, () => {
      expect(next(given)).to.equal(command);
    });
  }

  it('keeps what was asked of the model, as a shell takes it', () => {
    const request = {
      ...{ model: "my net/it's.onnx", kvCache: true, half: true, protect: ['ov:int8'], exclude: ['head*'] },
      ...{ fix: { sr: [16000] } },
    };
    expect(next({ kind: 'transformer', request })).to.equal(
      "quantc compile 'my net/it'\\''s.onnx' --precision int8-dynamic --fix sr=16000 --kv-cache --half --protect ov:int8 --exclude 'head*' --calib data",
    );
  });

  it('does not ask for the kind of a model that does well', () => {
    const kind = (): ModelKind => {
      throw new Error('asked');
    };
    const facts = { target: 'cpu-x64', precision: 'int8', trained: false, proof: proof(undefined, 40) };
    expect(nextMethod({ ...facts, request: { model: 'net.onnx' }, kind })).to.equal(undefined);
  });

  it('stands in the report of a compilation that falls short, and of no other', async () => {
    const folder = resolve(import.meta.dirname, '../../models/shapes-cnn');
    const out = mkdtempSync(join(tmpdir(), 'quantc-next-'));
    try {
      const request = { model: join(folder, 'model.onnx'), eval: folder, out, cache: false } as const;
      const [worse] = await compile({ ...request, precision: 'float', prune: 'magnitude:90%' });
      expect(worse!.next?.because).to.match(
        /^top1 is \d+\.\d points below the float model's on 1200 samples$/,
      );
      expect(worse!.next?.command).to.match(
        /^quantc compile .* --precision float --prune sparsegpt:90% --calib <data> --eval /,
      );
      const { targets } = JSON.parse(readFileSync(join(out, REPORT_NAME), 'utf8'));
      expect(targets[0].next).to.deep.equal(worse!.next);
      const [fine] = await compile({ ...request, precision: 'int8-weights' });
      expect(fine!.next).to.equal(undefined);
    } finally {
      rmSync(out, { recursive: true });
    }
  });
});
