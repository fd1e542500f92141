/** Operators and forms of them whose gradients are compared with finite differences. */

export interface GradientCase {
  readonly name: string;
  /** Inputs in ONNX's text, `T` for the dtype that is tested; those of another dtype are selectors. */
  readonly inputs: string;
  readonly nodes: string;
  /** Initializers in ONNX's text, e.g. `int64[1] axes = {0}`. */
  readonly constants?: string;
  /** Selectors by name. */
  readonly given?: Readonly<Record<string, readonly number[]>>;
  /** ONNX Runtime has no double kernel for the operator or for one of its gradient's. */
  readonly float?: true;
  /** Numbers are drawn from [−2, 2], but for these: from [0.5, 2], all apart from each other, or from [−0.7, 0.7]. */
  readonly draw?: 'positive' | 'apart' | 'small';
  /** Inputs whose gradient is not wanted. */
  readonly fixed?: readonly string[];
  /** Dimensions by name: the case is typed with the names and run with the numbers. */
  readonly dims?: Readonly<Record<string, number>>;
}

const list: GradientCase[] = [];

function add(name: string, inputs: string, nodes: string, rest: Partial<GradientCase> = {}): void {
  list.push({ name, inputs, nodes, ...rest });
}

const unary = (op: string, rest: Partial<GradientCase> = {}, attributes = '') =>
  add(`${op}${attributes}`, 'T[2,5] x', `y = ${op}${attributes}(x)`, rest);

// Arithmetic, with each kind of broadcasting.
for (const op of ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min']) {
  const draw = op === 'Div' ? 'positive' : 'apart';
  add(`${op} of equal shapes`, 'T[2,3] a, T[2,3] b', `y = ${op}(a, b)`, { draw });
  add(`${op} with a row`, 'T[2,3] a, T[3] b', `y = ${op}(a, b)`, { draw });
  add(`${op} both ways`, 'T[2,1,3] a, T[4,1] b', `y = ${op}(a, b)`, { draw });
  add(`${op} with a scalar`, 'T a, T[2,3] b', `y = ${op}(a, b)`, { draw });
}
add('Add of named sizes', 'T[B,1,3] a, T[B,4,1] b', 'y = Add(a, b)', { dims: { B: 2 } });
add('Mul of unlike names', 'T[B,C] a, T[D,C] b', 'y = Mul(a, b)', { dims: { B: 1, C: 3, D: 2 } });
add(
  'a value that is read three times',
  'T[2,3] x',
  'a = Mul(x, x)\nb = Sin(x)\nc = Add(a, b)\ny = Mul(c, x)',
);
add('Sum', 'T[2,3] a, T[3] b, T[2,1] c', 'y = Sum(a, b, c)');
add('Mean', 'T[2,3] a, T[3] b', 'y = Mean(a, b)', { float: true });
for (const op of ['Neg', 'Identity', 'Exp', 'Sin', 'Cos', 'Tanh', 'Sigmoid']) unary(op);
for (const op of ['Sinh', 'Cosh', 'Atan']) unary(op, { float: true });
unary('Tan', { draw: 'apart', float: true });
for (const op of ['Asin', 'Acos', 'Atanh']) unary(op, { float: true, draw: 'small' });
unary('Asinh', { float: true });
add('Acosh', 'T[2,5] x', 'a = Add(x, one)\ny = Acosh(a)', {
  constants: 'T one = {1}',
  draw: 'positive',
  float: true,
});
for (const op of ['Log', 'Sqrt', 'Reciprocal']) unary(op, { draw: 'positive' });
unary('Abs', { draw: 'apart' });
unary('Cast', {}, '<to=11>');
add('Pow 2', 'T[2,5] x', 'y = Pow(x, two)', { constants: 'T two = {2}' });
add('Pow 3 of int64', 'T[2,5] x', 'y = Pow(x, three)', { constants: 'int64 three = {3}' });
add('Pow −0.5', 'T[2,5] x', 'y = Pow(x, p)', { constants: 'T p = {-0.5}', draw: 'positive' });
add('Pow of both', 'T[2,3] x, T[3] p', 'y = Pow(x, p)', { draw: 'positive' });
add('Clip', 'T[4,5] x', 'y = Clip(x, lo, hi)', { constants: 'T lo = {-0.53}, T hi = {0.71}', draw: 'apart' });
add('Clip above', 'T[4,5] x', 'y = Clip(x, , hi)', { constants: 'T hi = {0.71}', draw: 'apart' });
add('Clip with trained bounds', 'T[4,5] x, T hi', 'y = Clip(x, lo, hi)', {
  constants: 'T lo = {-9}',
});
add('Where', 'bool[2,3] c, T[2,3] a, T[3] b', 'y = Where(c, a, b)', { given: { c: [1, 0, 0, 1, 1, 0] } });

// Activations.
for (const op of ['Softplus', 'Softsign', 'Erf']) unary(op, { float: true });
unary('Relu', { draw: 'apart' });
for (const op of ['LeakyRelu', 'Elu', 'Selu', 'Celu', 'ThresholdedRelu', 'HardSigmoid', 'HardSwish'])
  unary(op, { float: true, draw: 'apart' });
unary('LeakyRelu', { float: true, draw: 'apart' }, '<alpha=0.3>');
unary('Elu', { float: true, draw: 'apart' }, '<alpha=0.5>');
unary('Celu', { float: true, draw: 'apart' }, '<alpha=0.5>');
unary('ThresholdedRelu', { float: true, draw: 'apart' }, '<alpha=0.3>');
unary('HardSigmoid', { float: true, draw: 'apart' }, '<alpha=0.4, beta=0.4>');
unary('Mish', { float: true });
unary('Gelu', { float: true });
unary('Gelu', { float: true }, '<approximate="tanh">');
unary('Dropout');
add('PRelu', 'T[2,3,2] x, T[3,1] slope', 'y = PRelu(x, slope)', {
  draw: 'apart',
  float: true,
});
for (const op of ['Softmax', 'LogSoftmax']) {
  unary(op);
  add(`${op} on axis 1`, 'T[2,4,3] x', `y = ${op}<axis=1>(x)`);
}

// Reductions: axes kept, dropped, all, from the end, none.
for (const op of [
  'ReduceSum',
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceL1',
  'ReduceL2',
  'ReduceSumSquare',
  'ReduceLogSum',
  'ReduceLogSumExp',
]) {
  const rest: Partial<GradientCase> = { draw: op === 'ReduceLogSum' ? 'positive' : 'apart' };
  const axes = (text: string) => ({
    ...rest,
    constants: `int64[${text.split(',').length}] axes = {${text}}`,
  });
  add(`${op} kept`, 'T[2,3,2] x', `y = ${op}(x, axes)`, axes('1'));
  add(`${op} dropped`, 'T[2,3,2] x', `y = ${op}<keepdims=0>(x, axes)`, axes('-1,0'));
  add(`${op} of all`, 'T[2,3] x', `y = ${op}<keepdims=0>(x)`, rest);
}
add('ReduceMean of named sizes', 'T[B,3,W] x', 'y = ReduceMean<keepdims=0>(x, axes)', {
  constants: 'int64[1] axes = {2}',
  dims: { B: 2, W: 4 },
});
add('ReduceSum of no axes', 'T[2,3] x', 'y = ReduceSum<noop_with_empty_axes=1>(x, axes)', {
  constants: 'int64[0] axes = {}',
});
add('CumSum', 'T[2,4] x', 'y = CumSum(x, axis)', { constants: 'int64 axis = {1}' });
add('CumSum exclusive reverse', 'T[2,4] x', 'y = CumSum<exclusive=1, reverse=1>(x, axis)', {
  constants: 'int64 axis = {1}',
});
add('GlobalAveragePool', 'T[2,3,2,2] x', 'y = GlobalAveragePool(x)', { float: true });
add('GlobalMaxPool', 'T[2,3,2,2] x', 'y = GlobalMaxPool(x)', { float: true, draw: 'apart' });

add('ReduceProd kept', 'T[2,3] x', 'y = ReduceProd(x, axes)', {
  constants: 'int64[1] axes = {1}',
  draw: 'positive',
  float: true,
});
add('ReduceProd of all', 'T[2,2] x', 'y = ReduceProd<keepdims=0>(x)', { draw: 'positive', float: true });

// Movement.
add('Reshape', 'T[2,6] x', 'y = Reshape(x, s)', { constants: 'int64[3] s = {3,-1,2}' });
add('Reshape of named sizes', 'T[B,6] x', 'y = Reshape(x, s)', {
  constants: 'int64[3] s = {0,3,2}',
  dims: { B: 2 },
});
add('Flatten', 'T[2,3,2] x', 'y = Flatten(x)');
add('Squeeze', 'T[2,1,3] x', 'y = Squeeze(x, a)', { constants: 'int64[1] a = {1}' });
add('Unsqueeze', 'T[2,3] x', 'y = Unsqueeze(x, a)', { constants: 'int64[2] a = {0,-1}' });
add('Transpose', 'T[2,3,4] x', 'y = Transpose<perm=[2,0,1]>(x)');
add('Transpose reversed', 'T[2,3,4] x', 'y = Transpose(x)');
add('Expand', 'T[3,1] x', 'y = Expand(x, s)', { constants: 'int64[3] s = {2,3,4}' });
add('Concat', 'T[2,3] a, T[2,1] b', 'y = Concat<axis=-1>(a, b)');
add('Concat of named sizes', 'T[B,3] a, T[C,3] b', 'y = Concat<axis=0>(a, b)', { dims: { B: 2, C: 3 } });
add('Split', 'T[2,6] x', 'p, q, r = Split<axis=1>(x, s)\np2 = Mul(p, p)\ny = Concat<axis=1>(p2, r)', {
  constants: 'int64[3] s = {1,2,3}',
});
add('Split evenly', 'T[2,6] x', 'p, q = Split<axis=1, num_outputs=2>(x)\ny = Mul(p, q)');
const slice = (starts: string, ends: string, axes: string, steps?: string) => {
  const n = starts.split(',').length;
  const constants = `int64[${n}] s = {${starts}}, int64[${n}] e = {${ends}}, int64[${n}] a = {${axes}}`;
  const stepped = steps ? `${constants}, int64[${n}] t = {${steps}}` : constants;
  add(
    `Slice ${starts}:${ends}:${steps ?? ''} of ${axes}`,
    'T[4,5] x',
    `y = Slice(x, s, e, a${steps ? ', t' : ''})`,
    {
      constants: stepped,
    },
  );
};
slice('1', '3', '1');
slice('1,-3', '99,-1', '0,1');
slice('-3', '-1', '-1');
slice('0', '5', '1', '2');
slice('4,1', '-9,4', '1,0', '-2,1');
add('Slice of named sizes', 'T[B,5] x', 'y = Slice(x, s, e, a)', {
  constants: 'int64[1] s = {1}, int64[1] e = {3}, int64[1] a = {0}',
  dims: { B: 4 },
});
add('Pad', 'T[2,3] x', 'y = Pad(x, p, v)', { constants: 'int64[4] p = {1,0,0,2}, T v = {0.5}' });
add('Pad that cuts', 'T[3,4] x', 'y = Pad(x, p)', { constants: 'int64[4] p = {-1,1,1,-2}' });
add('Pad of axes', 'T[2,3] x', 'y = Pad(x, p, , a)', { constants: 'int64[2] p = {1,2}, int64[1] a = {-1}' });
for (const mode of ['reflect', 'edge']) {
  add(`Pad ${mode}`, 'T[3,4] x', `y = Pad<mode="${mode}">(x, p)`, { constants: 'int64[4] p = {1,2,2,1}' });
}
add('Tile', 'T[2,3] x', 'y = Tile(x, r)', { constants: 'int64[2] r = {2,3}' });
add('DepthToSpace', 'T[1,8,1,2] x', 'y = DepthToSpace<blocksize=2>(x)');
add('DepthToSpace CRD', 'T[1,8,1,2] x', 'y = DepthToSpace<blocksize=2, mode="CRD">(x)');
add('SpaceToDepth', 'T[1,2,2,4] x', 'y = SpaceToDepth<blocksize=2>(x)');
add('Trilu', 'T[3,3] x', 'y = Trilu<upper=0>(x)');

// Indexing; every index list repeats itself.
add('Gather', 'T[4,3] x', 'y = Gather(x, i)', { constants: 'int64[2,2] i = {0,2,-2,0}' });
add('Gather of int32', 'T[4,3] x', 'y = Gather(x, i)', { constants: 'int32[3] i = {3,1,3}' });
add('Gather of one', 'T[4,3] x', 'y = Gather(x, i)', { constants: 'int64 i = {2}' });
add('Gather on axis 1', 'T[2,4,3] x', 'y = Gather<axis=1>(x, i)', { constants: 'int64[3] i = {1,-1,1}' });
add('Gather by an input', 'T[V,3] x, int64[2] i', 'y = Gather(x, i)', {
  given: { i: [1, 1] },
  dims: { V: 4 },
});
add('GatherElements', 'T[3,3] x', 'y = GatherElements<axis=1>(x, i)', {
  constants: 'int64[3,2] i = {0,0,1,2,-1,2}',
});
add('GatherND', 'T[2,3,2] x', 'y = GatherND(x, i)', { constants: 'int64[3,2] i = {0,1,1,2,0,1}' });
add('TopK', 'T[3,5] x', 'y, i = TopK(x, k)', { constants: 'int64[1] k = {2}', draw: 'apart' });
add('TopK smallest on axis 0', 'T[4,3] x', 'y, i = TopK<axis=0, largest=0>(x, k)', {
  constants: 'int64[1] k = {3}',
  draw: 'apart',
});
add('ScatterElements', 'T[3,3] x, T[2,3] u', 'y = ScatterElements(x, i, u)', {
  constants: 'int64[2,3] i = {1,0,2,0,2,1}',
});
add('ScatterND add', 'T[4,2] x, T[3,2] u', 'y = ScatterND<reduction="add">(x, i, u)', {
  constants: 'int64[3,1] i = {0,2,0}',
});
add('ScatterND', 'T[4,2] x, T[2,2] u', 'y = ScatterND(x, i, u)', { constants: 'int64[2,1] i = {0,2}' });

// Products.
add('MatMul', 'T[2,3] a, T[3,4] b', 'y = MatMul(a, b)');
add('MatMul of rows by a matrix', 'T[2,2,3] a, T[3,4] b', 'y = MatMul(a, b)');
add('MatMul of named sizes', 'T[B,S,3] a, T[3,4] b', 'y = MatMul(a, b)', { dims: { B: 2, S: 2 } });
add('MatMul in batches', 'T[2,2,3] a, T[2,3,2] b', 'y = MatMul(a, b)');
add('MatMul broadcast', 'T[2,1,2,3] a, T[2,3,2] b', 'y = MatMul(a, b)');
add('MatMul of a matrix by batches', 'T[2,3] a, T[2,3,2] b', 'y = MatMul(a, b)');
add('MatMul of vectors', 'T[3] a, T[3] b', 'y = MatMul(a, b)');
add('MatMul of a vector by batches', 'T[3] a, T[2,3,2] b', 'y = MatMul(a, b)');
add('MatMul of batches by a vector', 'T[2,2,3] a, T[3] b', 'y = MatMul(a, b)');
for (const [a, b, text] of [
  ['2,3', '3,4', ''],
  ['3,2', '3,4', 'transA=1, '],
  ['2,3', '4,3', 'transB=1, '],
  ['3,2', '4,3', 'transA=1, transB=1, '],
]) {
  add(`Gemm ${text}α, β`, `T[${a}] a, T[${b}] b, T[4] c`, `y = Gemm<${text}alpha=0.5, beta=2.0>(a, b, c)`);
}
add('Gemm of no C', 'T[2,3] a, T[3,4] b', 'y = Gemm(a, b)');
for (const [equation, a, b] of [
  ['ij,jk->ik', '2,3', '3,4'],
  ['bhid,bhjd->bhij', '1,2,2,3', '1,2,3,3'],
  ['...ij,jk->...ik', '2,2,3', '3,2'],
  ['ij,kj', '2,3', '4,3'],
  ['ij,k->jk', '2,3', '2'],
]) {
  add(`Einsum ${equation}`, `T[${a}] a, T[${b}] b`, `y = Einsum<equation="${equation}">(a, b)`);
}
add('Einsum of one', 'T[2,3] a', 'y = Einsum<equation="ij->j">(a)');

// Convolutions and pools.
const conv = (name: string, x: string, w: string, attributes: string, op = 'Conv') => {
  const channels =
    op === 'Conv'
      ? w.split(',')[0]
      : `${Number(w.split(',')[1]) * Number(/group=(\d)/.exec(attributes)?.[1] ?? 1)}`;
  add(`${op} ${name}`, `T[${x}] x, T[${w}] w, T[${channels}] b`, `y = ${op}${attributes}(x, w, b)`, {
    float: true,
  });
};
conv('3×3', '2,2,4,4', '3,2,3,3', '<pads=[1,1,1,1]>');
conv('stride 2', '2,2,5,5', '3,2,3,3', '<strides=[2,2], pads=[1,1,1,1]>');
conv('stride 2 with a rest', '1,2,6,5', '2,2,3,3', '<strides=[2,2]>');
conv('uneven margins', '1,2,4,4', '2,2,3,3', '<pads=[0,1,2,0]>');
conv('dilation 2', '1,2,6,6', '2,2,3,3', '<dilations=[2,2], pads=[1,1,1,1]>');
conv('stride and dilation 2', '1,2,7,8', '2,2,3,3', '<strides=[2,2], dilations=[2,2], pads=[1,1,1,1]>');
conv('two groups', '2,4,4,4', '6,2,3,3', '<group=2, pads=[1,1,1,1]>');
conv('depthwise 3×3', '2,3,4,4', '3,1,3,3', '<group=3, pads=[1,1,1,1]>');
conv('depthwise 5×5 stride 2', '1,2,7,7', '2,1,5,5', '<group=2, strides=[2,2], pads=[2,2,2,2]>');
conv('1×1', '2,3,3,3', '4,3,1,1', '');
conv('of one axis', '2,2,7', '3,2,3', '<strides=[2], pads=[1,0]>');
conv('of three axes', '1,1,3,3,3', '2,1,2,2,2', '');
conv('SAME_UPPER', '1,2,6,5', '2,2,3,2', '<auto_pad="SAME_UPPER", strides=[2,2]>');
conv('SAME_LOWER', '1,2,6,6', '2,2,2,2', '<auto_pad="SAME_LOWER">');
conv('VALID', '1,2,4,4', '2,2,3,3', '<auto_pad="VALID">');
conv('2×2 stride 2', '1,2,3,3', '2,3,2,2', '<strides=[2,2]>', 'ConvTranspose');
conv(
  'margins',
  '1,2,3,3',
  '2,3,3,3',
  '<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>',
  'ConvTranspose',
);
conv('groups', '1,4,3,3', '4,2,3,3', '<group=2, pads=[1,0,0,1]>', 'ConvTranspose');
conv('dilation', '1,2,3,3', '2,2,2,2', '<dilations=[2,2]>', 'ConvTranspose');
conv('of one axis', '1,2,5', '2,3,4', '<strides=[2], pads=[1,1]>', 'ConvTranspose');
const pool = (op: string, name: string, x: string, attributes: string) =>
  add(`${op} ${name}`, `T[${x}] x`, `y = ${op}<${attributes}>(x)`, { float: true, draw: 'apart' });
for (const op of ['MaxPool', 'AveragePool']) {
  pool(op, '2×2', '2,2,4,4', 'kernel_shape=[2,2], strides=[2,2]');
  pool(op, 'overlapping with margins', '1,2,5,5', 'kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]');
  pool(op, 'ceil_mode', '1,1,5,6', 'kernel_shape=[2,2], strides=[2,2], ceil_mode=1');
  pool(op, 'dilated', '1,1,5,5', 'kernel_shape=[2,2], dilations=[2,2]');
  pool(op, 'of one axis', '2,2,6', 'kernel_shape=[3], strides=[2]');
  pool(op, 'SAME_UPPER', '1,1,5,4', 'kernel_shape=[2,2], strides=[2,2], auto_pad="SAME_UPPER"');
}
pool(
  'AveragePool',
  'count_include_pad',
  '1,2,5,5',
  'kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1',
);

// Normalizations.
add('LayerNormalization', 'T[2,2,4] x, T[4] s, T[4] b', 'y = LayerNormalization(x, s, b)');
add(
  'LayerNormalization from axis 1',
  'T[2,2,3] x, T[2,3] s',
  'y = LayerNormalization<axis=1, epsilon=0.1>(x, s)',
);
add(
  'RMS written out',
  'T[2,4] x, T[4] s',
  'p = Mul(x, x)\nm = ReduceMean(p, a)\ne = Add(m, eps)\nr = Sqrt(e)\nn = Div(x, r)\ny = Mul(n, s)',
  {
    constants: 'int64[1] a = {-1}, T eps = {0.01}',
  },
);
add(
  'SimplifiedLayerNormalization',
  'T[2,2,4] x, T[4] s',
  'y = SimplifiedLayerNormalization<axis=-1, epsilon=0.01>(x, s)',
);
add('InstanceNormalization', 'T[2,2,5] x, T[2] s, T[2] b', 'y = InstanceNormalization(x, s, b)', {
  float: true,
});
add('GroupNormalization', 'T[2,4,3] x, T[4] s, T[4] b', 'y = GroupNormalization<num_groups=2>(x, s, b)', {
  float: true,
});
add('BatchNormalization', 'T[2,3,2,2] x, T[3] s, T[3] b, T[3] m', 'y = BatchNormalization(x, s, b, m, v)', {
  constants: 'T[3] v = {0.5, 1.0, 2.0}',
});
add('MeanVarianceNormalization', 'T[2,2,2,3] x', 'y = MeanVarianceNormalization(x)', { float: true });
add('LRN', 'T[1,5,2,1] x', 'y = LRN<size=3, alpha=0.5, beta=0.6, bias=1.5>(x)', { float: true });
add('LpNormalization', 'T[2,4] x', 'y = LpNormalization<axis=1>(x)', { draw: 'apart' });
add('LpNormalization of p 1', 'T[2,4] x', 'y = LpNormalization<axis=1, p=1>(x)', { draw: 'apart' });

// Stored integers: their scales.
const stored = (name: string, scale: string, attributes: string, zero = '') =>
  add(`DequantizeLinear ${name}`, `T${scale} s`, `y = DequantizeLinear${attributes}(q, s${zero && ', z'})`, {
    constants: `int8[4,3] q = {1,-2,3,-4,5,-6,7,-8,9,-10,11,-12}${zero && `, ${zero}`}`,
    draw: 'positive',
    float: true,
  });
stored('by tensor', '', '');
stored('by row', '[4]', '<axis=0>', 'int8[4] z = {1,0,-1,2}');
stored('by column', '[3]', '');
stored('in blocks', '[2,3]', '<axis=0, block_size=2>');
stored('in blocks, the last one short', '[2,3]', '<axis=0, block_size=3>');

// Resize: nearest and linear, by scales and sizes, up and down.
const resize = (name: string, attributes: string, constants: string, arguments_: string) =>
  add(`Resize ${name}`, 'T[1,2,4,3] x', `y = Resize<${attributes}>(x, , ${arguments_})`, {
    constants,
    float: true,
  });
resize('nearest ×2', 'mode="nearest"', 'float[4] s = {1,1,2,2}', 's');
resize(
  'nearest asymmetric',
  'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"',
  'float[4] s = {1,1,2,3}',
  's',
);
resize('linear to sizes', 'mode="linear"', 'int64[4] s = {1,2,7,5}', ', s');
resize(
  'linear align_corners',
  'mode="linear", coordinate_transformation_mode="align_corners"',
  'int64[4] s = {1,2,8,6}',
  ', s',
);
resize('linear down', 'mode="linear"', 'int64[4] s = {1,2,2,2}', ', s');
resize('of axes', 'mode="linear", axes=[2,3]', 'float[2] s = {2,1.5}', 's');
resize('cubic', 'mode="cubic"', 'int64[4] s = {1,2,8,6}', ', s');

export const GRADIENT_CASES: readonly GradientCase[] = list;
