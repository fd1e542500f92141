/** The trained shape classifier as an ONNX model, as PyTorch exports it for training: normalizations unfolded. */
import { floatAttribute } from '../../src/ir/edit.js';
import type { Model, Value } from '../../src/ir/graph.js';
import { Draft } from '../train/draft.js';
import type { ConvBlock, ShapesNetwork } from './network.js';
import { KINDS, SIZE } from './pictures.js';

/** Opset 17: image [N, 3, 32, 32] → logits [N, 10]. */
export function exportShapesCnn(network: ShapesNetwork): Model {
  const draft = new Draft('shapes-cnn');
  const block = (x: Value, name: string, conv: ConvBlock): Value => {
    const size = conv.kind === 'pointwise' ? 1 : 3;
    const perGroup = conv.kind === 'depthwise' ? 1 : conv.inputs;
    const shape = [conv.outputs, perGroup, size, size];
    const weight = draft.weight(`${name}.conv.weight`, kernelOf(conv), shape);
    const y = draft.node('Conv', `/${name}/conv/Conv`, [x, weight], {
      dilations: [1, 1],
      group: conv.kind === 'depthwise' ? conv.inputs : 1,
      kernel_shape: [size, size],
      pads: size === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0],
      strides: [conv.stride, conv.stride],
    });
    const { scale, bias, mean, variance } = conv.norm;
    const row = (field: string, data: Float32Array): Value =>
      draft.weight(`${name}.bn.${field}`, data, [conv.outputs]);
    return draft.node(
      'BatchNormalization',
      `/${name}/bn/BatchNormalization`,
      [
        y,
        row('weight', scale.data),
        row('bias', bias.data),
        row('running_mean', mean),
        row('running_var', variance),
      ],
      { epsilon: 1e-5, momentum: floatAttribute(0.9) },
    );
  };
  const relu = (x: Value, name: string): Value => draft.node('Relu', `/${name}/Relu`, [x]);

  let x = draft.input('image', ['N', 3, SIZE, SIZE]);
  for (const name of ['stem', 'down', 'depthwise', 'pointwise'] as const) {
    x = relu(block(x, name, network[name]), name);
  }
  const inner = relu(block(x, 'residual.first', network.first), 'residual.first');
  const sum = draft.node('Add', '/residual/Add', [block(inner, 'residual.second', network.second), x]);
  x = relu(sum, 'residual');
  x = relu(block(x, 'last', network.last), 'last');
  const pooled = draft.node('GlobalAveragePool', '/pool/GlobalAveragePool', [x]);
  const flat = draft.node('Flatten', '/Flatten', [pooled], { axis: 1 });
  const { headWeight, headBias } = network;
  const logits = draft.node(
    'Gemm',
    '/head/Gemm',
    [
      flat,
      draft.weight('head.weight', headWeight.data, [headWeight.rows, headWeight.columns]),
      draft.weight('head.bias', headBias.data, [KINDS.length]),
    ],
    { alpha: floatAttribute(1), beta: floatAttribute(1), transB: 1 },
  );
  return draft.finish(logits, 'logits', ['N', KINDS.length], 17);
}

/** The kernel in ONNX's order: output channel, input channel of the group, row, column. */
function kernelOf({ kind, inputs, outputs, weight }: ConvBlock): Float32Array {
  const { data } = weight;
  if (kind === 'pointwise') return data;
  const perGroup = kind === 'depthwise' ? 1 : inputs;
  const kernel = new Float32Array(data.length);
  let to = 0;
  for (let out = 0; out < outputs; out++) {
    for (let channel = 0; channel < perGroup; channel++) {
      for (let tap = 0; tap < 9; tap++, to++) {
        const from = kind === 'depthwise' ? tap * inputs + out : (out * 9 + tap) * inputs + channel;
        kernel[to] = data[from]!;
      }
    }
  }
  return kernel;
}
