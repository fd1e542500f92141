import {
  allOf,
  constantIfPresent,
  constantInput,
  defineTarget,
  floatInput,
  singleOutput,
  type TargetRow,
} from '../src/index.js';
import { evenCosts } from './even-costs.js';
import { legalAlone } from './legal-alone.js';
import { xnnpack } from './xnnpack-rules.js';

const row = (op: string, inputs: TargetRow['inputs'], rest: Partial<TargetRow> = {}): TargetRow => ({
  op,
  domain: '',
  kernel: `XNNPACK ${op}`,
  inputs,
  output: 'own',
  kind: 'follow',
  ...rest,
  when: allOf(floatInput, rest.when ?? (() => true), legalAlone(xnnpack)),
});

const product = allOf(constantInput(1), constantIfPresent(2));

/**
 * XNNPACK's kernels for phones' processors, through ONNX Runtime's provider: int8 × int8, never uint8 × int8. It is
 * no NPU, but what phones without one have. Only what it takes in integers is quantized; the rest is float.
 */
export const npuXnnpack = defineTarget({
  name: 'npu-xnnpack',
  doc: "Phones' processors through the XNNPACK provider: int8 activations and weights where it has kernels, float beside them",
  opset: 21,
  precisions: ['int8', 'float'],
  activation: { dtype: 'int8', symmetric: false },
  weight: { dtype: 'int8', limit: 127 },
  rows: [
    row('Conv', ['activation', 'weight', 'bias'], { kind: 'compute', weightAxis: () => 0, when: product }),
    row('ConvTranspose', ['activation', 'weight', 'bias'], { kind: 'compute', when: product }),
    row('MaxPool', ['activation'], { output: 'same', when: singleOutput }),
    row('Resize', ['activation', 'as-is'], { output: 'same' }),
  ],
  dynamicRows: [],
  absorbed: ['Relu', 'Clip'],
  staticShapes: true,
  lowerings: ['lower-fake-quantization'],
  provider: xnnpack,
  costs: evenCosts,
  session: {},
  remarks: [
    'What XNNPACK leaves runs on kernels of ONNX Runtime, in the same memory: parts of a graph there cost no copies.',
    "Give its threads to the provider (intra_op_num_threads), and ONNX Runtime's own pool one.",
  ],
});
