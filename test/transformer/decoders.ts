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

/** Heads of four numbers, which no fused operator takes. */
export const narrow = (text: string): string =>
  text
    .replace('int64[4] heads = {0, 0, 2, 8}', 'int64[4] heads = {0, 0, 4, 4}')
    .replace('float root = {2.8284271247461903}', 'float root = {2}');

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

/**
 * LLaMA's form with what newer models add: root-mean-square norms (of single heads too), rotations computed from counted
 * positions, keys and values that two heads share, a gate. Heads of 16, so that the operator can rotate by itself.
 */
export const rotating = (norms: boolean): string => {
  const norm = (x: string, to: string): string => `
  ${to}_p = Pow (${x}, two)
  ${to}_v = ReduceMean (${to}_p, minus)
  ${to}_e = Add (${to}_v, epsilon)
  ${to}_s = Sqrt (${to}_e)
  ${to}_n = Div (${x}, ${to}_s)`;
  const headNorm = (x: string, to: string): string =>
    norms ? `${norm(x, to)}\n  ${to} = Mul (${to}_n, head_scale)` : `\n  ${to} = Identity (${x})`;
  const turn = (x: string, to: string): string => `
  ${to}_c = Mul (${x}, cos)
  ${to}_1, ${to}_2 = Split <axis = -1, num_outputs = 2> (${x})
  ${to}_m = Neg (${to}_2)
  ${to}_t = Concat <axis = -1> (${to}_m, ${to}_1)
  ${to}_d = Mul (${to}_t, sin)
  ${to} = Add (${to}_c, ${to}_d)`;
  const repeat = (x: string, to: string): string => `
  ${to}_5 = Unsqueeze (${x}, twos)
  ${to}_w = Expand (${to}_5, twice)
  ${to} = Reshape (${to}_w, two_heads)`;
  return `${HEAD}
g (int64[B,T] input_ids) => (float[B,T,40] logits) <
  float[40,32] words = ["fill": "normal:1"], float[32,40] head = ["fill": "normal:2"],
  float[32,32] wq = ["fill": "normal:3:0:0.3"], float[32,16] wk = ["fill": "normal:4:0:0.3"],
  float[32,16] wv = ["fill": "normal:5:0:0.3"], float[32,32] wo = ["fill": "normal:6:0:0.3"],
  float[32,48] wg = ["fill": "normal:7:0:0.3"], float[32,48] wu = ["fill": "normal:8:0:0.3"],
  float[48,32] wd = ["fill": "normal:9:0:0.3"], float[32] scale = ["fill": "uniform:10:0.5:1.5"],
  float[16] head_scale = ["fill": "uniform:11:0.5:1.5"], float[1,8,1] frequencies = ["fill": "uniform:12:0.01:1"],
  float two = {2}, float epsilon = {0.00001}, float hidden = {-inf}, float shown = {0}, float root = {0.5},
  int64 zero = {0}, int64 one = {1}, int64[1] minus = {-1}, int64[1] zeros = {0}, int64[1] ones1 = {1},
  int64[1] twos = {2}, int64[2] front = {0, 1}, int64[4] two_heads = {0, 2, -1, 16}, int64[4] q_heads = {0, 0, 2, 16},
  int64[4] kv_heads = {0, 0, 1, 16}, int64[3] joined = {0, 0, 32}, int64[5] twice = {1, 1, 2, 1, 1}
> {
  shape = Shape (input_ids)
  length = Gather <axis = 0> (shape, one)
  counted = Range (zero, length, one)
  real = Cast <to = 1> (counted)
  row = Unsqueeze (real, front)
  product = MatMul (frequencies, row)
  angles = Transpose <perm = [0, 2, 1]> (product)
  both = Concat <axis = -1> (angles, angles)
  cos3 = Cos (both)
  sin3 = Sin (both)
  cos = Unsqueeze (cos3, ones1)
  sin = Unsqueeze (sin3, ones1)
  across = Unsqueeze (counted, zeros)
  down = Unsqueeze (counted, ones1)
  seen = LessOrEqual (across, down)
  bias = Where (seen, shown, hidden)
  h0 = Gather <axis = 0> (words, input_ids)
  ${norm('h0', 'a')}
  x = Mul (scale, a_n)
  mq = MatMul (x, wq)
  mk = MatMul (x, wk)
  mv = MatMul (x, wv)
  rq = Reshape (mq, q_heads)
  rk = Reshape (mk, kv_heads)
  rv = Reshape (mv, kv_heads)
  ${headNorm('rq', 'nq')}
  ${headNorm('rk', 'nk')}
  tq = Transpose <perm = [0, 2, 1, 3]> (nq)
  tk = Transpose <perm = [0, 2, 1, 3]> (nk)
  tv = Transpose <perm = [0, 2, 1, 3]> (rv)
  ${turn('tq', 'q')}
  ${turn('tk', 'k')}
  ${repeat('k', 'kk')}
  ${repeat('tv', 'vv')}
  kt = Transpose <perm = [0, 1, 3, 2]> (kk)
  qs = Mul (q, root)
  ks = Mul (kt, root)
  s = MatMul (qs, ks)
  m = Add (s, bias)
  p = Softmax <axis = -1> (m)
  o = MatMul (p, vv)
  t = Transpose <perm = [0, 2, 1, 3]> (o)
  r = Reshape (t, joined)
  y = MatMul (r, wo)
  h1 = Add (h0, y)
  ${norm('h1', 'b')}
  z = Mul (b_n, scale)
  gate = MatMul (z, wg)
  sigmoid = Sigmoid (gate)
  silu = Mul (gate, sigmoid)
  up = MatMul (z, wu)
  both_up = Mul (silu, up)
  wide = MatMul (both_up, wd)
  h2 = Add (h1, wide)
  logits = MatMul (h2, head)
}`;
};
