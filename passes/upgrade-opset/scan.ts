import {
  addGraphOutput,
  addInput,
  createNode,
  Graph,
  setAttribute,
  setInputs,
  type Type,
  tensorType,
} from '../../src/index.js';
import { type Adapter, boundByCaller } from './step.js';

/**
 * Scan 8 works on a batch: every operand's axis 0 counts samples and axis 1 steps. Scan 9 knows no batch, so one Scan
 * over the samples holds another over the steps: the outer one takes sample by sample the initial states and
 * sequences, and stacks the final states and outputs.
 */
export const scanOfBatch: Adapter = {
  refuse(node) {
    if (node.inputs[0] !== undefined) return 'its sequences have lengths of their own';
    return boundByCaller(node, 'num_scan_inputs', 'directions');
  },
  apply(node) {
    const operands = node.inputs.slice(1).map((value) => value!);
    const sequences = node.int('num_scan_inputs', 1);
    const body = node.attributes.get('body')!;
    const directions = node.attributes.get('directions');
    const outer = new Graph(`${body.kind === 'graph' ? body.value.name : 'body'}_sample`);
    const inner = createNode(
      { endOf: outer },
      {
        opType: 'Scan',
        name: node.name && `${node.name}_steps`,
        inputs: operands.map((value) => addInput(outer, `${value.name}_sample`, sampleOf(value.type))),
        attributes: new Map([
          ['body', body],
          ['num_scan_inputs', { kind: 'int', value: sequences }],
          ...(directions ? [['scan_input_directions', directions] as const] : []),
        ]),
        outputs: node.outputs.map((output) => ({
          name: `${output.name || node.opType}_sample`,
          type: sampleOf(output.type),
        })),
      },
    );
    for (const output of inner.outputs) addGraphOutput(outer, output);
    // The steps' body hangs on its new node by now, so it outlives the attribute that held it.
    setAttribute(node, 'body', { kind: 'graph', value: outer });
    setAttribute(node, 'directions', undefined);
    setAttribute(node, 'num_scan_inputs', operands.length);
    setInputs(node, operands);
  },
};

/** The type of one sample: axis 0 is gone. */
function sampleOf(type: Type | undefined): Type | undefined {
  return type?.kind === 'tensor' ? tensorType(type.dtype, type.shape?.slice(1)) : type;
}
