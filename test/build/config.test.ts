import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { jobsOf } from '../../src/build/job.js';
import { loadConfig } from '../../src/build/load-config.js';
import { checkConfig } from '../../src/build/schema.js';
import { QuantcError } from '../../src/errors/error.js';

/** The complaint about a config, or what it passes as. */
function complaint(given: unknown): string {
  try {
    return JSON.stringify(checkConfig(given, 'quantc.config.ts'));
  } catch (error) {
    if (error instanceof QuantcError && error.code === 'E_CONFIG_KEY') return error.message;
    throw error;
  }
}

describe('config', () => {
  const cases: readonly (readonly [given: unknown, complaint: string])[] = [
    [{}, 'models: is missing'],
    [{ models: {} }, 'models: names no model'],
    [{ models: { net: {} } }, 'models.net.model: is missing'],
    [{ models: { net: '' } }, 'models.net.model: is empty'],
    [{ models: { '../net': 'net.onnx' } }, 'models.../net: is no name of a folder: letters, digits, . _ -'],
    [
      { models: { net: { model: 'net.onnx', presicion: 'int8' } } },
      'models.net.presicion: there is no such key',
    ],
    [
      { models: { net: { model: 'net.onnx', ranges: 'widest' } } },
      'models.net.ranges: there is no way "widest" to choose ranges',
    ],
    [
      { models: { net: 'net.onnx' }, defaults: { budget: [1] } },
      'defaults.budget.0: invalid type: Expected string but received 1',
    ],
    [
      { models: { net: { model: 'net.onnx', targets: ['cpu', 3] } } },
      'models.net.targets.1: expected the name of a target, or what defineTarget gives',
    ],
    [{ models: { net: 'net.onnx' }, ouput: 'dist' }, 'ouput: there is no such key'],
  ];
  for (const [given, expected] of cases)
    it(`refuses ${JSON.stringify(given)}`, () => expect(complaint(given)).to.equal(expected));

  it('takes a path for a model, and one term for a budget', () => {
    expect(
      checkConfig({ models: { net: 'net.onnx' }, defaults: { budget: 'size<=0.3x' } }, 'f'),
    ).to.deep.equal({
      models: { net: { model: 'net.onnx' } },
      defaults: { budget: ['size<=0.3x'] },
    });
  });

  it('has a job a model and target, paths beside the config, defaults below what a model says', () => {
    const config = checkConfig(
      {
        models: { a: { model: 'a.onnx', targets: ['cpu', 'webgpu'], precision: 'fp16' }, b: 'b.onnx' },
        defaults: { precision: 'int4', calib: 'data' },
      },
      'f',
    );
    const jobs = jobsOf(config, '/app').map(({ name, target, request }) => [
      name,
      target.name,
      request.precision,
      request.model,
      request.calib,
    ]);
    expect(jobs).to.deep.equal([
      ['a', 'cpu-x64', 'fp16', join('/app', 'a.onnx'), join('/app', 'data')],
      ['a', 'webgpu', 'fp16', join('/app', 'a.onnx'), join('/app', 'data')],
      ['b', 'cpu-x64', 'int4', join('/app', 'b.onnx'), join('/app', 'data')],
    ]);
  });

  describe('files', () => {
    let folder: string;
    beforeEach(() => {
      folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-config-')));
      mkdirSync(join(folder, 'parts'));
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));
    const write = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const refusal = async (path: string): Promise<string> =>
      loadConfig(path).then(
        () => 'none',
        (error: QuantcError) => error.code,
      );

    it('loads TypeScript, tells what it loaded, and sees a change', async () => {
      write('parts/budget.ts', "export const budget: string = 'size<=0.3x';");
      const file = write(
        'quantc.config.ts',
        "import { budget } from './parts/budget';\nexport default { models: { net: { model: 'n.onnx', budget } } };",
      );
      const first = await loadConfig(file);
      expect(first.config.models).to.deep.equal({ net: { model: 'n.onnx', budget: ['size<=0.3x'] } });
      expect(first.sources).to.deep.equal([join(folder, 'parts/budget.ts'), file]);
      write('parts/budget.ts', "export const budget = 'size<=0.2x';");
      const { config } = await loadConfig(file);
      expect(config.models).to.deep.equal({ net: { model: 'n.onnx', budget: ['size<=0.2x'] } });
    });

    it('loads JavaScript and JSON', async () => {
      const text = "{ models: { net: 'n.onnx' } }";
      for (const [name, body] of [
        ['a.mjs', `export default ${text}`],
        ['a.cjs', `module.exports = ${text}`],
        ['a.json', '{ "models": { "net": "n.onnx" } }'],
      ] as const) {
        const { config } = await loadConfig(write(name, body));
        expect(config.models, name).to.deep.equal({ net: { model: 'n.onnx' } });
      }
    });

    it('says what is wrong with a file', async () => {
      expect(await refusal(join(folder, 'nowhere.ts'))).to.equal('E_CONFIG_ABSENT');
      expect(await refusal(write('throws.ts', "throw new Error('no');"))).to.equal('E_CONFIG_LOAD');
      expect(await refusal(write('broken.ts', 'export default {'))).to.equal('E_CONFIG_LOAD');
      expect(await refusal(write('empty.ts', 'export const models = 1;'))).to.match(/E_CONFIG_(?:LOAD|KEY)/);
      expect(await refusal(write('number.ts', 'export default 3;'))).to.equal('E_CONFIG_LOAD');
    });
  });
});
