import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { type CompileRequest, compile } from '../../src/compile.js';
import { encodeModel, QuantcError, Tensor } from '../../src/index.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { greedyDecode } from '../../src/runtime/greedy.js';
import { withSession } from '../../src/runtime/session.js';
import { parseModel } from '../../src/text/parse.js';
import { sharedPath } from '../shared.js';
import { open } from '../transformer/decoders.js';

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

  describe('is what transformers.js loads', () => {
    const out = () => join(folder, 'out');
    const asInts = async (numbers: readonly number[]) => {
      const { Tensor } = await import('@huggingface/transformers');
      return new Tensor('int64', BigInt64Array.from(numbers, BigInt), [1, numbers.length]);
    };
    /** The package, told to look at what was made and nowhere else. */
    const loader = async () => {
      const package_ = await import('@huggingface/transformers');
      package_.env.allowRemoteModels = false;
      package_.env.localModelPath = `${dirname(out())}/`;
      return package_;
    };

    it('a decoder answers with the tokens of the float model, and in few bits with those of its file', async function () {
      const shared = sharedPath('models', 'stories260k', 'model.onnx');
      if (shared === undefined) return this.skip();
      const source = join(folder, 'decoder');
      mkdirSync(source);
      // Its data apart, so that what is large among what is made has its own apart, too.
      await writeModel(readModel(shared), join(source, 'model.onnx'), { externalData: 'always' });
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
      const asked = { model: join(source, 'model.onnx'), kvCache: true, proofSamples: 1 };
      const rtn = { precision: 'int4', weightMethod: 'rtn' } as const;
      // In pieces, as browsers take them.
      await compile(request({ ...asked, precision: 'float', dataBytes: 1 << 18 }));
      await compile(request({ ...asked, ...rtn, half: true }));
      await compile(request({ ...asked, ...rtn }));
      const prompt = [1, 403, 407, 261];
      const count = 12;
      const decoded = (file: string) =>
        withSession(file, { threads: 1 }, (session) => greedyDecode(session, prompt, count));

      const { AutoModelForCausalLM } = await loader();
      const generated = async (dtype?: 'fp32' | 'q4' | 'q4f16'): Promise<number[]> => {
        const model = await AutoModelForCausalLM.from_pretrained(basename(out()), dtype ? { dtype } : {});
        const answer = await model.generate({
          inputs: await asInts(prompt),
          attention_mask: await asInts(prompt.map(() => 1)),
          max_new_tokens: count,
          do_sample: false,
        } as unknown as Parameters<typeof model.generate>[0]);
        await model.dispose();
        const { data } = answer as unknown as { data: BigInt64Array };
        return Array.from(data, Number).slice(prompt.length);
      };
      expect(config()['transformers.js_config'].use_external_data_format['model.onnx']).to.be.above(1);
      expect(await generated('fp32')).to.deep.equal(await decoded(shared));
      const q4 = await decoded(join(out(), 'onnx', 'model_q4.onnx'));
      expect(await generated('q4')).to.deep.equal(q4);
      expect(await generated('q4f16')).to.deep.equal(await decoded(join(out(), 'onnx', 'model_q4f16.onnx')));
      // Unasked, the configuration decides: the last that was made.
      expect(await generated()).to.deep.equal(q4);
    });

    it('an encoder answers as its file does', async () => {
      const model = join(folder, 'source', 'onnx', 'model.onnx');
      writeFileSync(model, encodeModel(parseModel(open())));
      writeFileSync(join(folder, 'source', 'config.json'), JSON.stringify({ model_type: 'bert' }));
      await compile(request({ precision: 'int4', half: true }));
      await compile(request({ precision: 'int4' }));
      const tokens = [3, 17, 8, 30, 2];
      const { AutoModel } = await loader();
      for (const dtype of ['q4', 'q4f16'] as const) {
        const loaded = await AutoModel.from_pretrained(basename(out()), { dtype });
        const { logits } = await loaded({ input_ids: await asInts(tokens) });
        await loaded.dispose();
        const expected = await withSession(join(out(), 'onnx', `model_${dtype}.onnx`), {}, (session) =>
          session.run({ input_ids: Tensor.ints(tokens, [1, tokens.length]) }),
        );
        expect(logits.dims).to.deep.equal([1, 5, 40]);
        expect([...(logits.data as Float32Array)]).to.deep.equal([...expected['logits']!.toFloat32()]);
      }
    });
  });
});
