import { knownElements } from './conditions.js';
import type { NodePlan } from './plan.js';
import type { TargetCosts } from './target.js';

/**
 * Nanoseconds that one inference saves when the node runs in integers instead of float, borders not counted;
 * negative where the integer kernel is slower. Dynamic dimensions count as one, so that both sides scale alike.
 */
export function saving(plan: NodePlan, costs: TargetCosts): number {
  const { node, row } = plan;
  const elements = plan.outputs.reduce((sum, output) => sum + knownElements(output), 0);
  if (row.kind === 'follow') {
    const { float, integer } = row.cost ?? { float: costs.floatElement, integer: costs.integerElement };
    // A float convolution takes its activation function along for nothing; an elementwise operator does not.
    const tail = plan.tail === undefined ? 0 : costs.floatElement / 2;
    return elements * (float + tail - integer);
  }
  const weight = node.inputs[1]?.constant;
  if (weight === undefined) return 0;
  const perOutput = elements * (costs.floatOutput - costs.integerOutput);
  if (node.opType === 'Conv') {
    const [, inner = 1, ...kernel] = weight.shape;
    const macs = elements * kernel.reduce((product, size) => product * size, inner);
    const group = node.int('group', 1);
    if (inner === 1 && group > 1) return macs * (costs.floatDepthwiseMac - costs.integerDepthwiseMac);
    // Kernels compute whole vectors of output channels; with few of them most lanes idle, and the integer kernel,
    // which also loses its direct form, loses more.
    const channels = weight.shape[0]! / group;
    const idle = Math.max(1, costs.vector / channels);
    const integerMac =
      costs.integerMac * (channels >= costs.vector ? 1 : channels >= costs.vector / 2 ? 2.2 : 3.3);
    return macs * idle * (costs.floatMac - integerMac) + perOutput;
  }
  const columns =
    node.opType === 'Gemm' && node.int('transB', 0) === 1 ? weight.shape[0]! : weight.shape.at(-1)!;
  const rows = Math.max(1, elements / columns);
  return rows * weight.count * (costs.floatMac - costs.integerMac) + perOutput;
}
