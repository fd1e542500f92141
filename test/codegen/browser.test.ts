/** A module of bindings in a headless browser, beside onnxruntime-web: the file for the device, opened and run. */
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { expect } from 'chai';
import * as ort from 'onnxruntime-node';
import ts from 'typescript';
import { compile, parseModel, type QuantcError, writeModel } from '../../src/index.js';
import { type OpenPage, openPage } from '../report/headless.js';

const ORT = join(import.meta.dirname, '../../node_modules/onnxruntime-web/dist');
const NET = `<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 256] x) => (float[N, 32] y)
<float[256, 32] w = ["fill": "normal:1"]>
{ y = MatMul (x, w) }`;
const X = Array.from({ length: 512 }, (_, at) => Math.sin(at));

/** The module's own imports find ONNX Runtime; each device is asked for, and then none. */
const PAGE = `<!doctype html><link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({
  imports: {
    'onnxruntime-web/wasm': '/ort/ort.wasm.min.mjs',
    'onnxruntime-web/webgpu': '/ort/ort.webgpu.min.mjs',
  },
})}</script><script type="module">
import { createSession, tensor } from './net.js';
const x = Float32Array.from(${JSON.stringify(X)});
const told = [];
for (const device of ['wasm', 'webgpu', undefined]) {
  try {
    const session = await createSession({ files: '/files', ...(device && { device }) });
    const { y } = await session.run({ x: tensor('float32', x, [2, 256]) });
    told.push({ device: session.device, target: session.target, dims: y.dims, y: [...y.data] });
    await session.release();
  } catch (error) {
    told.push({ device, error: String(error) });
  }
}
globalThis.told = { told, adapter: !!(await navigator.gpu?.requestAdapter()) };
</script>`;

interface Told {
  readonly device?: string;
  readonly target: string;
  readonly dims: readonly number[];
  readonly y: readonly number[];
  readonly error?: string;
}

describe('bindings in the browser', function () {
  this.timeout(180_000);
  let folder: string;
  let server: Server;
  before(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-browser-')));
    const model = join(folder, 'net.onnx');
    await writeModel(parseModel(NET), model);
    await compile({
      ...{ model, targets: ['cpu', 'webgpu'], precision: 'int4', weightMethod: 'rtn', cache: false },
      // Weights of several shapes lie in a file beside the models: the module has ONNX Runtime fetch it, too.
      shapes: { two: { N: 2 }, three: { N: 3 } },
      ...{ out: join(folder, 'out'), bindings: { runtimes: ['onnxruntime-web'] } },
    });
    expect(readdirSync(join(folder, 'out')).filter((name) => /onnx_data$/.test(name))).to.have.length(2);
    const module = ts.transpileModule(readFileSync(join(folder, 'out/net.ts'), 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    }).outputText;
    const texts: Record<string, string> = { '/': PAGE, '/net.js': module };
    server = createServer(({ url = '' }, response) => {
      const type = { '/': 'text/html', '.wasm': 'application/wasm' }[extname(url) || url];
      response.setHeader(
        'Content-Type',
        type ?? (/js$/.test(url) ? 'text/javascript' : 'application/octet-stream'),
      );
      if (texts[url] !== undefined) return response.end(texts[url]);
      const file = url.replace('/ort', ORT).replace('/files', join(folder, 'out'));
      if (existsSync(file)) return createReadStream(file).pipe(response);
      return response.writeHead(404).end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  });
  after(() => {
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('choose the file for WebAssembly and for WebGPU, and both answer as ONNX Runtime does here', async function () {
    let page: OpenPage;
    try {
      page = await openPage(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { webgpu: true });
    } catch (error) {
      if ((error as QuantcError).code !== 'E_EXECUTOR_ABSENT') throw error;
      console.warn('No headless browser is installed: bindings were not run in one.');
      return this.skip();
    }
    try {
      let found: { readonly told: readonly Told[]; readonly adapter: boolean } | undefined;
      while (found === undefined) {
        await new Promise((later) => setTimeout(later, 100));
        found = (await page.evaluate('globalThis.told')) as typeof found;
        expect(page.complaints.filter((text) => /exceptionDetails/.test(text))).to.deep.equal([]);
      }
      const [wasm, webgpu, any] = found.told as [Told, Told, Told];
      expect([wasm.error, wasm.device]).to.deep.equal([undefined, 'wasm']);
      expect(wasm.target).to.match(/^cpu-.*\.two$/);
      if (found.adapter) {
        expect([webgpu.error, webgpu.device, webgpu.target]).to.deep.equal([
          undefined,
          'webgpu',
          'webgpu.two',
        ]);
        expect([any.error, any.device]).to.deep.equal([undefined, 'webgpu']);
      } else console.warn('The browser gives no WebGPU adapter: bindings ran in WebAssembly alone.');
      for (const { target, dims, y } of found.told.filter(({ error }) => error === undefined)) {
        expect(dims).to.deep.equal([2, 32]);
        const session = await ort.InferenceSession.create(join(folder, 'out', `net.${target}.onnx`));
        const here = await session.run({ x: new ort.Tensor('float32', Float32Array.from(X), [2, 256]) });
        await session.release();
        const expected = here['y']!.data as Float32Array;
        // The CPU rounds activations of such products to 8 bits.
        const scale = Math.max(...expected.map(Math.abs));
        const worst = Math.max(...y.map((value, at) => Math.abs(value - expected[at]!)));
        expect(worst, target).below(0.05 * scale);
      }
    } finally {
      await page.close();
    }
  });
});
