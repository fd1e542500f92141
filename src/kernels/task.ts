/** The work of a pool as plain data, and how any thread does it. */
import type { DType } from '../ir/dtype.js';
import type { HalfType } from '../ir/narrowed.js';
import { type FileRange, Tensor, viewBytes } from '../ir/tensor.js';
import type { BlockOutput, BlockSpec } from '../quant/block-weight.js';
import type { FittedScales } from '../quant/fit.js';
import { quantizeWeight, rememberScales, type WeightSpec } from '../quant/weight.js';
import { sinksOf } from './block-work.js';
import { blockBytesOfPiece, type ColumnRange, streamBlocks } from './blocks.js';
import { type FilePlace, fileSink, fileSource, memorySink, memorySource } from './endpoint.js';
import { streamNarrow } from './narrow.js';
import { openSource, type SourceParts, sourceParts } from './source.js';
import { canStream, streamWeight } from './stream.js';

/** Copy a range of a file into a place of another. */
export interface CopyTask {
  readonly kind: 'copy';
  readonly range: FileRange;
  readonly place: FilePlace;
}

/** Find a weight's scales, or quantize it into a place or into memory. */
export interface WeightTask {
  readonly kind: 'weight';
  readonly input: { readonly dtype: DType; readonly shape: readonly number[]; readonly from: SourceParts };
  readonly spec: WeightSpec;
  /** Scales found before. */
  readonly known?: FittedScales;
  readonly want: 'scales' | 'q';
  /** Where the integers go; they are answered as bytes when it is absent. */
  readonly place?: FilePlace;
}

/** Where results of a weight in blocks go. */
export type BlockPlaces = Readonly<Partial<Record<BlockOutput, FilePlace>>>;

/** Quantize columns of a weight in blocks, into places of files, or one result of theirs into memory. */
export interface BlocksTask {
  readonly kind: 'blocks';
  readonly from: SourceParts;
  readonly spec: BlockSpec;
  readonly piece: ColumnRange;
  readonly places?: BlockPlaces;
  /** The result that is answered as bytes, those of the piece alone. */
  readonly want?: BlockOutput;
}

/** Write a float weight in 16 bits. */
export interface NarrowTask {
  readonly kind: 'narrow';
  readonly from: SourceParts;
  readonly dtype: HalfType;
  readonly place: FilePlace;
}

export type Task = CopyTask | WeightTask | BlocksTask | NarrowTask;

export interface TaskResult {
  readonly scales?: FittedScales;
  readonly bytes?: Uint8Array;
}

/** Does a task on this thread. Errors as those of reading, writing and quantizing. */
export function runTask(task: Task): TaskResult {
  if (task.kind === 'copy') {
    copyRange(task.range, task.place);
    return {};
  }
  if (task.kind === 'blocks') return runBlocks(task);
  if (task.kind === 'narrow') return runNarrow(task);
  const { dtype, shape, from } = task.input;
  return runWeight(new Tensor(dtype, shape, { kind: 'file', ...from.range }), task, from);
}

/**
 * Does a weight task on a tensor of any source. The bytes are equal to the reference's, whatever way they are made.
 * @param from where a float weight is read in pieces, where it can be
 */
export function runWeight(
  input: Tensor,
  { spec, known, want, place }: Omit<WeightTask, 'kind' | 'input'>,
  from = sourceParts(input),
): TaskResult {
  if (!canStream(spec)) return reference(input, { spec, known, want, place });
  const bytes = want === 'q' && !place ? new Uint8Array(input.count) : undefined;
  const source =
    input.dtype === 'float' && from ? openSource(from) : memorySource(viewBytes(input.toFloat32()));
  try {
    const sink = bytes ? memorySink(bytes) : want === 'q' ? fileSink(place!) : undefined;
    try {
      return { scales: streamWeight(source, spec, sink, known), bytes };
    } finally {
      sink?.close();
    }
  } finally {
    source.close();
  }
}

/** Kinds of quantization without a kernel: the weight is taken into memory whole. */
function reference(
  input: Tensor,
  { spec, known, want, place }: Omit<WeightTask, 'kind' | 'input'>,
): TaskResult {
  if (known) rememberScales(spec, known);
  const values = input.toFloat32();
  if (want === 'scales') return quantizeWeight(values, spec, { scalesOnly: true });
  const { q, scales } = quantizeWeight(values, spec);
  if (!place) return { scales, bytes: viewBytes(q) };
  const sink = fileSink(place);
  try {
    sink.write(viewBytes(q), 0);
  } finally {
    sink.close();
  }
  return { scales };
}

function runBlocks({ from, spec, piece, places, want }: BlocksTask): TaskResult {
  const source = openSource(from);
  try {
    if (want !== undefined) return { bytes: blockBytesOfPiece(source, spec, piece)[want] };
    const sinks = sinksOf(places ?? {});
    try {
      streamBlocks(source, spec, piece, sinks);
    } finally {
      for (const sink of Object.values(sinks)) sink.close();
    }
    return {};
  } finally {
    source.close();
  }
}

function runNarrow({ from, dtype, place }: NarrowTask): TaskResult {
  const source = openSource(from);
  try {
    const sink = fileSink(place);
    try {
      streamNarrow(source, dtype, sink);
    } finally {
      sink.close();
    }
    return {};
  } finally {
    source.close();
  }
}

const COPY_BYTES = 1 << 20;
let copyBuffer: Uint8Array | undefined;

function copyRange(range: FileRange, place: FilePlace): void {
  copyBuffer ??= new Uint8Array(COPY_BYTES);
  const source = fileSource(range);
  try {
    const sink = fileSink(place);
    try {
      for (let at = 0; at < range.length; at += COPY_BYTES) {
        const piece = copyBuffer.subarray(0, Math.min(COPY_BYTES, range.length - at));
        source.read(piece, at);
        sink.write(piece, at);
      }
    } finally {
      sink.close();
    }
  } finally {
    source.close();
  }
}
