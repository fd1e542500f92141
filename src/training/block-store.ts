/** What a cut held for each batch, kept in memory or in a file of its own. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';

/** One tensor a batch, all of one dtype and shape. */
export class BatchStore {
  readonly #inMemory: boolean;
  readonly #kept = new Map<number, Tensor>();
  #folder: string | undefined;
  #file: number | undefined;
  #form: Pick<Tensor, 'dtype' | 'shape' | 'byteLength'> | undefined;

  /** @param inMemory else in a temporary file, which {@link remove} takes away */
  constructor(inMemory: boolean) {
    this.#inMemory = inMemory;
  }

  /** Where the file lies, if there is one. */
  get folder(): string | undefined {
    return this.#folder;
  }

  /** @throws QuantcError E_FINETUNE_BLOCKS where a batch has another form than those before */
  put(batch: number, tensor: Tensor): void {
    const { dtype, shape, byteLength } = tensor;
    this.#form ??= { dtype, shape, byteLength };
    if (this.#form.dtype !== dtype || this.#form.shape.join() !== shape.join()) {
      throw new QuantcError(
        'E_FINETUNE_BLOCKS',
        `a cut holds ${dtype}[${shape}] in one batch and ${this.#form.dtype}[${this.#form.shape}] in another`,
        { hint: 'Train the model whole, without --blocks.' },
      );
    }
    if (this.#inMemory) {
      this.#kept.set(batch, tensor);
      return;
    }
    const file = this.#opened();
    const bytes = tensor.bytes();
    for (let done = 0; done < byteLength; )
      done += writeSync(file, bytes, done, byteLength - done, batch * byteLength + done);
  }

  get(batch: number): Tensor {
    if (this.#inMemory) return this.#kept.get(batch)!;
    const { dtype, shape, byteLength } = this.#form!;
    const bytes = new Uint8Array(byteLength);
    for (let done = 0; done < byteLength; ) {
      const read = readSync(this.#file!, bytes, done, byteLength - done, batch * byteLength + done);
      if (read === 0)
        throw new QuantcError('F_BLOCK_STORE', `batch ${batch} was never kept`, { kind: 'fault' });
      done += read;
    }
    return Tensor.of(dtype, shape, bytes);
  }

  remove(): void {
    this.#kept.clear();
    if (this.#file !== undefined) closeSync(this.#file);
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#file = undefined;
    this.#folder = undefined;
  }

  #opened(): number {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'quantc-blocks-'));
    this.#file ??= openSync(join(this.#folder, 'batches'), 'w+');
    return this.#file;
  }
}
