import { closeSync, openSync, readSync } from 'node:fs';
import { Float16Array } from '@petamoriken/float16';
import { fault, QuantcError } from '../errors/error.js';
import { byteLengthOf, type DType, dtypeFacts, type TypedArray } from './dtype.js';
import { elementCount } from './type.js';

/** A range of a file that holds the raw little-endian bytes of a tensor. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * Where a tensor's bytes come from. Reading dtype and shape never touches them.
 * - `memory`: raw little-endian bytes as ONNX lays them out, perhaps an unaligned view of a larger buffer.
 * - `file`: a range of a file, read when somebody asks.
 * - `derived`: a pure function of other tensors, computed when somebody asks and not kept. `job` says the same
 *   thing as data, for an engine that can run it elsewhere (a worker pool); its result must be equal byte for byte.
 * - `strings`: the elements of a string tensor, as UTF-8 bytes.
 */
export type TensorSource =
  | { readonly kind: 'memory'; readonly bytes: Uint8Array }
  | ({ readonly kind: 'file' } & FileRange)
  | {
      readonly kind: 'derived';
      readonly from: readonly Tensor[];
      readonly compute: (from: readonly Tensor[]) => ArrayBufferView;
      readonly job?: TensorJob;
    }
  | { readonly kind: 'strings'; readonly values: readonly Uint8Array[] };

/** A derivation as plain data: the name of a kernel and its parameters. */
export interface TensorJob {
  readonly kernel: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface TensorOptions {
  readonly name?: string;
  /** Protobuf fields that the IR does not model (doc string, metadata, storage form); kept by the codec. */
  readonly extras?: unknown;
}

/** An immutable constant: dtype and shape at hand, bytes on demand. */
export class Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly source: TensorSource;
  readonly name: string;
  readonly extras?: unknown;

  constructor(dtype: DType, shape: readonly number[], source: TensorSource, options: TensorOptions = {}) {
    this.dtype = dtype;
    this.shape = shape;
    this.source = source;
    this.name = options.name ?? '';
    this.extras = options.extras;
  }

  /** A tensor over a typed array or over raw little-endian bytes; nothing is copied. */
  static of(dtype: DType, shape: readonly number[], data: ArrayBufferView, options?: TensorOptions): Tensor {
    const bytes = viewBytes(data);
    if (bytes.byteLength !== byteLengthOf(dtype, elementCount(shape))) {
      fault('F_TENSOR_SIZE', `${bytes.byteLength} bytes given for ${dtype}[${shape}]`, {
        value: options?.name,
      });
    }
    return new Tensor(dtype, shape, { kind: 'memory', bytes }, options);
  }

  /** Float32 tensor from plain numbers; the shape defaults to one dimension. */
  static floats(values: readonly number[] | Float32Array, shape?: readonly number[]): Tensor {
    return Tensor.of('float', shape ?? [values.length], Float32Array.from(values));
  }

  /**
   * A tensor of no dimensions from one number, rounded to the dtype (float, double, float16 or an integer of 8 bits up).
   * @throws QuantcError E_TENSOR_NUMERIC for other dtypes.
   */
  static scalar(value: number, dtype: DType = 'float'): Tensor {
    const { array, kind, bits } = dtypeFacts(dtype);
    if (dtype === 'float16') return Tensor.of(dtype, [], Float16Array.of(value));
    const isPlain = kind === 'int' || kind === 'uint' ? bits >= 8 : dtype === 'float' || dtype === 'double';
    if (!isPlain) {
      throw new QuantcError('E_TENSOR_NUMERIC', `a plain number cannot be stored as ${dtype}`);
    }
    const data = new array(new ArrayBuffer(bits / 8));
    data[0] = bits === 64 && kind !== 'float' ? BigInt(value) : value;
    return Tensor.of(dtype, [], data);
  }

  /** Int64 tensor from plain integers; the shape defaults to one dimension. */
  static ints(values: readonly (number | bigint)[], shape?: readonly number[]): Tensor {
    return Tensor.of(
      'int64',
      shape ?? [values.length],
      BigInt64Array.from(values, (value) => BigInt(value)),
    );
  }

  /** A tensor that a pure function makes from others when somebody asks for its bytes. */
  static derive(
    dtype: DType,
    shape: readonly number[],
    from: readonly Tensor[],
    compute: (from: readonly Tensor[]) => ArrayBufferView,
    options?: TensorOptions & { job?: TensorJob },
  ): Tensor {
    return new Tensor(dtype, shape, { kind: 'derived', from, compute, job: options?.job }, options);
  }

  get count(): number {
    return elementCount(this.shape);
  }

  /** Bytes that the raw form takes; for strings the sum of their lengths. */
  get byteLength(): number {
    if (this.source.kind === 'strings')
      return this.source.values.reduce((sum, value) => sum + value.length, 0);
    return byteLengthOf(this.dtype, this.count);
  }

  /** Same bytes under another name or shape; nothing is read. */
  with(change: { shape?: readonly number[]; name?: string }): Tensor {
    return new Tensor(this.dtype, change.shape ?? this.shape, this.source, {
      name: change.name ?? this.name,
    });
  }

  /**
   * Raw little-endian bytes, read or computed now. A memory tensor answers with a view that must not be written to.
   * @throws QuantcError E_TENSOR_READ when the file is gone or shorter than promised, E_TENSOR_STRINGS for strings.
   */
  bytes(): Uint8Array {
    const { source } = this;
    switch (source.kind) {
      case 'memory':
        return source.bytes;
      case 'file':
        return readRange(source);
      case 'derived': {
        const bytes = viewBytes(source.compute(source.from));
        if (bytes.byteLength !== this.byteLength) {
          fault(
            'F_TENSOR_SIZE',
            `a derivation gave ${bytes.byteLength} bytes for ${this.dtype}[${this.shape}]`,
            {
              value: this.name,
            },
          );
        }
        return bytes;
      }
      case 'strings':
        throw new QuantcError('E_TENSOR_STRINGS', 'a string tensor has no raw bytes', {
          place: { value: this.name },
        });
    }
  }

  /** The elements as the dtype's typed array (16-bit floats as bit patterns, sub-byte types packed), aligned. */
  data(): TypedArray {
    const bytes = this.bytes();
    const { array } = dtypeFacts(this.dtype);
    const width = array.BYTES_PER_ELEMENT;
    const length = Math.floor(bytes.byteLength / width);
    if (bytes.byteOffset % width === 0) return new array(bytes.buffer, bytes.byteOffset, length);
    // Not `slice`: a Buffer's shares the memory that it was cut from.
    const copy = new Uint8Array(bytes);
    return new array(copy.buffer, 0, length);
  }

  /**
   * The elements as float32, whatever real dtype of at least 8 bits they are stored in.
   * @throws QuantcError E_TENSOR_NUMERIC for strings, complex, sub-byte and 8-bit float dtypes.
   */
  toFloat32(): Float32Array {
    const data = this.data();
    if (data instanceof Float32Array && this.dtype === 'float') return data;
    if (this.dtype === 'float16')
      return Float32Array.from(new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length));
    if (this.dtype === 'bfloat16') {
      const bits = new Uint32Array(data.length);
      for (let i = 0; i < data.length; i++) bits[i] = Number(data[i]) << 16;
      return new Float32Array(bits.buffer);
    }
    this.#requireNumeric();
    return Float32Array.from(data as ArrayLike<number | bigint>, Number);
  }

  /** The elements as plain numbers (int64 beyond 2^53 lose precision). Meant for shapes, axes and scalars. */
  toNumbers(): number[] {
    if (this.dtype === 'float16' || this.dtype === 'bfloat16') return Array.from(this.toFloat32());
    this.#requireNumeric();
    return Array.from(this.data() as ArrayLike<number | bigint>, Number);
  }

  #requireNumeric(): void {
    const { kind, bits } = dtypeFacts(this.dtype);
    if (kind === 'string' || kind === 'complex' || bits < 8 || (kind === 'float' && bits < 16)) {
      throw new QuantcError('E_TENSOR_NUMERIC', `${this.dtype} elements cannot be read as plain numbers`, {
        place: { value: this.name },
      });
    }
  }
}

/** The bytes under any view, not copied. */
export function viewBytes(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Reads a range of a file whole. @throws QuantcError E_TENSOR_READ */
export function readRange(range: FileRange): Uint8Array {
  let file: number;
  try {
    file = openSync(range.path, 'r');
  } catch (cause) {
    throw new QuantcError('E_TENSOR_READ', `cannot open ${range.path}`, {
      place: { file: range.path },
      cause,
    });
  }
  try {
    const bytes = new Uint8Array(range.length);
    readPart(file, bytes, range, 0);
    return bytes;
  } finally {
    closeSync(file);
  }
}

/** Fills `target` from byte `position` of a range on, whose file is open. @throws QuantcError E_TENSOR_READ */
export function readPart(file: number, target: Uint8Array, range: FileRange, position: number): void {
  for (let done = 0; done < target.length; ) {
    const wanted = Math.min(target.length - done, 1 << 30);
    const count = readSync(file, target, done, wanted, range.offset + position + done);
    if (count === 0) {
      throw new QuantcError(
        'E_TENSOR_READ',
        `${range.path} ends before byte ${range.offset + range.length}`,
        {
          place: { file: range.path },
          hint: 'The external data file is shorter than the model says: export the model again.',
        },
      );
    }
    done += count;
  }
}
