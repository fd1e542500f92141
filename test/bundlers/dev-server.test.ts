/** Vite's dev server: it answers with the compiled model, and with another one after a change. */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { createServer, type ViteDevServer } from 'vite';
import { importModel } from '../../src/build/import-model.js';
import quantc from '../../src/bundlers/unplugin.js';
import { makeApp } from './app.js';

describe('dev server', () => {
  let app: string;
  let server: ViteDevServer;
  let origin: string;
  before(async () => {
    app = makeApp();
    writeFileSync(join(app, 'main.js'), "import url from './models/net.onnx?quantc';\nconsole.log(url);");
    server = await createServer({
      ...{ root: app, base: '/app/', configFile: false, logLevel: 'silent', plugins: [quantc.vite()] },
      server: { port: 0, host: '127.0.0.1' },
      optimizeDeps: { noDiscovery: true },
    });
    await server.listen();
    origin = `http://127.0.0.1:${(server.httpServer!.address() as AddressInfo).port}`;
  });
  after(async () => {
    await server.close();
    rmSync(app, { recursive: true, force: true });
  });

  /** The URL that the module of the import tells. */
  const urlNow = async (): Promise<string> => {
    const main = await (await fetch(`${origin}/app/main.js`)).text();
    const [, path] = /from "([^"]*quantc[^"]*)"/.exec(main)!;
    const text = await (await fetch(`${origin}${path}`)).text();
    return /export default "([^"]*)"/.exec(text)?.[1] ?? expect.fail(text.slice(0, 1000));
  };
  const digestAt = async (url: string): Promise<string> => {
    const bytes = Buffer.from(await (await fetch(`${origin}${url}`)).arrayBuffer());
    return createHash('sha256').update(bytes).digest('hex');
  };
  const expected = async (): Promise<string> =>
    (await importModel({ model: join(app, 'models/net.onnx'), query: 'quantc' })).files[0].sha256;

  it('serves the compiled model, whole and in ranges', async () => {
    const url = await urlNow();
    expect(url).to.match(/^\/app\/@quantc\/assets\/net\.cpu-x64-[0-9a-f]{8}\.onnx$/);
    const whole = await fetch(`${origin}${url}`);
    expect([whole.status, whole.headers.get('content-type')]).to.deep.equal([
      200,
      'application/octet-stream',
    ]);
    const bytes = Buffer.from(await whole.arrayBuffer());
    expect(createHash('sha256').update(bytes).digest('hex')).to.equal(await expected());
    const range = async (header: string) => {
      const answer = await fetch(`${origin}${url}`, { headers: { Range: header } });
      return [answer.status, answer.headers.get('content-range'), Buffer.from(await answer.arrayBuffer())];
    };
    const size = bytes.length;
    expect(await range('bytes=8-15')).to.deep.equal([206, `bytes 8-15/${size}`, bytes.subarray(8, 16)]);
    expect(await range('bytes=-4')).to.deep.equal([
      206,
      `bytes ${size - 4}-${size - 1}/${size}`,
      bytes.subarray(-4),
    ]);
    expect((await range(`bytes=${size}-`)).slice(0, 2)).to.deep.equal([416, `bytes */${size}`]);
    expect((await fetch(`${origin}${url}`, { method: 'HEAD' })).headers.get('content-length')).to.equal(
      String(size),
    );
    const tag = whole.headers.get('etag')!;
    expect((await fetch(`${origin}${url}`, { headers: { 'If-None-Match': tag } })).status).to.equal(304);
    expect((await fetch(`${origin}/app/@quantc/assets/other.onnx`)).status).to.equal(404);
  });

  it('reloads the page with another model when the config changes', async () => {
    const url = await urlNow();
    const told = new Promise<string>((resolve) => {
      const { send } = server.environments.client.hot;
      server.environments.client.hot.send = ((payload: { type: string }, ...rest: never[]) => {
        resolve(payload.type);
        return (send as (...all: unknown[]) => void).call(server.environments.client.hot, payload, ...rest);
      }) as never;
    });
    const config = join(app, 'quantc.config.ts');
    writeFileSync(config, readFileSync(config, 'utf8').replace("'int8-weights'", "'fp16'"));
    expect(await told).to.equal('full-reload');
    const changed = await urlNow();
    expect(changed).not.to.equal(url);
    expect(await digestAt(changed)).to.equal(await expected());
  });

  it('shows what is wrong with an import', async () => {
    const answer = await fetch(`${origin}/app/models/net.onnx?import&quantc&target=tpu`);
    expect(answer.status).to.equal(500);
    expect((await answer.text()).includes('E_TARGET_UNKNOWN')).to.equal(true);
  });
});
