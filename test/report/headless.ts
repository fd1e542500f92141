/** A page in a headless browser, over Chromium's debugging pipe: what it shows, what it logs, how long it takes. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { packedBrowser } from '../../src/runtime/webgpu/packs.js';

export interface Clip {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface OpenPage {
  /** The value of an expression, as JSON has it. */
  evaluate(expression: string): Promise<unknown>;
  /** A PNG of the page, or of a part of it, in its pixels. */
  screenshot(clip?: Clip): Promise<Buffer>;
  /** Errors and warnings that the page logged, uncaught exceptions included. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

const FLAGS = [
  '--headless=shell',
  '--no-sandbox',
  '--no-zygote',
  '--no-first-run',
  '--disable-gpu-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--remote-debugging-pipe',
];

/** WebGPU on SwiftShader, as the executor of targets for WebGPU has it. */
const WEBGPU = [
  '--ignore-gpu-blocklist',
  '--enable-unsafe-webgpu',
  '--enable-unsafe-swiftshader',
  '--use-webgpu-adapter=swiftshader',
];

export interface View {
  /** Pixels. */
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
  /** The page has WebGPU, in software. */
  readonly webgpu?: boolean;
}

/** Opens a file, or a page of a server by its URL. @throws QuantcError E_EXECUTOR_ABSENT where there is no browser here */
export async function openPage(
  file: string,
  { width = 1100, height = 2400, scheme = 'light', webgpu = false }: View = {},
): Promise<OpenPage> {
  const { path, env } = packedBrowser();
  const profile = mkdtempSync(join(tmpdir(), 'quantc-page-'));
  const browser = spawn(
    path,
    [...FLAGS, ...(webgpu ? WEBGPU : []), `--user-data-dir=${profile}`, 'about:blank'],
    {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
    },
  );
  const [to, from] = [browser.stdio[3] as Writable, browser.stdio[4] as Readable];
  const waiting = new Map<number, (message: Message) => void>();
  const complaints: string[] = [];
  let loaded: () => void = () => {};
  const whenLoaded = new Promise<void>((resolve) => {
    loaded = resolve;
  });
  let rest = '';
  from.on('data', (piece) => {
    const messages = (rest + String(piece)).split('\0');
    rest = messages.pop()!;
    for (const text of messages) {
      const message = JSON.parse(text) as Message;
      if (message.id !== undefined) waiting.get(message.id)?.(message);
      else if (message.method === 'Page.loadEventFired') loaded();
      else if (/^Log\.entryAdded$|^Runtime\.(?:exceptionThrown|consoleAPICalled)$/.test(message.method!))
        complaints.push(JSON.stringify(message.params));
    }
  });
  let last = 0;
  let sessionId: string | undefined;
  const ask = (method: string, params: object = {}): Promise<Record<string, unknown>> =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ result, error }) =>
        error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result!),
      );
      to.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    });
  const { targetId } = await ask('Target.createTarget', { url: 'about:blank' });
  sessionId = (await ask('Target.attachToTarget', { targetId, flatten: true }))['sessionId'] as string;
  for (const domain of ['Page', 'Runtime', 'Log']) await ask(`${domain}.enable`);
  await ask('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  await ask('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  await ask('Page.navigate', { url: /^https?:/.test(file) ? file : pathToFileURL(file).href });
  await whenLoaded;
  return {
    complaints,
    async evaluate(expression) {
      const { result, exceptionDetails } = await ask('Runtime.evaluate', { expression, returnByValue: true });
      if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { readonly value?: unknown }).value;
    },
    async screenshot(clip) {
      const { data } = await ask('Page.captureScreenshot', {
        captureBeyondViewport: true,
        ...(clip && { clip: { ...clip, scale: 1 } }),
      });
      return Buffer.from(data as string, 'base64');
    },
    async close() {
      const ended = new Promise((resolve) => browser.once('exit', resolve));
      process.kill(-browser.pid!, 'SIGKILL');
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}
