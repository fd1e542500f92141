/**
 * Rounding learnt (AdaRound, Nagel et al., 2020): for each weight whether it goes up or down, so that the layer's output
 * changes least. Over inputs x with A = E[x·xᵀ] the output's mean squared error is tr(Dᵀ·A·D), D being the weights'
 * errors, and its slope A·D: no samples are needed while it learns, and no derivatives but these. One ONNX graph is all of
 * it, steps of Adam inside a Loop:
 *   h = clip(1.2·σ(v) − 0.1, 0, 1),  Ŵ = s·(clip(⌊W/s⌋ + z + h, 0, full) − z),  loss = tr(DᵀAD)/c + λ·Σ(1 − |2h − 1|^β)
 * β falls from 20 to 2 after the first fifth, as in the paper; c is what one step of an average weight costs.
 */
import {
  type BlockFit,
  fitBlock,
  importanceOf,
  type Metric,
  type PassContext,
  type PutBlock,
  parseModel,
  QuantcError,
  type RoundSpec,
  setConstant,
  Tensor,
} from '../../src/index.js';

/** Steps, and how far one goes. */
const STEPS = 500;
const RATE = 0.02;
const REGULARIZATION = 0.01;

/** [inner, columns] matrices of one part of a weight. */
interface Part {
  readonly rows: number;
  readonly floor: Float32Array;
  readonly rest: Float32Array;
  readonly weight: Float32Array;
  readonly scale: Float32Array;
  readonly zero: Float32Array;
}

/** The rounding of a weight over metrics of equal parts of its inner dimension. */
export function adaptively({ engine }: PassContext) {
  return async (
    values: Float32Array,
    spec: RoundSpec,
    metrics: readonly Metric[],
    put: PutBlock,
  ): Promise<void> => {
    const { shape, axis, blockSize, bits } = spec;
    const [inner, columns] = [shape[axis]!, shape[1 - axis]!];
    const blocks = Math.ceil(inner / blockSize);
    const at = (k: number, column: number): number =>
      axis === 0 ? k * columns + column : column * inner + k;
    const importance = importanceOf(metrics, inner);
    const fits: BlockFit[] = [];
    const x = new Float32Array(inner);
    for (let column = 0; column < columns; column++) {
      for (let k = 0; k < inner; k++) x[k] = values[at(k, column)]!;
      for (let block = 0; block < blocks; block++) {
        const [from, to] = [block * blockSize, Math.min(inner, (block + 1) * blockSize)];
        fits.push(fitBlock(x.subarray(from, to), spec, importance.subarray(from, to)));
      }
    }
    const full = 2 ** bits - 1;
    const integers = new Uint8Array(inner * columns);
    let first = 0;
    for (const metric of metrics) {
      const part = partOf(first, metric.size);
      const up = await learn(part, metric, full, columns);
      for (let k = 0; k < metric.size; k++) {
        for (let column = 0; column < columns; column++) {
          const cell = k * columns + column;
          const whole = part.floor[cell]! + part.zero[cell]! + (up[cell]! > 0 ? 1 : 0);
          integers[column * inner + first + k] = Math.min(Math.max(whole, 0), full);
        }
      }
      first += metric.size;
    }
    for (let column = 0; column < columns; column++) {
      for (let block = 0; block < blocks; block++) {
        const from = column * inner + block * blockSize;
        const to = Math.min(from + blockSize, (column + 1) * inner);
        put(column, block, fits[column * blocks + block]!, integers.subarray(from, to));
      }
    }

    function partOf(start: number, rows: number): Part {
      const make = () => new Float32Array(rows * columns);
      const part = { rows, floor: make(), rest: make(), weight: make(), scale: make(), zero: make() };
      for (let k = 0; k < rows; k++) {
        for (let column = 0; column < columns; column++) {
          const cell = k * columns + column;
          const { scale, zeroPoint } = fits[column * blocks + Math.floor((start + k) / blockSize)]!;
          const weight = values[at(start + k, column)]!;
          const steps = scale === 0 ? 0 : weight / scale;
          part.weight[cell] = weight;
          part.scale[cell] = scale;
          part.zero[cell] = zeroPoint;
          part.floor[cell] = Math.floor(steps);
          part.rest[cell] = steps - Math.floor(steps);
        }
      }
      return part;
    }
  };

  async function learn(part: Part, metric: Metric, full: number, columns: number): Promise<Float32Array> {
    const { rows } = part;
    let trace = 0;
    for (let i = 0; i < rows; i++) trace += metric.matrix[i * rows + i]!;
    const square = part.scale.reduce((sum, scale) => sum + scale * scale, 0) / part.scale.length;
    const cost = (trace / rows) * square;
    if (!(cost > 0 && Number.isFinite(cost))) return part.rest.map((rest) => rest - 0.5);
    const model = parseModel(graphText(rows, columns, full));
    const constants: Readonly<Record<string, Float32Array>> = {
      a: Float32Array.from(metric.matrix, (each) => (2 * each) / cost),
      w: part.weight,
      s: part.scale,
      base: part.floor.map((floor, cell) => floor + part.zero[cell]!),
      z: part.zero,
      // The v whose h is what rounding leaves off.
      start: part.rest.map((rest) => -Math.log(1.2 / (rest + 0.1) - 1)),
    };
    for (const value of model.graph.initializers) {
      const data = constants[value.name];
      if (data !== undefined) setConstant(value, Tensor.of('float', value.constant!.shape, data));
    }
    const output = model.graph.outputs[0]!;
    const answer = (await engine.evaluate(model, [...model.graph.nodes()], [output])).get(output);
    if (answer === undefined) {
      throw new QuantcError(
        'F_ADAPTIVE_ROUNDING',
        'ONNX Runtime does not run the graph that learns rounding',
        {
          kind: 'fault',
        },
      );
    }
    return answer.toFloat32();
  }
}

/** One positive number a weight that goes up, after all steps. */
function graphText(rows: number, columns: number, full: number): string {
  const size = `${rows},${columns}`;
  const zeros = (name: string, shape: string) => `float[${shape}] ${name} = ["fill": "zeros"]`;
  const warm = Math.floor(STEPS / 5);
  return `<ir_version: 10, opset_import: ["": 21]> adaptive () => (float[${size}] up) <
  ${zeros('a', `${rows},${rows}`)}, ${['w', 's', 'base', 'z', 'start', 'm0', 'u0'].map((name) => zeros(name, size)).join(', ')},
  int64 steps = {${STEPS}}, bool go = {1}
> {
  up, m, u = Loop (steps, go, start, m0, u0) <body = step (int64 i, bool on, float[${size}] v, float[${size}] mb, float[${size}] ub)
    => (bool more, float[${size}] v1, float[${size}] m1, float[${size}] u1) {
    zero = Constant <value_float = 0.0> ()
    one = Constant <value_float = 1.0> ()
    two = Constant <value_float = 2.0> ()
    full = Constant <value_float = ${full}.0> ()
    wide = Constant <value_float = 1.2> ()
    low = Constant <value_float = -0.1> ()
    warm = Constant <value_float = ${warm}.0> ()
    rest = Constant <value_float = ${STEPS - warm}.0> ()
    fall = Constant <value_float = 18.0> ()
    steep = Constant <value_float = 20.0> ()
    weigh = Constant <value_float = ${REGULARIZATION}> ()
    b1 = Constant <value_float = 0.9> ()
    b2 = Constant <value_float = 0.999> ()
    nb1 = Constant <value_float = 0.1> ()
    nb2 = Constant <value_float = 0.001> ()
    tiny = Constant <value_float = 0.00000001> ()
    least = Constant <value_float = 0.000001> ()
    rate = Constant <value_float = ${RATE}> ()
    more = Identity (on)
    at = Cast <to = 1> (i)
    count = Add (at, one)
    sig = Sigmoid (v)
    stretched0 = Mul (sig, wide)
    stretched = Add (stretched0, low)
    h = Clip (stretched, zero, one)
    inside0 = Equal (h, stretched)
    inside = Cast <to = 1> (inside0)
    q0 = Add (base, h)
    q = Clip (q0, zero, full)
    kept0 = Equal (q, q0)
    kept = Cast <to = 1> (kept0)
    centred = Sub (q, z)
    wq = Mul (centred, s)
    d = Sub (wq, w)
    slope = MatMul (a, d)
    slopeh0 = Mul (slope, s)
    slopeh = Mul (slopeh0, kept)
    past0 = Sub (at, warm)
    past1 = Div (past0, rest)
    past = Clip (past1, zero, one)
    drop = Mul (past, fall)
    beta = Sub (steep, drop)
    isPast0 = GreaterOrEqual (at, warm)
    isPast = Cast <to = 1> (isPast0)
    doubled = Mul (h, two)
    off = Sub (doubled, one)
    size0 = Abs (off)
    size = Max (size0, least)
    power = Sub (beta, one)
    raised = Pow (size, power)
    side = Sign (off)
    pull0 = Mul (raised, side)
    pull1 = Mul (pull0, beta)
    pull2 = Mul (pull1, two)
    pull3 = Mul (pull2, weigh)
    pull = Mul (pull3, isPast)
    slopeAll = Sub (slopeh, pull)
    notSig = Sub (one, sig)
    bend0 = Mul (sig, notSig)
    bend1 = Mul (bend0, wide)
    bend = Mul (bend1, inside)
    g = Mul (slopeAll, bend)
    ma = Mul (mb, b1)
    mc = Mul (g, nb1)
    m1 = Add (ma, mc)
    gg = Mul (g, g)
    ua = Mul (ub, b2)
    uc = Mul (gg, nb2)
    u1 = Add (ua, uc)
    p1 = Pow (b1, count)
    p2 = Pow (b2, count)
    c1 = Sub (one, p1)
    c2 = Sub (one, p2)
    mh = Div (m1, c1)
    uh = Div (u1, c2)
    root = Sqrt (uh)
    under = Add (root, tiny)
    ratio = Div (mh, under)
    move = Mul (ratio, rate)
    v1 = Sub (v, move)
  }>
}`;
}
