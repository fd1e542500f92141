import { definePass, exclusionFact, planFact, planStatic, targetFact } from '../src/index.js';

/** Decides, by the target's table and costs, which nodes an integer kernel takes; edits nothing. */
export const planIntegerKernels = definePass({
  name: 'plan-integer-kernels',
  doc: "decide by the target's table which nodes run in integers, and say of every other node why not",
  needs: ['typed'],
  gives: ['planned'],
  run(model, context) {
    const target = targetFact.get(context);
    const plan = planStatic(model.graph, target, exclusionFact.find(context));
    planFact.set(context, plan);
    for (const { node, row, tail, wide, wideFor, narrow, weightBits } of plan.nodes.values()) {
      const precision = wide ? `w${weightBits ?? 8}a16` : 'int8';
      const reason = narrow ?? wideFor;
      context.ledger.record(node, { precision, kernel: row.kernel, ...(reason && { reason }) });
      if (tail)
        context.ledger.record(tail, {
          precision: 'int8',
          kernel: row.kernel,
          reason: `absorbed into ${node.label}`,
        });
    }
    for (const [node, reason] of plan.declined) context.ledger.record(node, { precision: 'float', reason });
    for (const graph of model.graphs()) {
      if (graph === model.graph) continue;
      for (const node of graph.nodes()) {
        context.ledger.record(node, {
          precision: 'float',
          reason: graph.owner
            ? 'inside a subgraph, whose activations calibration cannot see'
            : 'inside a local function that was not inlined',
        });
      }
    }
  },
});
