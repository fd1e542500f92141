import { definePass, removeInput } from '../src/index.js';

/**
 * `g(x, w) <w = t>` → `g(x) <w = t>`: a weight that is also listed as an input is an input no longer.
 *
 * Below IR version 4 every initializer had to be listed so, and some exporters kept the habit; nobody means to feed
 * weights. It is undone when the IR version asked for it, or when all initializers of the model are listed; where only
 * some are, somebody chose them as defaults that callers may override, and they stay. Without this nothing that reads
 * a weight could be folded or quantized.
 */
export const closeInitializers = definePass({
  name: 'close-initializers',
  doc: 'initializer that is also listed as an input → initializer alone, unless only some are (defaults)',
  run(model, { changed, decline }) {
    const { graph } = model;
    const listed = graph.inputs.filter((input) => input.constant !== undefined);
    if (listed.length === 0) return;
    const first = listed[0]!;
    if (model.irVersion >= 4 && listed.length < graph.initializers.size) {
      decline('only some initializers are inputs: they are defaults that callers may override', first);
      return;
    }
    for (const input of listed) removeInput(input);
    changed(`${listed.length} initializers are no longer inputs`, first);
    // Without them among the inputs the model is one of IR version 4.
    model.irVersion = Math.max(model.irVersion, 4);
  },
});
