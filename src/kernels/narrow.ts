/** Float weights to 16 bits in pieces, through the kernels' memory. */
import type { HalfType } from '../ir/narrowed.js';
import type { ByteSink, ByteSource } from './endpoint.js';
import { KernelMemory } from './module.js';

/** What assembly/narrow.ts exports. */
interface NarrowKernels {
  narrow(x: number, count: number, result: number, bfloat: boolean): void;
}

/** Elements of one chunk: 512 KiB of float32. */
const CHUNK = 1 << 17;

let memory: KernelMemory<NarrowKernels> | undefined;

/** Writes every element of a source of float32 in 16 bits. */
export function streamNarrow(source: ByteSource, dtype: HalfType, sink: ByteSink): void {
  memory ??= new KernelMemory<NarrowKernels>('narrow.wasm');
  const buffer = memory.buffer(4 * CHUNK);
  const count = source.byteLength / 4;
  for (let first = 0; first < count; first += CHUNK) {
    const length = Math.min(CHUNK, count - first);
    source.read(new Uint8Array(buffer, 0, 4 * length), 4 * first);
    memory.kernels.narrow(0, length, 0, dtype === 'bfloat16');
    sink.write(new Uint8Array(buffer, 0, 2 * length), 2 * first);
  }
}
