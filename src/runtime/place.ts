import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Model } from '../ir/graph.js';
import { encodeModel } from '../onnx/encode.js';
import { tensorsOf } from '../onnx/external-layout.js';
import { writeModel } from '../onnx/write.js';

/** From this size on a model is not held in memory a second time, but written out for ONNX Runtime to map. */
const FILE_BYTES = 128 << 20;

/** A model where ONNX Runtime can load it, and how to take it away again. */
export interface Placed {
  readonly source: Uint8Array | string;
  readonly remove: (() => void) | undefined;
}

/**
 * About what ONNX Runtime's memory grows by when a session opens on the model: its constants, which kernels may
 * repack. Activations come on top.
 */
export function sessionBytes(model: Model): number {
  let bytes = 0;
  for (const { tensor } of tensorsOf(model)) bytes += tensor.byteLength;
  return bytes;
}

/** Encodes a model, or writes a large one to a temporary folder with its weights in a file beside it. */
export async function place(model: Model): Promise<Placed> {
  if (sessionBytes(model) < FILE_BYTES) return { source: encodeModel(model), remove: undefined };
  const folder = mkdtempSync(join(tmpdir(), 'quantc-session-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'model.onnx');
    await writeModel(model, path, { externalData: 'always' });
    return { source: path, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
