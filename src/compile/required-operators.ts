/**
 * Which operators, of which element types, .ort files compute with, as text that builds of ONNX Runtime read which leave
 * all others out (`--include_ops_by_config`, with `--enable_reduced_operator_type_support`): a line
 * `domain;opset;op{types},op` for each domain and opset. Which inputs count for the types of an operator is ONNX
 * Runtime's to say: tools/python/util/ort_format_model/operator_type_usage_processors.py.
 */
import type { DType } from '../ir/dtype.js';
import type { OrtFile, OrtOperator } from '../runtime/ort-file.js';

/** As ONNX Runtime's source spells element types. */
const CPP: Readonly<Partial<Record<DType, string>>> = {
  float: 'float',
  uint8: 'uint8_t',
  int8: 'int8_t',
  uint16: 'uint16_t',
  int16: 'int16_t',
  int32: 'int32_t',
  int64: 'int64_t',
  string: 'std::string',
  bool: 'bool',
  float16: 'MLFloat16',
  double: 'double',
  uint32: 'uint32_t',
  uint64: 'uint64_t',
  bfloat16: 'BFloat16',
  float8e4m3fn: 'Float8E4M3FN',
  float8e4m3fnuz: 'Float8E4M3FNUZ',
  float8e5m2: 'Float8E5M2',
  float8e5m2fnuz: 'Float8E5M2FNUZ',
};

interface Tracked {
  readonly inputs?: readonly number[];
  readonly outputs?: readonly number[];
}

const FIRST: Tracked = { inputs: [0] };
const BY_OUTPUT: Tracked = { outputs: [0] };

/** Operators whose kernels differ by the type of the first input. */
const BY_FIRST =
  'Abs Add ArgMax ArgMin AveragePool BatchNormalization BitShift Ceil Clip Concat Conv CumSum DequantizeLinear Div Equal Exp ' +
  'Expand Floor Gemm Greater IsNaN Less Log LogSoftmax LpNormalization MatMul Max MaxPool Mean Min Mul Neg NonZero Pad QLinearConv ' +
  'QLinearMatMul Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ' +
  'ReduceSum ReduceSumSquare Relu Resize ReverseSequence RoiAlign Round Scatter ScatterElements ScatterND Shrink Sigmoid Sign ' +
  'Sin Softmax Split SplitToSequence Sqrt Sub Sum Tanh TopK Transpose Unique';

const TRACKED: ReadonlyMap<string, Tracked> = new Map<string, Tracked>([
  ...BY_FIRST.split(' ').map((op) => [`ai.onnx:${op}`, FIRST] as const),
  ...['QLinearAdd', 'QLinearMul', 'QLinearConv'].map((op) => [`com.microsoft:${op}`, FIRST] as const),
  ...['Gather', 'GatherElements', 'Pow', 'Slice'].map((op) => [`ai.onnx:${op}`, { inputs: [0, 1] }] as const),
  ['ai.onnx:Cast', { inputs: [0], outputs: [0] }],
  ['ai.onnx:Where', { inputs: [1] }],
  ...[
    ...['ConstantOfShape', 'QuantizeLinear', 'DynamicQuantizeLinear', 'Multinomial'],
    ...['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'],
  ].map((op) => [`ai.onnx:${op}`, BY_OUTPUT] as const),
]);

/**
 * @param files what `readOrtFile` says of each
 * @param names of the files, for the text's first lines
 */
export function requiredOperators(files: readonly OrtFile[], names: readonly string[]): string {
  const nodes = files.flatMap((file) => file.operators);
  const produced = files.flatMap((file) => file.produced);
  const lines = new Map<string, Set<string>>();
  for (const { domain, since, op } of [...nodes, ...produced]) {
    const key = `${domain};${since}`;
    lines.set(key, (lines.get(key) ?? new Set()).add(op));
  }
  const types = typesOf(nodes, new Set(produced.map(({ domain, op }) => `${domain}:${op}`)));
  const text = [...lines].sort(byDomainThenVersion).map(([key, ops]) => {
    const [domain] = key.split(';');
    const entries = [...ops].sort().map((op) => `${op}${types.get(`${domain}:${op}`) ?? ''}`);
    return `${key};${entries.join(',')}`;
  });
  return [`# What these files need: ${[...names].sort().join(', ')}`, ...text, ''].join('\n');
}

function byDomainThenVersion([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  const [[domain = '', since], [other = '', later]] = [a.split(';'), b.split(';')];
  return domain === other ? Number(since) - Number(later) : domain < other ? -1 : 1;
}

/** @param untyped operators whose types are not all known, and which therefore keep all */
function typesOf(nodes: readonly OrtOperator[], untyped: ReadonlySet<string>): Map<string, string> {
  const seen = new Map<string, Map<string, Set<string>>>();
  const triples = new Map<string, Set<string>>();
  for (const node of nodes) {
    const key = `${node.domain}:${node.op}`;
    if (untyped.has(key)) continue;
    if (key === 'ai.onnx:OneHot') {
      // Its kernels go by all three types: of indices, values, and depth.
      const [indices, depth, values] = node.inputs.map((dtype) => (dtype ? CPP[dtype] : undefined));
      triples.set(key, (triples.get(key) ?? new Set()).add(JSON.stringify([indices, values, depth])));
      continue;
    }
    const tracked = TRACKED.get(key);
    if (tracked === undefined) continue;
    const places = seen.get(key) ?? new Map<string, Set<string>>();
    seen.set(key, places);
    for (const side of ['inputs', 'outputs'] as const)
      for (const index of tracked[side] ?? []) {
        const dtype = node[side][index];
        const name = dtype && CPP[dtype];
        if (name) places.set(`${side} ${index}`, (places.get(`${side} ${index}`) ?? new Set()).add(name));
      }
  }
  const texts = new Map<string, string>();
  for (const [key, places] of seen) {
    const entry: { inputs?: Record<string, string[]>; outputs?: Record<string, string[]> } = {};
    for (const [place, names] of [...places].sort()) {
      const [side, index] = place.split(' ') as ['inputs' | 'outputs', string];
      entry[side] = { ...entry[side], [index]: [...names].sort() };
    }
    if (places.size > 0) texts.set(key, JSON.stringify(entry));
  }
  for (const [key, all] of triples)
    texts.set(key, JSON.stringify({ custom: [...all].sort().map((each) => JSON.parse(each) as unknown) }));
  return texts;
}
