import type { Model } from '../ir/graph.js';
import { encodeModel } from '../onnx/encode.js';

/** A model where ONNX Runtime can load it, and how to take it away again. */
export interface Placed {
  readonly source: Uint8Array | string;
  readonly remove: (() => void) | undefined;
}

export async function place(model: Model): Promise<Placed> {
  return { source: encodeModel(model), remove: undefined };
}
