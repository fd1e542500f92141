/** ONNX Runtime's native WebGPU provider as an executor: the system's adapter, else SwiftShader where it is installed. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuantcError } from '../../errors/error.js';
import {
  type ExecutionOptions,
  type Executor,
  fromWireRecord,
  type LoadedModel,
  toWireRecord,
} from '../executor.js';
import { engineFacts, MEND_NATIVE } from '../load.js';
import type { ChildAnswer, ChildJob } from './child.js';
import { swiftShader, swiftShaderMissing } from './packs.js';

/** How a machine without an adapter, or a binding without the provider, answers. */
const NO_ADAPTER =
  /Failed to get a WebGPU adapter|No supported adapters|is unsupported: 'webgpu'|backend not found/i;
const TEN_MINUTES = 600_000;

/** Where the last run of this process found an adapter: asked of every machine once. */
let known: 'system' | 'swiftshader' | undefined;

/**
 * Runs each model in a child process, with fallback to the CPU forbidden where that is possible, and says for every
 * kernel which provider ran it.
 */
export const webgpuNative: Executor = {
  get name() {
    return known === 'swiftshader' ? 'WebGPU, native on SwiftShader' : 'WebGPU, native';
  },
  async open(file, options = {}) {
    if ((await engineFacts()).engine !== 'native') {
      throw new QuantcError('E_EXECUTOR_ABSENT', 'the native WebGPU provider comes with onnxruntime-node', {
        kind: 'usage',
        hint: `Run \`${MEND_NATIVE}\`.`,
      });
    }
    if (known !== 'swiftshader') {
      try {
        const loaded = await openIn({}, file, options);
        known = 'system';
        return loaded;
      } catch (error) {
        if (!(error instanceof Error) || !NO_ADAPTER.test(error.message)) throw error;
      }
      const missing = swiftShaderMissing();
      if (missing !== undefined) {
        throw new QuantcError('E_EXECUTOR_ABSENT', `there is no WebGPU adapter here, and ${missing}`, {
          kind: 'usage',
          hint: 'Run `npm install --save-dev @sparticuz/chromium@143.0.4` for a software adapter.',
        });
      }
      known = 'swiftshader';
    }
    return openIn(swiftShader(), file, options);
  },
  async close() {},
};

async function openIn(
  more: Readonly<Record<string, string>>,
  file: string,
  { extra = {}, strict = 'preferred', timeout = TEN_MINUTES }: ExecutionOptions,
): Promise<LoadedModel> {
  const child = new Child(file, more, timeout);
  const { folder } = child;
  const opened = await child.ask({ kind: 'open', file, extra, strict, folder }, 'open');
  return {
    inputs: opened.inputs,
    outputs: opened.outputs,
    strict: opened.strict,
    run: async (feeds) =>
      fromWireRecord((await child.ask({ kind: 'run', feeds: toWireRecord(feeds) }, 'run')).outputs),
    release: async () => (await child.ask({ kind: 'release' }, 'release')).nodes,
  };
}

/** One process with one model. It goes by itself when the model is released, when something fails, and with its parent. */
class Child {
  /** For what it writes; removed when it is gone. */
  readonly folder = mkdtempSync(join(tmpdir(), 'quantc-webgpu-'));
  readonly #process: ChildProcess;
  readonly #file: string;
  readonly #timeout: number;
  #noise = '';
  #settle: ((outcome: ChildAnswer | Error) => void) | undefined;
  #lost: Error | undefined;

  constructor(file: string, more: Readonly<Record<string, string>>, timeout: number) {
    this.#file = file;
    this.#timeout = timeout;
    this.#process = start(more);
    this.#process.stderr?.on('data', (text) => {
      this.#noise = (this.#noise + text).slice(-4000);
    });
    this.#process.on('message', (answer) => this.#settle?.(answer as ChildAnswer));
    this.#process.once('error', (error) => this.#lose(`could not be started: ${error.message}`));
    this.#process.once('close', (code, signal) => {
      rmSync(this.folder, { recursive: true, force: true });
      this.#lose(`died of ${signal ?? `exit code ${code}`}`);
    });
  }

  /** @throws QuantcError E_EXECUTOR_RUN for what the child says went wrong, E_EXECUTOR_LOST when it says nothing more */
  async ask<K extends ChildJob['kind']>(job: ChildJob, kind: K): Promise<Extract<ChildAnswer, { kind: K }>> {
    const outcome = await new Promise<ChildAnswer | Error>((resolve) => {
      if (this.#lost !== undefined) return resolve(this.#lost);
      const clock = setTimeout(() => {
        this.#lose(`gave no answer for ${this.#timeout / 1000} s`);
        this.#process.kill('SIGKILL');
      }, this.#timeout);
      this.#settle = (settled) => {
        clearTimeout(clock);
        this.#settle = undefined;
        resolve(settled);
      };
      this.#process.send(job, (error) => error && this.#lose(`did not take a question: ${error.message}`));
    });
    if (outcome instanceof Error) throw outcome;
    if (outcome.kind === kind) return outcome as Extract<ChildAnswer, { kind: K }>;
    const message =
      outcome.kind === 'failed' ? outcome.message : `a ${outcome.kind} was answered to a ${kind}`;
    throw new QuantcError('E_EXECUTOR_RUN', `WebGPU does not run the model: ${message}`, {
      place: { file: this.#file },
    });
  }

  #lose(what: string): void {
    this.#lost ??= new QuantcError('E_EXECUTOR_LOST', `the process that ran the model on WebGPU ${what}`, {
      place: { file: this.#file },
      hint: this.#noise.trim().split('\n').at(-1),
    });
    this.#settle?.(this.#lost);
  }
}

function start(more: Readonly<Record<string, string>>): ChildProcess {
  const source = import.meta.url.endsWith('.ts');
  return fork(new URL(source ? './child.ts' : './child.js', import.meta.url), [], {
    execArgv: source ? ['--import', import.meta.resolve('tsx/esm')] : [],
    env: { ...process.env, ...more },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}
