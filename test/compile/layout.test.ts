import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { type CompileRequest, compile } from '../../src/compile.js';
import { encodeModel, QuantcError } from '../../src/index.js';
import { greedyDecode } from '../../src/runtime/greedy.js';
import { withSession } from '../../src/runtime/session.js';
import { parseModel } from '../../src/text/parse.js';
import { sharedPath } from '../shared.js';

const PRODUCT = `<ir_version: 10, opset_import: ["": 21]>
g (float[N,64] x) => (float[N,32] y) <float[64,32] w = ["fill": "normal:7"]> {
  y = MatMul (x, w)
}`;

describe('layout of outputs', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-layout-'));
    mkdirSync(join(folder, 'source', 'onnx'), { recursive: true });
    writeFileSync(join(folder, 'source', 'onnx', 'model.onnx'), encodeModel(parseModel(PRODUCT)));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const request = (more: Partial<CompileRequest> = {}): CompileRequest => ({
    model: join(folder, 'source', 'onnx', 'model.onnx'),
    layout: 'transformers.js',
    out: join(folder, 'out'),
    cache: false,
    threads: 1,
    ...more,
  });
  const config = () => JSON.parse(readFileSync(join(folder, 'out', 'config.json'), 'utf8'));
  const codeOf = (more: Partial<CompileRequest>): Promise<string> =>
    compile(request(more)).then(
      () => 'nothing thrown',
      (error: unknown) => (error instanceof QuantcError ? error.code : String(error)),
    );

  it('names files by data type, and completes the configuration that was there', async () => {
    writeFileSync(
      join(folder, 'source', 'config.json'),
      JSON.stringify({ model_type: 'bert', 'transformers.js_config': { dtype: { encoder: 'fp16' } } }),
    );
    writeFileSync(join(folder, 'source', 'tokenizer.json'), '{"version":"1.0"}');
    await compile(request({ precision: 'float' }));
    const [report] = await compile(request({ precision: 'int4', dataBytes: 1 << 30 }));
    expect(report!.files.map(({ path }) => path)).to.deep.equal(['onnx/model_q4.onnx']);
    for (const name of ['onnx/model.onnx', 'onnx/model_q4.onnx', 'tokenizer.json', 'quantc.report.json'])
      expect(existsSync(join(folder, 'out', name)), name).to.equal(true);
    expect(config()).to.deep.equal({
      model_type: 'bert',
      'transformers.js_config': { dtype: { encoder: 'fp16', model: 'q4' } },
    });
  });

  it('makes a configuration where there is none', async () => {
    await compile(request({ precision: 'int8-dynamic' }));
    expect(existsSync(join(folder, 'out', 'onnx', 'model_quantized.onnx'))).to.equal(true);
    expect(config()).to.deep.equal({ 'transformers.js_config': { dtype: { model: 'q8' } } });
  });

  it('refuses what it cannot lay out, and leaves nothing behind', async () => {
    expect(await codeOf({ targets: ['cpu-x64', 'cpu-arm64'] })).to.equal('E_LAYOUT_CLASH');
    writeFileSync(join(folder, 'source', 'config.json'), '["no object"]');
    expect(await codeOf({ precision: 'float' })).to.equal('E_LAYOUT_CONFIG');
    expect(existsSync(join(folder, 'out'))).to.equal(false);
  });

  it('is what transformers.js loads: a decoder answers with the tokens of the float model', async function () {
    const shared = sharedPath('models', 'stories260k', 'model.onnx');
    if (shared === undefined) return this.skip();
    const source = join(folder, 'decoder');
    mkdirSync(source);
    copyFileSync(shared, join(source, 'model.onnx'));
    writeFileSync(
      join(source, 'config.json'),
      JSON.stringify({
        architectures: ['LlamaForCausalLM'],
        model_type: 'llama',
        hidden_size: 64,
        num_hidden_layers: 5,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        vocab_size: 512,
        bos_token_id: 1,
        eos_token_id: 2,
      }),
    );
    const out = join(folder, 'out');
    const asked = { model: join(source, 'model.onnx'), kvCache: true, proofSamples: 1, out };
    for (const precision of ['float', 'int4'] as const) await compile(request({ ...asked, precision }));
    const prompt = [1, 403, 407, 261];
    const count = 12;
    const expected = await withSession(shared, { threads: 1 }, (session) =>
      greedyDecode(session, prompt, count),
    );

    const { AutoModelForCausalLM, Tensor, env } = await import('@huggingface/transformers');
    env.allowRemoteModels = false;
    env.localModelPath = `${dirname(out)}/`;
    const generated = async (dtype?: 'fp32' | 'q4'): Promise<number[]> => {
      const model = await AutoModelForCausalLM.from_pretrained(basename(out), dtype ? { dtype } : {});
      const ids = (numbers: readonly number[]) =>
        new Tensor('int64', BigInt64Array.from(numbers, BigInt), [1, numbers.length]);
      const answer = await model.generate({
        inputs: ids(prompt),
        attention_mask: ids(prompt.map(() => 1)),
        max_new_tokens: count,
        do_sample: false,
      } as unknown as Parameters<typeof model.generate>[0]);
      await model.dispose();
      return Array.from((answer as InstanceType<typeof Tensor>).data as BigInt64Array, Number).slice(
        prompt.length,
      );
    };
    expect(await generated('fp32')).to.deep.equal(expected);
    // Unasked, the configuration decides: the last that was made.
    const [asked4, unasked] = [await generated('q4'), await generated()];
    expect(asked4).to.have.length(count);
    expect(unasked).to.deep.equal(asked4);
  });
});
