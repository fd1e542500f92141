import { defineTarget, type Target } from '../src/index.js';
import { qnnRows } from './qnn-rows.js';
import { qnnPluginTable, qnnTable } from './qnn-rules.js';

/** What both providers share. */
const qnn: Omit<Target, 'name' | 'doc' | 'provider'> = {
  // The first whose QuantizeLinear knows 16 and 4 bits.
  opset: 21,
  activation: { dtype: 'uint8', symmetric: false, wide: { dtype: 'uint16', symmetric: false } },
  weight: { dtype: 'int8', limit: 127 },
  whole: ['a8w8', 'a16w8', 'a16w4', 'mixed'],
  staticShapes: true,
  rows: qnnRows,
  dynamicRows: [],
  absorbed: ['Relu', 'Clip'],
  lowerings: [
    'lower-fake-quantization',
    'lower-sums',
    'lower-recurrent',
    'lower-indexing',
    'lower-extremes',
    'lower-einsum',
    'lower-resize',
    'lower-rank',
    'lower-one-hot-products',
    'lower-gemm',
    'lower-reductions',
    'lower-smooth-activations',
    'lower-one-hot',
    'lower-normalizations',
    'lower-logic',
    'flatten-layer-normalization',
  ],
  // Nothing is weighed but bits: a 16-bit element takes about twice the time of an 8-bit one.
  costs: {
    floatMac: 2,
    integerMac: 1,
    floatDepthwiseMac: 2,
    integerDepthwiseMac: 1,
    floatOutput: 2,
    integerOutput: 1,
    floatElement: 2,
    integerElement: 1,
    quantize: 1,
    dequantize: 1,
    vector: 1,
    node: 0,
  },
  session: {},
  remarks: [
    "Load it with provider options backend_type=htp and offload_graph_io_quantization=0, and prove it on the phone with the session option session.disable_cpu_ep_fallback=1, which refuses a session that is not wholly the NPU's.",
    "Which types each kernel of the chip takes stands in Qualcomm's own documents; the table follows what ONNX Runtime's provider tests show.",
  ],
};

/** Qualcomm's HTP through the QNN execution provider that is built into ONNX Runtime (1.30). */
export const npuQnn = defineTarget({
  ...qnn,
  name: 'npu-qnn',
  doc: 'Qualcomm HTP through the QNN provider inside ONNX Runtime: all in integers of 8, 16 and 4 bits, whole graphs',
  provider: qnnTable,
});

/** The same through the plug-in, which knows more operators (onnxruntime-qnn 2). */
export const npuQnnPlugin = defineTarget({
  ...qnn,
  name: 'npu-qnn-plugin',
  doc: 'as npu-qnn, through the plug-in onnxruntime-qnn 2, which knows more operators',
  provider: qnnPluginTable,
});
