import {
  contentDigest,
  definePass,
  type Graph,
  removeInitializer,
  replaceAllUses,
  sampleDigest,
  type Value,
} from '../src/index.js';

/**
 * Constants of equal dtype, shape and bytes → the first of them, read by all.
 *
 * A subgraph may read a constant of the graphs around it, so that one in a branch gives way to an equal one outside of
 * it; constants of two branches stay apart. Bytes decide, not numbers: +0 and −0 are different constants. Large
 * constants are told apart by dtype, shape and a few windows of 4 KiB; only those that agree so far are read whole, in
 * chunks. Left alone are constants that callers may override, that leave their graph, that are sparse, and that are
 * still to be derived from others.
 */
export const deduplicateInitializers = definePass({
  name: 'deduplicate-initializers',
  doc: 'constants of equal dtype, shape and bytes → one that all readers share',
  run(model, { changed }) {
    const candidates: Value[] = [];
    for (const graph of model.graphs()) {
      const kept = new Set([...graph.inputs, ...graph.outputs]);
      for (const value of graph.initializers) {
        if (!kept.has(value) && value.constant!.source.kind !== 'derived') candidates.push(value);
      }
    }
    let classes = refine([candidates], ({ constant }) => `${constant!.dtype}[${constant!.shape}]`);
    classes = refine(classes, ({ constant }) => sampleDigest(constant!) ?? '');
    classes = refine(classes, ({ constant }) => contentDigest(constant!));
    for (const equals of classes) {
      const survivors = new Map<Graph, Value>();
      for (const value of equals) {
        const survivor = visibleFrom(value.graph, survivors);
        if (survivor === undefined) survivors.set(value.graph, value);
        else {
          changed(`same as ${survivor.name}: shared`, value);
          replaceAllUses(value, survivor);
          removeInitializer(value);
        }
      }
    }
  },
});

/** Splits classes by a key, in order, and keeps those with more than one member. */
function refine(classes: readonly (readonly Value[])[], key: (value: Value) => string): Value[][] {
  return classes.flatMap((members) => {
    const parts = new Map<string, Value[]>();
    for (const value of members) {
      const name = key(value);
      const part = parts.get(name);
      if (part === undefined) parts.set(name, [value]);
      else part.push(value);
    }
    return [...parts.values()].filter((part) => part.length > 1);
  });
}

/** The survivor of this graph or the nearest graph around it. */
function visibleFrom(graph: Graph, survivors: ReadonlyMap<Graph, Value>): Value | undefined {
  for (let at: Graph | undefined = graph; at !== undefined; at = at.owner?.graph) {
    const survivor = survivors.get(at);
    if (survivor !== undefined) return survivor;
  }
  return undefined;
}
