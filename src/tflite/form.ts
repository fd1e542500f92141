/** Whether one node can be written, told without its graph: what a verdict asks. */
import { QuantcError } from '../errors/error.js';
import type { Node, Value } from '../ir/graph.js';
import { Emitter } from './emitter.js';
import { gridOf, isDequantize, isRealConstant } from './grid.js';
import { LOWERINGS } from './operators/index.js';
import { shapeOf } from './refusal.js';
import { unitOf } from './unit.js';

/** Operators of ai.onnx that have a form in a `.tflite` file, QuantizeLinear and DequantizeLinear aside. */
export const tfliteOperators: ReadonlySet<string> = new Set(LOWERINGS.keys());

/**
 * True where the node, with the Q and DQ around it, becomes operators of a `.tflite` file; else why not. Weights are not
 * read, and what is written is thrown away.
 */
export function tfliteForm(node: Node): true | string {
  const lowering = node.domain === '' ? LOWERINGS.get(node.opType) : undefined;
  if (lowering === undefined) return `the format has no operator for ${node.opType}`;
  const e = new Emitter();
  try {
    for (const input of node.inputs) if (input !== undefined && !isRealConstant(input)) settle(e, input);
    lowering.lower(unitOf(node, lowering), e);
    return true;
  } catch (error) {
    if (error instanceof QuantcError && error.code.startsWith('E_TFLITE_')) return error.message;
    throw error;
  }
}

/** As if the graph had computed it. */
function settle(e: Emitter, value: Value): void {
  const shape = shapeOf(value);
  e.settle(value, 'plain', e.tensor(value.name, shape, 'float32'));
  const { producer } = value;
  if (!isDequantize(producer)) return;
  const integers = e.tensor(producer.inputs[0]!.name, shape, 'int8', { grid: gridOf(producer) });
  e.settle(producer.inputs[0]!, 'plain', integers);
}
