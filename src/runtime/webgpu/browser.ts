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
import {
  type ExecutionOptions,
  type Executor,
  fromWireRecord,
  type LoadedModel,
  openStrictly,
  toWireRecord,
  withoutFallback,
} from '../executor.js';
import { withoutPast } from '../first-run.js';
import type { Port } from '../session.js';
import { typeOfMetadata } from '../tensor.js';
import { unframe } from './frame.js';
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

type Metadata = Parameters<typeof typeOfMetadata>[0] & { readonly name: string };
const port = (each: Metadata): Port => ({ name: each.name, type: typeOfMetadata(each) });

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
    const executor = (name: string, provider: 'webgpu' | 'wasm'): Executor => ({
      name,
      open: (file, options) => this.#open(provider, file, options ?? {}),
      close: () => this.close(),
    });
    this.webgpu = executor('WebGPU, in a browser on SwiftShader', 'webgpu');
    this.wasm = executor('WebAssembly, in a browser', 'wasm');
    browser.once('error', (error) => server.fail(error));
    browser.once('exit', (code, signal) =>
      server.fail(new Error(`the browser died of ${signal ?? `exit code ${code}`}`)),
    );
  }

  async #open(
    provider: 'webgpu' | 'wasm',
    file: string,
    { extra = {}, strict = 'preferred', timeout = TEN_MINUTES }: ExecutionOptions,
  ): Promise<LoadedModel> {
    const external = externalFiles(file);
    const ask = (job: PageJob) => this.#within(job, file, timeout);
    // WebAssembly is the CPU's provider itself.
    return openStrictly(provider === 'wasm' ? 'off' : strict, async (forbidden) => {
      const config = forbidden ? withoutFallback(extra) : extra;
      const opened = await ask({ kind: 'open', file, provider, external, extra: config });
      const model = opened.id;
      const ports = JSON.parse(opened.body.toString('utf8')) as Record<'inputs' | 'outputs', Metadata[]>;
      const inputs = ports.inputs.map(port);
      return {
        inputs,
        outputs: ports.outputs.map(port),
        strict: forbidden,
        run: async (feeds) => {
          const { body } = await ask({ kind: 'run', model, feeds: toWireRecord(withoutPast(inputs, feeds)) });
          return fromWireRecord(unframe(body));
        },
        release: async () => {
          await ask({ kind: 'release', model });
          return undefined;
        },
      };
    });
  }

  async #within(job: PageJob, file: string, timeout: number) {
    let clock: NodeJS.Timeout | undefined;
    const hung = new Promise<never>((_, reject) => {
      clock = setTimeout(() => {
        reject(new Error(`the browser gave no answer for ${timeout / 1000} s`));
        this.#kill();
      }, timeout);
    });
    try {
      return await Promise.race([this.#server.ask(job), hung]);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      const refused = cause instanceof PageError;
      throw new QuantcError(
        refused ? 'E_EXECUTOR_RUN' : 'E_EXECUTOR_LOST',
        refused ? `onnxruntime-web does not run the model: ${message}` : message,
        { place: { file }, cause },
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
