/** A local server for one page: hands out the page, onnxruntime-web's files and jobs, and takes the answers. */
import { createReadStream, existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, extname, join } from 'node:path';
import type { WireRecord } from '../executor.js';
import { frame } from './frame.js';
import { PAGE } from './page.js';

/** What the page is asked to do. A model is known by the number of the question that opened it. */
export type PageJob =
  | {
      readonly kind: 'open';
      readonly file: string;
      readonly provider: 'webgpu' | 'wasm';
      /** Names of the files of external data beside the model. */
      readonly external: readonly string[];
      readonly extra: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'run'; readonly model: number; readonly feeds: WireRecord }
  | { readonly kind: 'release'; readonly model: number };

interface Pending {
  readonly id: number;
  readonly job: PageJob;
  readonly resolve: (answer: { id: number; body: Buffer }) => void;
  readonly reject: (error: Error) => void;
}

/** What the page says went wrong, as opposed to the page going away. */
export class PageError extends Error {}

/** Pages that may use shared memory and must not load from elsewhere. */
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cache-Control': 'no-store',
};
const TYPES: Readonly<Record<string, string>> = { '.wasm': 'application/wasm', '.mjs': 'text/javascript' };

export class PageServer {
  readonly #server: Server;
  readonly #ortFolder: string;
  readonly #waiting: Pending[] = [];
  #current: Pending | undefined;
  /** The page's open question for a job. */
  #asking: ServerResponse | undefined;
  #count = 0;
  #dead: Error | undefined;

  /** @param ortFolder `dist` of onnxruntime-web */
  constructor(ortFolder: string) {
    this.#ortFolder = ortFolder;
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  /** Listens on the loopback interface alone; answers with the page's address. */
  listen(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', () =>
        resolve(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`),
      );
    });
  }

  /**
   * Has the page do a job; answers with its body and number.
   * @throws PageError with the page's message; what {@link fail} was given
   */
  ask(job: PageJob): Promise<{ id: number; body: Buffer }> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id: ++this.#count, job, resolve, reject });
      this.#offer();
    });
  }

  /** Rejects everything that waits and will come: the page will not answer any more. */
  fail(error: Error): void {
    this.#dead ??= error;
    for (const each of [this.#current, ...this.#waiting.splice(0)]) each?.reject(error);
    this.#current = undefined;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #offer(): void {
    if (this.#asking === undefined || this.#current !== undefined) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#current = next;
    const { file: _file, feeds: _feeds, ...question } = { file: '', feeds: {}, ...next.job };
    this.#asking.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json' });
    this.#asking.end(JSON.stringify({ id: next.id, ...question }));
    this.#asking = undefined;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, search } = new URL(request.url ?? '/', 'http://page');
    const question = decodeURIComponent(search.slice(1));
    const text = (body: string | Buffer, type: string): void => {
      response.writeHead(200, { ...HEADERS, 'Content-Type': type });
      response.end(body);
    };
    const job = this.#current?.job;
    if (pathname === '/') text(PAGE, 'text/html');
    else if (pathname === '/job') {
      this.#asking = response;
      this.#offer();
    } else if (pathname === '/done' || pathname === '/failed') {
      this.#settle(request, response, pathname === '/done');
    } else if (pathname.startsWith('/ort/')) send(join(this.#ortFolder, basename(pathname)), response);
    else if (pathname === '/model' && job?.kind === 'open') send(job.file, response);
    else if (pathname === '/feeds' && job?.kind === 'run') text(frame(job.feeds), 'application/octet-stream');
    else if (pathname === '/data' && job?.kind === 'open' && job.external.includes(question))
      send(join(dirname(job.file), question), response);
    else {
      response.writeHead(404, HEADERS);
      response.end();
    }
  }

  #settle(request: IncomingMessage, response: ServerResponse, done: boolean): void {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const settled = this.#current;
      this.#current = undefined;
      const body = Buffer.concat(parts);
      if (done) settled?.resolve({ id: settled.id, body });
      else settled?.reject(new PageError(body.toString('utf8')));
      response.writeHead(204, HEADERS);
      response.end();
    });
  }
}

function send(path: string, response: ServerResponse): void {
  if (!existsSync(path)) {
    response.writeHead(404, HEADERS);
    response.end();
    return;
  }
  response.writeHead(200, {
    ...HEADERS,
    'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
  });
  createReadStream(path)
    .on('error', () => response.destroy())
    .pipe(response);
}
