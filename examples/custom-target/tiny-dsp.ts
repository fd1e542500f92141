import { definePlugin, defineTarget, type Node } from 'quantc';

/** So many channels does its memory hold. */
const CHANNELS = 64;

/** Conditions answer true or a reason, which `quantc explain` prints. */
const fits = (node: Node): true | string => {
  const channels = node.inputs[1]?.shape?.[0];
  if (typeof channels !== 'number') return 'its weight has no shape';
  return channels <= CHANNELS || `${channels} output channels are more than the ${CHANNELS} that fit`;
};

/**
 * A chip that convolves in integers and adds what it has convolved, and does all else in float: int8 activations
 * around zero, weights with a scale an output channel.
 */
export const tinyDsp = defineTarget({
  name: 'tiny-dsp',
  doc: 'a chip with integer convolutions of up to 64 channels',
  opset: 21,
  activation: { dtype: 'uint8', symmetric: false },
  weight: { dtype: 'int8', limit: 127 },
  rows: [
    {
      ...{ op: 'Conv', kernel: 'QLinearConv', kind: 'compute', output: 'own' },
      inputs: ['activation', 'weight', 'bias'],
      weightAxis: () => 0,
      when: fits,
    },
    {
      ...{ op: 'Add', kernel: 'QLinearAdd', kind: 'follow', output: 'own' },
      inputs: ['activation', 'activation'],
    },
  ],
  dynamicRows: [],
  // A Relu between a convolution and its QuantizeLinear costs nothing: the range of the integers does it.
  absorbed: ['Relu'],
  // Nanoseconds, as measured on the chip: they decide whether quantizing a node pays.
  costs: {
    ...{ floatMac: 0.4, integerMac: 0.02, floatDepthwiseMac: 0.8, integerDepthwiseMac: 0.1 },
    ...{ floatOutput: 1, integerOutput: 0.2, floatElement: 0.5, integerElement: 0.1 },
    ...{ quantize: 0.3, dequantize: 0.3, vector: 8, node: 500 },
  },
  session: {},
  remarks: ['Reference for the proof is ONNX Runtime on the CPU; the chip rounds ties away from zero.'],
});

export default definePlugin({ name: 'tiny-dsp-plugin', targets: [tinyDsp] });
