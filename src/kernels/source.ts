/** Weights that can be read in pieces, as data that a worker thread can be sent. */
import { scaleJob } from '../ir/scaled.js';
import type { FileRange, Tensor } from '../ir/tensor.js';
import { type ByteSource, fileSource } from './endpoint.js';
import { halfOf, widened } from './half.js';

/** Elements are multiplied by factors, which elements [outer, channels, inner] share along the middle. */
export interface ScaleStep {
  readonly factors: Float64Array;
  readonly inner: number;
}

/** A range of a file, and what is done to its elements as they are read. */
export interface SourceParts {
  readonly range: FileRange;
  readonly half: boolean;
  readonly steps: readonly ScaleStep[];
}

/**
 * A tensor's parts where it is a range of a file, perhaps scaled along an axis any number of times; nothing for others,
 * which have to be computed whole. Factors are computed now.
 */
export function sourceParts({ dtype, source }: Tensor): SourceParts | undefined {
  if (source.kind === 'file') {
    const { path, offset, length } = source;
    return { range: { path, offset, length }, half: dtype === 'float16', steps: [] };
  }
  const scale = source.kind === 'derived' ? scaleJob(source.job) : undefined;
  if (source.kind !== 'derived' || scale === undefined) return undefined;
  if (dtype !== 'float' && dtype !== 'float16') return undefined;
  const [before, factors] = source.from;
  const parts = sourceParts(before!);
  if (parts === undefined) return undefined;
  // A copy: what is sent to a thread should not take a larger buffer along.
  const step: ScaleStep = { factors: Float64Array.from(factors!.data() as Float64Array), inner: scale.inner };
  return { ...parts, steps: [...parts.steps, step] };
}

/** @throws QuantcError E_TENSOR_READ when the file cannot be opened */
export function openSource({ range, half, steps }: SourceParts): ByteSource {
  const file = fileSource(range);
  if (steps.length === 0) return file;
  return {
    byteLength: file.byteLength,
    read(target, position) {
      file.read(target, position);
      const elements = half
        ? new Uint16Array(target.buffer, target.byteOffset, target.byteLength / 2)
        : new Float32Array(target.buffer, target.byteOffset, target.byteLength / 4);
      const first = position / elements.BYTES_PER_ELEMENT;
      for (const step of steps) {
        if (elements instanceof Float32Array) scaleFloats(elements, first, step);
        else scaleHalves(elements, first, step);
      }
    },
    close: () => file.close(),
  };
}

/** Multiplies elements whose first has index `first` in the tensor. */
function scaleFloats(elements: Float32Array, first: number, { factors, inner }: ScaleStep): void {
  eachRun(elements.length, first, inner, (start, end, run) => {
    const factor = factors[run % factors.length]!;
    for (let at = start; at < end; at++) elements[at] = elements[at]! * factor;
  });
}

function scaleHalves(elements: Uint16Array, first: number, { factors, inner }: ScaleStep): void {
  eachRun(elements.length, first, inner, (start, end, run) => {
    const factor = factors[run % factors.length]!;
    for (let at = start; at < end; at++) elements[at] = halfOf(widened(elements[at]!) * factor);
  });
}

/** Calls with each stretch of elements that share a factor. */
function eachRun(
  count: number,
  first: number,
  inner: number,
  visit: (start: number, end: number, run: number) => void,
): void {
  for (let at = 0; at < count; ) {
    const run = Math.floor((first + at) / inner);
    const end = Math.min(count, (run + 1) * inner - first);
    visit(at, end, run);
    at = end;
  }
}
