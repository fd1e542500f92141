import { computedFromSizes, definePass, takes, targetFact } from '../src/index.js';

/** Reasons that a note lists before it counts. */
const LISTED = 3;

/**
 * Says in the ledger where each node will run: on the target's executor, on the CPU because it computes from sizes
 * alone (no data crosses), or on the CPU because there is no kernel, which costs a copy there and back and is worth a
 * warning. Tensors that are larger than every device binds in one piece are named. Edits nothing.
 */
export const placeOnExecutor = definePass({
  name: 'place-on-executor',
  doc: "each node → where it runs, by the executor's table; into the ledger, the graph stays",
  needs: ['typed'],
  run(model, { facts, ledger }) {
    const table = targetFact.find({ facts })?.executor;
    if (table === undefined) return;
    const falling: string[] = [];
    for (const graph of model.graphs()) {
      const fromSizes = computedFromSizes(graph.nodes());
      for (const node of graph.nodes()) {
        const answer = takes(table, node);
        if (answer === true) {
          ledger.refine(node, { kernel: table.provider });
        } else if (fromSizes.get(node) === 'sizes') {
          ledger.refine(node, { kernel: 'cpu', reason: 'computes from sizes alone, beside the executor' });
        } else if (fromSizes.has(node)) {
          ledger.refine(node, { kernel: 'cpu', reason: 'computed while the model loads' });
        } else {
          ledger.record(node, { kernel: 'cpu', reason: answer });
          falling.push(`${node.label} (${answer})`);
        }
      }
      for (const value of graph.initializers) {
        const bytes = value.constant!.byteLength;
        if (bytes > table.largestTensor) {
          ledger.note(
            'info',
            'large-tensor',
            `${value.name} takes ${Math.ceil(bytes / 2 ** 20)} MiB, more than every ${table.provider} device binds in ` +
              `one piece (${table.largestTensor / 2 ** 20} MiB): ONNX Runtime binds it in several`,
            'place-on-executor',
          );
        }
      }
    }
    if (falling.length === 0) return;
    const more = falling.length > LISTED ? `; and ${falling.length - LISTED} more` : '';
    ledger.note(
      'warning',
      'W_CPU_FALLBACK',
      `${falling.length} ${falling.length === 1 ? 'node runs' : 'nodes run'} on the CPU: ${falling.slice(0, LISTED).join('; ')}${more}`,
      'place-on-executor',
    );
  },
});
