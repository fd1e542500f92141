/** Small decoders as exporters write them, with weights drawn by law. */

const layer = (at: number, mask: string, heads = 2, size = 8): string => {
  const width = heads * size;
  return `
  n${at} = LayerNormalization <axis = -1> (h${at}, ones, nothing)
  qkv${at} = MatMul (n${at}, wqkv${at})
  qkvb${at} = Add (qkv${at}, bqkv)
  q0${at}, k0${at}, v0${at} = Split <axis = 2, num_outputs = 3> (qkvb${at})
  q1${at} = Reshape (q0${at}, heads)
  k1${at} = Reshape (k0${at}, heads)
  v1${at} = Reshape (v0${at}, heads)
  q${at} = Transpose <perm = [0, 2, 1, 3]> (q1${at})
  k${at} = Transpose <perm = [0, 2, 3, 1]> (k1${at})
  v${at} = Transpose <perm = [0, 2, 1, 3]> (v1${at})
  s${at} = MatMul (q${at}, k${at})
  d${at} = Div (s${at}, root)
  ${mask.replaceAll('@', String(at))}
  p${at} = Softmax <axis = -1> (m${at})
  o${at} = MatMul (p${at}, v${at})
  t${at} = Transpose <perm = [0, 2, 1, 3]> (o${at})
  r${at} = Reshape (t${at}, joined)
  y${at} = MatMul (r${at}, wo${at})
  a${at} = Add (h${at}, y${at})
  n2${at} = LayerNormalization <axis = -1> (a${at}, ones, nothing)
  f${at} = MatMul (n2${at}, wf${at})
  g${at} = Gelu <approximate = "tanh"> (f${at})
  e${at} = MatMul (g${at}, we${at})
  h${at + 1} = Add (a${at}, e${at})
  `.replaceAll('width', String(width));
};

const weights = (layers: number): string =>
  Array.from({ length: layers }, (_, at) => at)
    .map(
      (at) => `float[16,48] wqkv${at} = ["fill": "normal:${10 * at + 1}:0:0.5"],
  float[16,16] wo${at} = ["fill": "normal:${10 * at + 2}:0:0.5"],
  float[16,32] wf${at} = ["fill": "normal:${10 * at + 3}:0:0.5"],
  float[32,16] we${at} = ["fill": "normal:${10 * at + 4}:0:0.5"],`,
    )
    .join('\n  ');

const COMMON = `float[40,16] words = ["fill": "normal:101"],
  float[32,16] places = ["fill": "normal:102"],
  float[16,40] head = ["fill": "normal:103"],
  float[16] ones = ["fill": "ones"],
  float[16] nothing = ["fill": "zeros"],
  float[48] bqkv = ["fill": "normal:104:0:0.3"],
  int64[4] heads = {0, 0, 2, 8},
  int64[3] joined = {0, 0, 16},
  float root = {2.8284271247461903},
  float least = {-3.4028234663852886e38},
  float hidden = {-10000},
  float one_float = {1},
  int64 zero = {0},
  int64 one = {1},
  int64[1] zeros = {0},
  int64[1] ones1 = {1},
  int64[1] twos = {2},
  int64[1] threes = {3},
  int64[2] middle = {1, 2}`;

const HEAD = '<ir_version: 10, opset_import: ["": 21]>';

/** GPT-2's form: learned positions counted from 0, a stored triangle cut to size, packed products. */
export const counting = (layers = 2): string => `${HEAD}
g (int64[B,T] input_ids) => (float[B,T,40] logits) <
  ${weights(layers)}
  bool[1,1,32,32] triangle = {${Array.from({ length: 1024 }, (_, at) => (at % 32 <= Math.floor(at / 32) ? 1 : 0))}},
  ${COMMON}
> {
  shape = Shape (input_ids)
  length = Gather <axis = 0> (shape, one)
  size = Unsqueeze (length, zeros)
  counted = Range (zero, length, one)
  positions = Unsqueeze (counted, zeros)
  tokens = Gather <axis = 0> (words, input_ids)
  located = Gather <axis = 0> (places, positions)
  h0 = Add (tokens, located)
  rows = Slice (triangle, zeros, size, twos, ones1)
  seen = Slice (rows, zeros, size, threes, ones1)
  ${Array.from({ length: layers }, (_, at) => layer(at, 'm@ = Where (seen, d@, least)')).join('')}
  logits = MatMul (h${layers}, head)
}`;

/** As Optimum exports a decoder without a cache: its mask and positions are inputs. */
export const masked = (layers = 2): string => `${HEAD}
g (int64[B,T] input_ids, int64[B,T] attention_mask, int64[B,T] position_ids) => (float[B,T,40] logits) <
  ${weights(layers)}
  ${COMMON}
> {
  shape = Shape (input_ids)
  length = Gather <axis = 0> (shape, one)
  size = Unsqueeze (length, zeros)
  square = Concat <axis = 0> (size, size)
  full = Expand (least, square)
  later = Trilu <upper = 1> (full, one)
  wide = Unsqueeze (attention_mask, middle)
  number = Cast <to = 1> (wide)
  inverse = Sub (one_float, number)
  padding = Mul (inverse, hidden)
  bias = Add (padding, later)
  tokens = Gather <axis = 0> (words, input_ids)
  located = Gather <axis = 0> (places, position_ids)
  h0 = Add (tokens, located)
  ${Array.from({ length: layers }, (_, at) => layer(at, 'm@ = Add (d@, bias)')).join('')}
  logits = MatMul (h${layers}, head)
}`;

/** The same, where positions come as rows: computed from how many tokens there are, as sines. */
export const computed = (layers = 1): string =>
  counting(layers)
    .replace(
      'located = Gather <axis = 0> (places, positions)',
      'located = Slice (places, zeros, size, zeros, ones1)',
    )
    .replace('positions = Unsqueeze (counted, zeros)\n', '\n');

/** An encoder: every token sees every other. */
export const open = (): string => counting(1).replace('m0 = Where (seen, d0, least)', 'm0 = Identity (d0)');

/** Something beside attention that reads tokens together. */
export const pooled = (): string =>
  counting(1).replace(
    'h0 = Add (tokens, located)',
    'sum = Add (tokens, located)\n  mean = ReduceMean <keepdims = 1> (tokens, ones1)\n  h0 = Add (sum, mean)',
  );
