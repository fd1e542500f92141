/** Turns lazy tensors into bytes: on this thread for small work, on worker threads for large. */
import { availableParallelism } from 'node:os';
import { QuantcError } from '../errors/error.js';
import { narrowJob } from '../ir/narrowed.js';
import { Tensor, viewBytes } from '../ir/tensor.js';
import type { WriteOptions } from '../onnx/write.js';
import { blockJob } from '../quant/block-weight.js';
import type { FittedScales } from '../quant/fit.js';
import { asElements, knownScales, rememberScales, type WeightSpec, weightJob } from '../quant/weight.js';
import { all, BlockWork } from './block-work.js';
import { type FilePlace, fileSink } from './endpoint.js';
import { sourceParts } from './source.js';
import { canStream } from './stream.js';
import { runTask, runWeight, type Task, type TaskResult, type WeightTask } from './task.js';
import { closedError, Threads } from './threads.js';

export interface PoolOptions {
  /** Threads for large work; 1 keeps everything on the calling thread. Default: what the machine offers, at most 8. */
  readonly threads?: number;
  /** Bytes of results that may be under way at once; one result may always be. Default 256 MiB. */
  readonly maxMemory?: number;
  /** Bytes of work, all told, from which threads are started. Default 32 MiB: less is done before they are up. */
  readonly threadsFrom?: number;
}

/** Copies are cut into pieces of this size, so that threads end together. */
const COPY_PIECE = 8 << 20;

interface Waiting {
  /** Makes the task when its turn has come. */
  readonly make: () => Task;
  /** Bytes of the answer. */
  readonly held: number;
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Executes derivations. Bytes are the same with any number of threads, and equal to `tensor.bytes()`. A pool that has
 * done its work keeps no process alive; `close` ends its threads at once.
 */
export class KernelPool {
  readonly #threads: Threads | undefined;
  readonly #maxMemory: number;
  readonly #threadsFrom: number;
  readonly #waiting: Waiting[] = [];
  readonly #finding = new WeakMap<WeightSpec, Promise<unknown>>();
  readonly #blocks = new BlockWork((make, size, held) => this.#queue(make, size, held));
  #workBytes = 0;
  #held = 0;
  #scheduled = false;
  #closed = false;

  constructor(options: PoolOptions = {}) {
    const threads = options.threads ?? Math.min(8, availableParallelism());
    if (!(Number.isInteger(threads) && threads >= 1)) {
      throw new QuantcError('E_POOL_THREADS', `a pool has one thread or more, not ${threads}`, {
        kind: 'usage',
      });
    }
    // The calling thread works too: it is at it while the others are still starting.
    this.#threads = threads > 1 ? new Threads(threads - 1) : undefined;
    this.#maxMemory = options.maxMemory ?? 256 << 20;
    this.#threadsFrom = options.threadsFrom ?? 32 << 20;
  }

  /**
   * A tensor's raw bytes. Ask for many at once and they are made side by side.
   * @throws QuantcError as `Tensor.bytes` does.
   */
  async materialize(tensor: Tensor): Promise<Uint8Array> {
    const { source } = tensor;
    const blocks = source.kind === 'derived' ? blockJob(source.job) : undefined;
    if (source.kind === 'derived' && blocks !== undefined) {
      return this.#blocks.materialize(source.from[0]!, blocks.spec, blocks.output);
    }
    const job = source.kind === 'derived' ? weightJob(source.job) : undefined;
    if (source.kind === 'derived' && source.from.some(isBlocks)) {
      const from = source.from.map(async (each) =>
        isBlocks(each) ? Tensor.of(each.dtype, each.shape, await this.materialize(each)) : each,
      );
      return viewBytes(source.compute(await Promise.all(from)));
    }
    if (source.kind !== 'derived' || job === undefined) {
      await this.#findScalesFor(tensor);
      return tensor.bytes();
    }
    const input = source.from[0]!;
    if (job.output === 'q') return (await this.#quantize(input, job.spec)).bytes!;
    const { scale, zeroPoint } = await this.#scalesOf(input, job.spec);
    return viewBytes(job.output === 'scale' ? scale : asElements(zeroPoint, job.spec));
  }

  /**
   * Writes a tensor's raw bytes into an existing file; copies and quantized weights do not pass through this thread.
   * @throws QuantcError as `Tensor.bytes` does, and E_TENSOR_WRITE.
   */
  async place(tensor: Tensor, place: FilePlace): Promise<void> {
    const { source } = tensor;
    if (source.kind === 'file') {
      const { path, offset, length } = source;
      const pieces: Promise<TaskResult>[] = [];
      for (let at = 0; at < length; at += COPY_PIECE) {
        const size = Math.min(COPY_PIECE, length - at);
        const range = { path, offset: offset + at, length: size };
        const to = { path: place.path, offset: place.offset + at };
        pieces.push(this.#run({ kind: 'copy', range, place: to }, size, 0));
      }
      return all(pieces);
    }
    const blocks = source.kind === 'derived' ? blockJob(source.job) : undefined;
    if (source.kind === 'derived' && blocks !== undefined) {
      return this.#blocks.place(source.from[0]!, blocks.spec, blocks.output, place);
    }
    const job = source.kind === 'derived' ? weightJob(source.job) : undefined;
    if (source.kind === 'derived' && job?.output === 'q') {
      await this.#quantize(source.from[0]!, job.spec, place);
      return;
    }
    const half = source.kind === 'derived' ? narrowJob(source.job) : undefined;
    if (source.kind === 'derived' && half !== undefined && source.from[0]!.dtype === 'float') {
      const from = sourceParts(source.from[0]!);
      const task = from && ({ kind: 'narrow', from, dtype: half, place } as const);
      if (task !== undefined) return void (await this.#run(task, from!.range.length, 0));
    }
    const bytes = await this.materialize(tensor);
    const sink = fileSink(place);
    try {
      sink.write(bytes, 0);
    } finally {
      sink.close();
    }
  }

  /** Starts the threads ahead of work that is sure to come, so that it finds them up. */
  warm(): void {
    this.#threads?.warm();
  }

  /** What `writeModel` takes to write with this pool: `writeModel(model, path, { ...pool.writing })`. */
  get writing(): Pick<WriteOptions, 'materialize' | 'place'> {
    return {
      materialize: (tensor) => this.materialize(tensor),
      place: (tensor, place) => this.place(tensor, place),
    };
  }

  /** Ends the threads; work that is not done is rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closedError());
    await this.#threads?.close();
  }

  /** Before a derivation without a job computes here, finds the scales that it draws on: they may want a large read. */
  async #findScalesFor({ source }: Tensor): Promise<void> {
    if (source.kind !== 'derived') return;
    for (const input of source.from) {
      const job = input.source.kind === 'derived' ? weightJob(input.source.job) : undefined;
      if (job === undefined) await this.#findScalesFor(input);
      else if (job.output !== 'q' && input.source.kind === 'derived') {
        await this.#scalesOf(input.source.from[0]!, job.spec);
      }
    }
  }

  async #quantize(input: Tensor, spec: WeightSpec, place?: FilePlace): Promise<TaskResult> {
    // Scales that are being looked for already are worth waiting for: the weight is then read once less.
    await this.#finding.get(spec);
    const result = this.#weight(input, { spec, known: knownScales(spec), want: 'q', place });
    if (knownScales(spec) === undefined) this.#finding.set(spec, result);
    return result;
  }

  async #scalesOf(input: Tensor, spec: WeightSpec): Promise<FittedScales> {
    // Whoever asks for all results of a weight in one go gets the scales as a by-product of the integers.
    if (knownScales(spec) === undefined && !this.#finding.has(spec)) await new Promise(setImmediate);
    if (knownScales(spec) === undefined && !this.#finding.has(spec)) {
      this.#finding.set(spec, this.#weight(input, { spec, want: 'scales' }));
    }
    await this.#finding.get(spec);
    return knownScales(spec)!;
  }

  async #weight(input: Tensor, wanted: Omit<WeightTask, 'kind' | 'input'>): Promise<TaskResult> {
    const { dtype, shape } = input;
    const held = wanted.want === 'q' && !wanted.place ? input.count : 0;
    const from = sourceParts(input);
    // What is read otherwise than in float32, or has no kernel, must be what stands in the file.
    const plain =
      from !== undefined && (from.steps.length === 0 || (dtype === 'float' && canStream(wanted.spec)));
    const task: WeightTask | undefined = plain
      ? { kind: 'weight', input: { dtype, shape, from }, ...wanted }
      : undefined;
    const result = task ? await this.#run(task, from!.range.length, held) : runWeight(input, wanted);
    if (result.scales) rememberScales(wanted.spec, result.scales);
    return result;
  }

  #run(task: Task, size: number, held: number): Promise<TaskResult> {
    return this.#queue(() => task, size, held);
  }

  #queue(make: () => Task, size: number, held: number): Promise<TaskResult> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ make, held, resolve, reject });
      this.#workBytes += size;
      this.#schedule();
    });
  }

  /** Hands waiting tasks out, in order: to the threads while they have room, else one to this thread. */
  #work(): void {
    this.#scheduled = false;
    const threads = this.#workBytes >= this.#threadsFrom ? this.#threads : undefined;
    while (this.#fits() && threads?.hasRoom)
      this.#settle(this.#waiting.shift()!, (task) => threads.run(task));
    if (this.#fits()) this.#settle(this.#waiting.shift()!, async (task) => runTask(task));
    if (this.#fits()) this.#schedule();
  }

  /** Whether there is a next task, and its answer fits beside those under way. */
  #fits(): boolean {
    const next = this.#waiting[0];
    if (next === undefined) return false;
    return this.#held === 0 || next.held === 0 || this.#held + next.held <= this.#maxMemory;
  }

  #settle({ make, held, resolve, reject }: Waiting, run: (task: Task) => Promise<TaskResult>): void {
    this.#held += held;
    run(make())
      .then(resolve, reject)
      .finally(() => {
        this.#held -= held;
        if (this.#waiting.length > 0) this.#schedule();
      });
  }

  /** In a turn of its own: by then everybody who asks now has asked, and threads' answers have been heard. */
  #schedule(): void {
    if (!this.#scheduled) setImmediate(() => this.#work());
    this.#scheduled = true;
  }
}

const isBlocks = ({ source }: Tensor): boolean =>
  source.kind === 'derived' && blockJob(source.job) !== undefined;
