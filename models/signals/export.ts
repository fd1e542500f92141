/**
 * The trained signal transformer as an ONNX model, as PyTorch exports one at opset 14: shapes computed in the graph,
 * constants in nodes, LayerNormalization and Gelu in small pieces.
 */
import { floatAttribute } from '../../src/ir/edit.js';
import type { Model, Value } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { Draft } from '../train/draft.js';
import { transposed } from '../train/multiply.js';
import type { Variable } from '../train/tape.js';
import {
  HEADS,
  type Layer,
  type Linear,
  type Norm,
  PIECE,
  type SignalNetwork,
  TOKENS,
  WIDTH,
} from './network.js';
import { KINDS, LENGTH } from './signals.js';

const scalar = (value: number): Tensor => Tensor.floats([value], []);

class SignalExport {
  readonly #draft = new Draft('signal-transformer');

  /** Opset 14: signal [N, 256] → logits [N, 10]. */
  model(network: SignalNetwork): Model {
    const draft = this.#draft;
    const signal = draft.input('signal', ['N', LENGTH]);
    const pieces = this.#reshape(signal, '', [TOKENS, PIECE]);
    const embedded = this.#linear(pieces, 'embed', network.embed);
    const { data } = network.positions;
    let x = draft.node('Add', '/Add', [embedded, draft.weight('positions', data, [1, TOKENS, WIDTH])]);
    network.layers.forEach((layer, i) => {
      x = this.#layer(x, `layers.${i}`, layer);
    });
    x = this.#norm(x, 'norm', network.lastNorm);
    const mean = draft.node('ReduceMean', '/ReduceMean', [x], { axes: [1], keepdims: 0 });
    const { weight, bias } = network.head;
    const logits = draft.node(
      'Gemm',
      '/head/Gemm',
      [
        mean,
        draft.weight('head.weight', weight.data, [weight.rows, weight.columns]),
        draft.weight('head.bias', bias.data, [bias.columns]),
      ],
      { alpha: floatAttribute(1), beta: floatAttribute(1), transB: 1 },
    );
    return draft.finish(logits, 'logits', ['N', KINDS.length], 14);
  }

  /** `[N, …] → [N, ...sizes]`, the first size read from the tensor while the model runs. */
  #reshape(x: Value, path: string, sizes: readonly number[]): Value {
    const draft = this.#draft;
    const shape = draft.node('Shape', `${path}/Shape`, [x]);
    const first = draft.constant(`${path}/Constant`, Tensor.ints([0], []));
    const batch = draft.node('Gather', `${path}/Gather`, [shape, first], { axis: 0 });
    const axes = draft.constant(`${path}/Constant_1`, Tensor.ints([0]));
    const parts = [draft.node('Unsqueeze', `${path}/Unsqueeze`, [batch, axes])];
    sizes.forEach((size, i) => {
      parts.push(draft.constant(`${path}/Constant_${i + 2}`, Tensor.ints([size])));
    });
    const target = draft.node('Concat', `${path}/Concat`, parts, { axis: 0 });
    return draft.node('Reshape', `${path}/Reshape`, [x, target]);
  }

  #linear(x: Value, name: string, { weight, bias }: Linear): Value {
    const draft = this.#draft;
    const path = `/${name.replaceAll('.', '/')}`;
    const product = draft.node('MatMul', `${path}/MatMul`, [x, this.#matrix(`${name}.weight`, weight)]);
    return draft.node('Add', `${path}/Add`, [
      draft.weight(`${name}.bias`, bias.data, [bias.columns]),
      product,
    ]);
  }

  /** [out, in] as the right operand of a product: [in, out]. */
  #matrix(name: string, { data, rows, columns }: Variable): Value {
    return this.#draft.weight(name, transposed(data, rows, columns), [columns, rows]);
  }

  #norm(x: Value, name: string, { scale, bias }: Norm): Value {
    const draft = this.#draft;
    const path = `/${name.replaceAll('.', '/')}`;
    const last = { axes: [-1], keepdims: 1 };
    const mean = draft.node('ReduceMean', `${path}/ReduceMean`, [x], last);
    const centered = draft.node('Sub', `${path}/Sub`, [x, mean]);
    const square = draft.node('Pow', `${path}/Pow`, [
      centered,
      draft.constant(`${path}/Constant`, scalar(2)),
    ]);
    const variance = draft.node('ReduceMean', `${path}/ReduceMean_1`, [square], last);
    const epsilon = draft.constant(`${path}/Constant_1`, scalar(1e-5));
    const deviation = draft.node('Sqrt', `${path}/Sqrt`, [
      draft.node('Add', `${path}/Add`, [variance, epsilon]),
    ]);
    const normal = draft.node('Div', `${path}/Div`, [centered, deviation]);
    const scaled = draft.node('Mul', `${path}/Mul`, [
      normal,
      draft.weight(`${name}.weight`, scale.data, [WIDTH]),
    ]);
    return draft.node('Add', `${path}/Add_1`, [scaled, draft.weight(`${name}.bias`, bias.data, [WIDTH])]);
  }

  #layer(x: Value, name: string, layer: Layer): Value {
    const draft = this.#draft;
    const path = `/${name.replaceAll('.', '/')}`;
    const ready = this.#norm(x, `${name}.norm1`, layer.attentionNorm);
    const mixed = this.#attention(ready, `${name}.attention`, layer);
    const after = draft.node('Add', `${path}/Add`, [x, mixed]);
    const up = this.#linear(this.#norm(after, `${name}.norm2`, layer.networkNorm), `${name}.up`, layer.up);
    const down = this.#linear(this.#gelu(up, `${path}/act`), `${name}.down`, layer.down);
    return draft.node('Add', `${path}/Add_1`, [after, down]);
  }

  #attention(x: Value, name: string, layer: Layer): Value {
    const draft = this.#draft;
    const path = `/${name.replaceAll('.', '/')}`;
    const heads = (part: 'query' | 'key' | 'value', perm: readonly number[]): Value => {
      const projected = this.#linear(x, `${name}.${part}`, layer[part]);
      const split = this.#reshape(projected, `${path}/${part}`, [TOKENS, HEADS, WIDTH / HEADS]);
      return draft.node('Transpose', `${path}/${part}/Transpose`, [split], { perm });
    };
    const query = heads('query', [0, 2, 1, 3]);
    const key = heads('key', [0, 2, 3, 1]);
    const value = heads('value', [0, 2, 1, 3]);
    const scores = draft.node('MatMul', `${path}/MatMul`, [query, key]);
    const root = draft.constant(`${path}/Constant`, scalar(Math.sqrt(WIDTH / HEADS)));
    const scaled = draft.node('Div', `${path}/Div`, [scores, root]);
    const weights = draft.node('Softmax', `${path}/Softmax`, [scaled], { axis: -1 });
    const mixed = draft.node('MatMul', `${path}/MatMul_1`, [weights, value]);
    const back = draft.node('Transpose', `${path}/Transpose`, [mixed], { perm: [0, 2, 1, 3] });
    return this.#linear(this.#reshape(back, path, [TOKENS, WIDTH]), `${name}.output`, layer.output);
  }

  /** `0.5 · x · (1 + erf(x / √2))` */
  #gelu(x: Value, path: string): Value {
    const draft = this.#draft;
    const root = draft.constant(`${path}/Constant`, scalar(Math.SQRT2));
    const erf = draft.node('Erf', `${path}/Erf`, [draft.node('Div', `${path}/Div`, [x, root])]);
    const sum = draft.node('Add', `${path}/Add`, [erf, draft.constant(`${path}/Constant_1`, scalar(1))]);
    const product = draft.node('Mul', `${path}/Mul`, [x, sum]);
    return draft.node('Mul', `${path}/Mul_1`, [product, draft.constant(`${path}/Constant_2`, scalar(0.5))]);
  }
}

/** Opset 14: signal [N, 256] → logits [N, 10]. */
export const exportSignalTransformer = (network: SignalNetwork): Model => new SignalExport().model(network);
