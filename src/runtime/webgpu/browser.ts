/** onnxruntime-web in a real headless browser, as two executors: its native WebGPU provider, and WebAssembly. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { QuantcError } from '../../errors/error.js';
import { tensorsOf } from '../../onnx/external-layout.js';
import { readModel } from '../../onnx/read.js';
import type { Feed } from '../compare.js';
import {
  type Execution,
  type ExecutionOptions,
  type Executor,
  FALLBACK,
  fromWire,
  toWire,
} from '../executor.js';
import { packedBrowser } from './packs.js';
import { PageError, type PageJob, PageServer } from './page-server.js';

/**
 * Headless, no sandbox (the page is our own and loads nothing from elsewhere), WebGPU on SwiftShader. The pipe for
 * debugging is there for its end: the browser quits when the process that holds it does.
 */
const FLAGS = [
  '--headless=shell',
  '--no-sandbox',
  '--no-zygote',
  '--no-first-run',
  '--disable-gpu-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--ignore-gpu-blocklist',
  '--enable-unsafe-webgpu',
  '--enable-unsafe-swiftshader',
  '--use-webgpu-adapter=swiftshader',
  '--remote-debugging-pipe',
];
const TEN_MINUTES = 600_000;

/** A browser with its page; made by {@link launchBrowser}. */
export class Browser {
  readonly webgpu: Executor;
  readonly wasm: Executor;
  readonly #server: PageServer;
  readonly #process: ChildProcess;
  readonly #profile: string;

  /** @internal */
  constructor(server: PageServer, browser: ChildProcess, profile: string) {
    this.#server = server;
    this.#process = browser;
    this.#profile = profile;
    const executor = (name: string, provider: PageJob['provider']): Executor => ({
      name,
      run: (file, feeds, options) => this.#run(provider, file, feeds, options ?? {}),
      close: () => this.close(),
    });
    this.webgpu = executor('WebGPU, in a browser on SwiftShader', 'webgpu');
    this.wasm = executor('WebAssembly, in a browser', 'wasm');
    browser.once('error', (error) => server.fail(error));
    browser.once('exit', (code, signal) =>
      server.fail(new Error(`the browser died of ${signal ?? `exit code ${code}`}`)),
    );
  }

  async #run(
    provider: PageJob['provider'],
    file: string,
    feeds: readonly Feed[],
    options: ExecutionOptions,
  ): Promise<Execution> {
    const session = (options.extra?.['session'] ?? {}) as Record<string, unknown>;
    const forbidden = { ...options.extra, session: { ...session, disable_cpu_ep_fallback: '1' } };
    const execute = async (strict: boolean): Promise<Execution> => {
      const job: PageJob = {
        file,
        provider,
        external: externalFiles(file),
        extra: strict ? forbidden : (options.extra ?? {}),
        feeds: feeds.map((feed) =>
          Object.fromEntries(Object.entries(feed).map(([name, tensor]) => [name, toWire(tensor)])),
        ),
      };
      const records = await this.#within(job, options.timeout ?? TEN_MINUTES);
      const outputs = records.map((record) =>
        Object.fromEntries(Object.entries(record).map(([name, tensor]) => [name, fromWire(name, tensor)])),
      );
      return { outputs, strict };
    };
    // WebAssembly is the CPU's provider itself.
    if (provider === 'wasm' || options.strict === 'off') return execute(false);
    try {
      return await execute(true);
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      if (options.strict === 'required' || !FALLBACK.test(message)) throw error;
      return execute(false);
    }
  }

  async #within(job: PageJob, timeout: number) {
    let clock: NodeJS.Timeout | undefined;
    const hung = new Promise<never>((_, reject) => {
      clock = setTimeout(() => {
        reject(new Error(`the browser gave no answer for ${timeout / 1000} s`));
        this.#kill();
      }, timeout);
    });
    try {
      return await Promise.race([this.#server.run(job), hung]);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      const refused = cause instanceof PageError;
      throw new QuantcError(
        refused ? 'E_EXECUTOR_RUN' : 'E_EXECUTOR_LOST',
        refused ? `onnxruntime-web does not run the model: ${message}` : message,
        { place: { file: job.file }, cause },
      );
    } finally {
      clearTimeout(clock);
    }
  }

  /** Ends the browser with all processes that it started: they are a group of their own. */
  #kill(): void {
    const { pid } = this.#process;
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  }

  /** Ends the browser and removes what it wrote. */
  async close(): Promise<void> {
    this.#server.close();
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#kill();
      await ended;
    }
    // Its other processes go a moment later, and write until they do.
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/**
 * Starts a browser on a page that waits for models.
 * @throws QuantcError E_EXECUTOR_ABSENT without `@sparticuz/chromium` or `onnxruntime-web`
 */
export async function launchBrowser(): Promise<Browser> {
  const ort = webRuntime();
  const { path, env } = packedBrowser();
  const server = new PageServer(ort);
  const address = await server.listen();
  const profile = mkdtempSync(join(tmpdir(), 'quantc-browser-'));
  const browser = spawn(path, [...FLAGS, `--user-data-dir=${profile}`, address], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  return new Browser(server, browser, profile);
}

/** The files that a model's tensors lie in besides itself, relative to its folder. */
function externalFiles(file: string): string[] {
  const folder = resolve(dirname(file));
  const names = new Set<string>();
  for (const { tensor } of tensorsOf(readModel(file))) {
    if (tensor.source.kind === 'file' && resolve(tensor.source.path) !== resolve(file))
      names.add(relative(folder, tensor.source.path));
  }
  return [...names];
}

function webRuntime(): string {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/webgpu'));
    if (existsSync(join(folder, 'ort.webgpu.min.mjs'))) return folder;
  } catch {
    // Said below.
  }
  throw new QuantcError('E_EXECUTOR_ABSENT', 'the package onnxruntime-web is not installed', {
    kind: 'usage',
    hint: 'Run `npm install --save-dev onnxruntime-web@1.30.0`.',
  });
}
