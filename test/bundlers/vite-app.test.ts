/** The example app, built by Vite and run in a headless browser: it classifies with the compiled model. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { build, type PreviewServer, preview } from 'vite';
import quantc from '../../src/bundlers/unplugin.js';
import type { QuantcError } from '../../src/errors/error.js';
import { type OpenPage, openPage } from '../report/headless.js';
import { modelsIn } from './app.js';

const APP = join(import.meta.dirname, '../../examples/vite-app');

interface Answer {
  readonly executor?: string;
  readonly right?: number;
  readonly error?: string;
}

describe('example vite-app', function () {
  this.timeout(180_000);
  let out: string;
  let server: PreviewServer;
  before(async () => {
    out = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-vite-app-')));
    // As the app's own vite.config.js says, with the plugin from its source.
    const settings = { root: APP, configFile: false, base: './', logLevel: 'silent' } as const;
    const target = { outDir: out, emptyOutDir: true, target: 'esnext' };
    await build({ ...settings, build: target, plugins: [quantc.vite()] });
    server = await preview({ ...settings, build: target, preview: { port: 0, host: '127.0.0.1' } });
  });
  after(async () => {
    await server?.close();
    rmSync(out, { recursive: true, force: true });
  });

  it('holds a model for each executor', () => {
    const names = Object.keys(modelsIn(out)).map((name) => name.replace(/-[0-9a-f]{8}\./, '.'));
    expect(names).to.deep.equal(['assets/model.cpu-x64.onnx', 'assets/model.webgpu.onnx']);
  });

  it('classifies in the browser', async function () {
    const { port } = server.httpServer.address() as { readonly port: number };
    let page: OpenPage;
    try {
      page = await openPage(`http://127.0.0.1:${port}/`);
    } catch (error) {
      if ((error as QuantcError).code !== 'E_EXECUTOR_ABSENT') throw error;
      console.warn('No headless browser is installed: the app was built, and not run.');
      this.skip();
    }
    try {
      let answer: Answer | undefined;
      while (answer === undefined) {
        await new Promise((later) => setTimeout(later, 100));
        answer = (await page.evaluate('globalThis.result')) as Answer | undefined;
      }
      expect(answer.error).to.equal(undefined);
      expect(answer.executor).to.be.oneOf(['WebGPU', 'WebAssembly']);
      expect(answer.right).to.be.at.least(56);
      const errors = page.complaints.filter((text) => /"level":"error"|exceptionDetails/.test(text));
      expect(errors).to.deep.equal([]);
    } finally {
      await page.close();
    }
  });
});
