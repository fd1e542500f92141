/** Turns lazy tensors into bytes: on this thread for small work, on worker threads for large. */
import { availableParallelism } from 'node:os';
import { QuantcError } from '../errors/error.js';
import { type Tensor, viewBytes } from '../ir/tensor.js';
import type { WriteOptions } from '../onnx/write.js';
import type { FittedScales } from '../quant/fit.js';
import { asElements, knownScales, rememberScales, type WeightSpec, weightJob } from '../quant/weight.js';
import { type FilePlace, fileSink } from './endpoint.js';
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

interface Waiting {
  readonly task: Task;
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
    this.#threads = threads > 1 ? new Threads(threads) : undefined;
    this.#maxMemory = options.maxMemory ?? 256 << 20;
    this.#threadsFrom = options.threadsFrom ?? 32 << 20;
  }

  /**
   * A tensor's raw bytes. Ask for many at once and they are made side by side.
   * @throws QuantcError as `Tensor.bytes` does.
   */
  async materialize(tensor: Tensor): Promise<Uint8Array> {
    const { source } = tensor;
    const job = source.kind === 'derived' ? weightJob(source.job) : undefined;
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
      await this.#run({ kind: 'copy', range: { path, offset, length }, place }, length, 0);
      return;
    }
    const job = source.kind === 'derived' ? weightJob(source.job) : undefined;
    if (source.kind === 'derived' && job?.output === 'q') {
      await this.#quantize(source.from[0]!, job.spec, place);
      return;
    }
    const bytes = await this.materialize(tensor);
    const sink = fileSink(place);
    try {
      sink.write(bytes, 0);
    } finally {
      sink.close();
    }
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
    const { dtype, shape, source } = input;
    const held = wanted.want === 'q' && !wanted.place ? input.count : 0;
    const result =
      source.kind === 'file'
        ? await this.#run(
            {
              kind: 'weight',
              input: {
                dtype,
                shape,
                range: { path: source.path, offset: source.offset, length: source.length },
              },
              ...wanted,
            },
            source.length,
            held,
          )
        : runWeight(input, wanted);
    if (result.scales) rememberScales(wanted.spec, result.scales);
    return result;
  }

  #run(task: Task, size: number, held: number): Promise<TaskResult> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, held, resolve, reject });
      this.#workBytes += size;
      // Decided when everybody who asks now has asked: whether threads pay depends on the whole.
      if (!this.#scheduled) setImmediate(() => this.#start());
      this.#scheduled = true;
    });
  }

  #start(): void {
    this.#scheduled = false;
    if (this.#threads && this.#workBytes >= this.#threadsFrom) this.#dispatch(this.#threads);
    else {
      for (const { task, resolve, reject } of this.#waiting.splice(0)) {
        try {
          resolve(runTask(task));
        } catch (error) {
          reject(error);
        }
      }
    }
  }

  /** Sends waiting tasks to the threads, in order, as far as their answers fit. */
  #dispatch(threads: Threads): void {
    while (this.#waiting.length > 0) {
      const { task, held, resolve, reject } = this.#waiting[0]!;
      if (this.#held > 0 && held > 0 && this.#held + held > this.#maxMemory) return;
      this.#waiting.shift();
      this.#held += held;
      threads
        .run(task)
        .then(resolve, reject)
        .finally(() => {
          this.#held -= held;
          this.#dispatch(threads);
        });
    }
  }
}
