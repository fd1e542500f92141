/** Which tensors of a model stand in its external data files, and where in them. */
import type { Attribute } from '../ir/attribute.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { ExternalPlace } from './external-data.js';
import type { TensorExtras } from './tensor-proto.js';

/** Smaller tensors stay in the model: shapes and scalars, which readers want at hand. */
const EXTERNAL_BYTES = 1 << 10;
/** From this size on a tensor begins on a 64 KiB boundary, so that it can be mapped on any system. */
const MAPPED_BYTES = 1 << 20;
const MAPPED_ALIGNMENT = 64 << 10;
const ALIGNMENT = 64;
/** Beyond this much the automatic choice is an external file: it leaves room below 2 GiB for everything else. */
const INLINE_BYTES = 1.9 * 2 ** 30;

export type ExternalChoice = 'auto' | 'never' | 'always';

/** The external data files to be: places by tensor, file after file, and how long each file is. */
export interface ExternalLayout {
  readonly places: ReadonlyMap<Tensor, ExternalPlace>;
  readonly files: readonly { readonly location: string; readonly length: number }[];
}

/**
 * Lays out the external data of a model, or answers nothing where all of it stays inside. Tensors come in the order of
 * the model; one that is used twice stands there once.
 * @param location name of the first file; those that follow are `<location>_1`, `<location>_2` …, as readers in
 * browsers look for them
 * @param most bytes of a file; only a tensor that is larger by itself makes a larger one
 */
export function layOut(
  model: Model,
  choice: ExternalChoice,
  location: string,
  most = Number.POSITIVE_INFINITY,
): ExternalLayout | undefined {
  if (choice === 'never') return undefined;
  const tensors = [...new Set(tensorsOf(model))];
  const total = tensors.reduce((sum, { tensor }) => sum + tensor.byteLength, 0);
  const cameExternal = tensors.some(({ tensor }) => isExternal(tensor));
  if (choice === 'auto' && !cameExternal && total <= INLINE_BYTES) return undefined;
  const places = new Map<Tensor, ExternalPlace>();
  const files: { location: string; length: number }[] = [{ location, length: 0 }];
  for (const { tensor, movable } of tensors) {
    const length = tensor.byteLength;
    if (tensor.source.kind === 'strings' || length < EXTERNAL_BYTES || places.has(tensor)) continue;
    if (!movable && !isExternal(tensor)) continue;
    const alignment = length >= MAPPED_BYTES ? MAPPED_ALIGNMENT : ALIGNMENT;
    let file = files.at(-1)!;
    let offset = Math.ceil(file.length / alignment) * alignment;
    if (offset > 0 && offset + length > most) {
      file = { location: `${location}_${files.length}`, length: 0 };
      files.push(file);
      offset = 0;
    }
    places.set(tensor, { location: file.location, offset, length });
    file.length = offset + length;
  }
  return places.size === 0 ? undefined : { places, files };
}

const isExternal = (tensor: Tensor): boolean =>
  (tensor.extras as TensorExtras | undefined)?.external !== undefined;

interface Found {
  readonly tensor: Tensor;
  /** Initializers may always stand elsewhere; a tensor in an attribute only if it did before: readers differ. */
  readonly movable: boolean;
}

/** Every tensor of a model, nested graphs and functions included. */
export function* tensorsOf(model: Model): IterableIterator<Found> {
  for (const graph of model.graphs()) {
    for (const value of graph.initializers) yield { tensor: value.constant!, movable: true };
    for (const sparse of graph.sparse.values()) {
      yield { tensor: sparse.values, movable: false };
      yield { tensor: sparse.indices, movable: false };
    }
    for (const node of graph.nodes()) yield* tensorsIn(node.attributes.values());
  }
  for (const each of model.functions) yield* tensorsIn(each.attributeDefaults.values());
}

function* tensorsIn(attributes: Iterable<Attribute>): IterableIterator<Found> {
  for (const attribute of attributes) {
    if (attribute.kind === 'tensor') yield { tensor: attribute.value, movable: false };
    else if (attribute.kind === 'tensors') {
      for (const tensor of attribute.value) yield { tensor, movable: false };
    } else if (attribute.kind === 'sparse' || attribute.kind === 'sparses') {
      for (const sparse of attribute.kind === 'sparse' ? [attribute.value] : attribute.value) {
        yield { tensor: sparse.values, movable: false };
        yield { tensor: sparse.indices, movable: false };
      }
    }
  }
}
