/** `quantc compare` where models and data do not agree on sizes: what fits is cut, what cannot is told before it runs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { encodeModel, parseModel } from '../../src/index.js';
import { invoke } from './invoke.js';
import { type Workspace, workspace } from './workspace.js';

const net = (x: string, rows: number | string): string => `<ir_version: 10, opset_import: ["": 21]>
g (${x} x) => (float[${rows},10] y) <float[16,10] w = ["fill": "normal:1"]>
{ [pool] p = GlobalAveragePool (x) [flat] f = Flatten (p) [head] y = Gemm (f, w) }`;

describe('quantc compare', function () {
  this.timeout(60_000);
  let at: Workspace;
  const models: Record<string, string> = {};
  before(() => {
    at = workspace();
    const write = (name: string, text: string): void => {
      models[name] = at.path(`${name}.onnx`);
      writeFileSync(models[name]!, encodeModel(parseModel(text)));
    };
    write('open', net('float[N,16,24,24]', 'N'));
    write('one', net('float[1,16,24,24]', 1));
    write('two', net('float[2,16,24,24]', 2));
    write('renamed', net('float[1,16,24,24]', 1).replaceAll(' x)', ' z)').replaceAll('(x)', '(z)'));
    write(
      'half',
      net('float16[1,16,24,24]', 1).replace('float[1,10]', 'float16[1,10]').replace('float[16', 'float16[16'),
    );
    mkdirSync(at.path('batched'));
    writeFileSync(
      at.path('batched', 'data.json'),
      JSON.stringify({ batch: 8, inputs: { x: { calib: '../x.calib.npy', eval: '../x.eval.npy' } } }),
    );
  });
  after(() => at.remove());
  const compare = (first: string, second: string, ...more: string[]) =>
    invoke([
      'compare',
      models[first]!,
      models[second]!,
      '--calib',
      at.path('batched'),
      '--rounds',
      '1',
      ...more,
    ]);

  it('cuts samples into the batch that a model has built in, whichever of the two it is', async () => {
    for (const [first, second] of [
      ['open', 'one'],
      ['one', 'open'],
      ['two', 'open'],
      ['open', 'open'],
    ] as const) {
      const { code, out, err } = await compare(first, second, '--json');
      expect([code, err], `${first} ${second}`).to.deep.equal([0, '']);
      const told = JSON.parse(out);
      expect(told).to.include({ samples: 12, synthetic: false });
      expect(told.outputs[0].cosine).to.be.above(0.9999);
    }
    // Random feeds are cut likewise.
    expect((await invoke(['compare', models['open']!, models['two']!, '--rounds', '1'])).code).to.equal(0);
  });

  it('says which input two models cannot share, with both sizes', async () => {
    for (const [second, said] of [
      ['two', 'input "x": it is [1,16,24,24] in the first model and [2,16,24,24] in the second'],
      ['half', 'input "x": it is float in the first model and float16 in the second'],
      ['renamed', 'input "z": the first model has no such input'],
    ] as const) {
      const { code, err } = await compare('one', second);
      expect(code).to.equal(2);
      expect(err).to.include('E_COMPARE_INPUT').and.include(said);
    }
  });

  it('says which data fit neither', async () => {
    const own = join(at.folder, 'feeds.mjs');
    writeFileSync(
      own,
      'export default [{ x: { data: new Float32Array(8 * 16 * 24 * 24), dims: [8, 16, 24, 24] } }];',
    );
    const { code, err } = await invoke(['compare', models['open']!, models['one']!, '--calib', own]);
    expect(code).to.equal(2);
    expect(err)
      .to.match(/E_DATA_SHAPE/)
      .and.include('[8,16,24,24]')
      .and.include('[1,16,24,24]');
  });
});
