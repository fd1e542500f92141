/**
 * When ONNX Runtime's providers read Q and DQ around a node as one unit with it: the conditions of
 * core/optimizer/qdq_transformer/selectors_actions/qdq_selectors.cc, by the families of shared/utils.cc.
 */
import { constantNumbers } from '../ir/constant.js';
import type { DType } from '../ir/dtype.js';
import type { Node } from '../ir/graph.js';
import type { NodeUnit } from './provider.js';
import { scalarQuantization } from './quantized-scalar.js';
import { zeroPointType } from './zero-point-type.js';

/** What a family of operators demands. The unit has Q or DQ around it. Undefined where it is one. */
type Family = (unit: NodeUnit) => string | undefined;

const given = (unit: NodeUnit): number[] =>
  unit.node.inputs.flatMap((input, index) => (input === undefined ? [] : [index]));
const dequantized = (unit: NodeUnit): Node[] => unit.dequantizes.filter((each) => each !== undefined);
const quantized = (unit: NodeUnit): Node[] => unit.quantizes.filter((each) => each !== undefined);
const inputType = (unit: NodeUnit, index: number): DType | undefined =>
  unit.dequantizes[index] && zeroPointType(unit.dequantizes[index]!);

/** Inputs that are not dequantized, of those that should be. */
function needs(unit: NodeUnit, indices: readonly number[]): string | undefined {
  const missing = indices.find((index) => unit.dequantizes[index] === undefined);
  return missing === undefined ? undefined : `input ${missing} does not come out of DequantizeLinear`;
}

/** Q behind every output, and nothing else that reads one. */
function leaves(unit: NodeUnit, noneIsFine = false): string | undefined {
  const outputs = unit.node.outputs.filter(({ isOmitted }) => !isOmitted);
  if (unit.absorbed !== undefined) return undefined;
  const missing = unit.quantizes.findIndex(
    (each, index) => each === undefined && !unit.node.outputs[index]!.isOmitted,
  );
  if (missing < 0) return undefined;
  const read = outputs.some((output) => output.uses.some(({ node }) => node.opType === 'QuantizeLinear'));
  if (noneIsFine && !read) return undefined;
  return `output ${missing} is not read by one QuantizeLinear alone`;
}

/** The types of those inputs and of all outputs are the same. */
function sameType(unit: NodeUnit, indices: readonly number[]): string | undefined {
  const types = [
    ...indices.filter((index) => unit.dequantizes[index]).map((index) => inputType(unit, index)),
    ...quantized(unit).map(zeroPointType),
  ];
  const other = types.find((type) => type !== types[0]);
  return other === undefined ? undefined : `it reads ${types[0]} and ${other} integers, or writes them`;
}

const first = (...answers: readonly (string | undefined)[]): string | undefined =>
  answers.find((answer) => answer !== undefined);

/** Only data are moved: Q and DQ say the same. */
const moves: Family = (unit) =>
  first(needs(unit, [0]), leaves(unit), sameType(unit, [0]), sameParameters(unit));

function sameParameters(unit: NodeUnit): string | undefined {
  const before = scalarQuantization(unit.dequantizes[0]!);
  if (before === undefined) return 'the scale or zero point before it is not one constant';
  for (const after of quantized(unit).map(scalarQuantization)) {
    if (after === undefined) return 'the scale or zero point behind it is not one constant';
    if (after.scale !== before.scale || after.zeroPoint !== before.zeroPoint)
      return `scale ${before.scale} and zero point ${before.zeroPoint} become ${after.scale} and ${after.zeroPoint}`;
  }
  return undefined;
}

const unary: Family = (unit) => first(needs(unit, [0]), leaves(unit), sameType(unit, [0]));
const all: Family = (unit) => first(needs(unit, given(unit)), leaves(unit), sameType(unit, given(unit)));
/** Indices come out, which nothing quantizes. */
const indices: Family = (unit) => needs(unit, [0]);
const topK: Family = (unit) =>
  first(
    needs(unit, [0]),
    unit.quantizes[0] === undefined ? 'output 0 is not read by one QuantizeLinear alone' : undefined,
    sameType(unit, [0]),
    sameParameters({ ...unit, quantizes: [unit.quantizes[0]] }),
  );
const comparison: Family = (unit) =>
  first(
    needs(unit, [0, 1]),
    inputType(unit, 0) === inputType(unit, 1) ? undefined : 'its inputs are of two types of integers',
  );
const where: Family = (unit) => {
  // A constant scalar is given Q and DQ of its own (core/optimizer/qdq_transformer/where_dummy_dq.cc).
  const data = [1, 2].filter((index) => !isScalarConstant(unit, index));
  return first(needs(unit, data.length === 0 ? [1, 2] : data), leaves(unit), sameType(unit, [1, 2]));
};
const isScalarConstant = ({ node, dequantizes }: NodeUnit, index: number): boolean =>
  dequantizes[index] === undefined && node.inputs[index]?.constant?.count === 1;
const pad: Family = (unit) => first(needs(unit, [0]), leaves(unit), sameType(unit, [0, 2]));
const scatter: Family = (unit) => first(needs(unit, [0, 2]), leaves(unit), sameType(unit, [0, 2]));
const normalization: Family = (unit) =>
  first(needs(unit, given(unit)), leaves(unit), sameType(unit, [0]), integerBias(unit));
const batchNormalization: Family = (unit) => first(needs(unit, [0, 1, 2]), leaves(unit), sameType(unit, [0]));

function integerBias(unit: NodeUnit): string | undefined {
  const type = inputType(unit, 2);
  return type === undefined || type === 'int32' ? undefined : `its bias is ${type}, not int32`;
}

/** A constant float bias is made int32 beforehand, where the output is quantized. */
const weighed =
  (noneIsFine: boolean): Family =>
  (unit) => {
    const floatBias = unit.dequantizes[2] === undefined && unit.node.inputs[2]?.isConstant === true;
    const readBias = floatBias && quantized(unit).length > 0;
    const signed = inputType(unit, 0) === 'int8' && inputType(unit, 1) !== 'int8';
    return first(
      needs(
        unit,
        given(unit).filter((index) => index !== 2 || !readBias),
      ),
      leaves(unit, noneIsFine),
      sameType(unit, [0]),
      integerBias(unit),
      signed ? 'activations are int8, and weights are not' : undefined,
    );
  };
const gemm: Family = (unit) =>
  first(
    weighed(true)(unit),
    unit.dequantizes[2] !== undefined && unit.node.float('beta', 1) !== 1
      ? 'beta is not 1, and there is a bias'
      : undefined,
  );

const FAMILIES: readonly (readonly [Family, string])[] = [
  [
    moves,
    'Gather GatherElements Reshape Expand Flatten Transpose MaxPool Squeeze Unsqueeze Tile Split Resize',
  ],
  [indices, 'ArgMax ArgMin'],
  [topK, 'TopK'],
  [
    unary,
    'AveragePool GlobalAveragePool GlobalMaxPool LeakyRelu ReduceMean ReduceMin ReduceMax ReduceProd ReduceSum Relu ' +
      'Gelu Elu HardSigmoid HardSwish Sigmoid Slice LogSoftmax Softmax Sqrt Atan Asin Sin Cos Sign Tanh Exp Log LRN ' +
      'Ceil Floor Round Abs Neg DepthToSpace SpaceToDepth LpNormalization Clip CumSum QuickGelu',
  ],
  [all, 'Add Div Mul Pow Sub PRelu GridSample Concat Max Min'],
  [weighed(false), 'Conv ConvTranspose'],
  [weighed(true), 'MatMul'],
  [gemm, 'Gemm'],
  [(unit) => first(needs(unit, given(unit)), leaves(unit, true), sameType(unit, [0])), 'Einsum Reciprocal'],
  [normalization, 'InstanceNormalization LayerNormalization RMSNormalization SimplifiedLayerNormalization'],
  [batchNormalization, 'BatchNormalization'],
  [comparison, 'Equal Greater GreaterOrEqual Less LessOrEqual'],
  [where, 'Where'],
  [pad, 'Pad'],
  [scatter, 'ScatterElements'],
];

const BY_OPERATOR = new Map(FAMILIES.flatMap(([family, ops]) => ops.split(' ').map((op) => [op, family])));
/** Domains whose operators the selectors look at. */
const DOMAINS = ['', 'com.microsoft'];

/** Why Q and DQ around a node are not read as one unit with it; undefined where they are. */
export function whyNoUnit(unit: NodeUnit): string | undefined {
  const { opType, domain } = unit.node;
  const family = DOMAINS.includes(domain) ? BY_OPERATOR.get(opType) : undefined;
  if (family === undefined) return `no selector groups ${opType} with the Q and DQ around it`;
  if (dequantized(unit).length === 0) return 'its inputs do not come out of DequantizeLinear';
  return family(unit);
}

/** Why an activation function between a node and its QuantizeLinear is not redundant; undefined where it is. */
export function whyNoClip(clip: Node, quantize: Node | undefined): string | undefined {
  if (quantize === undefined) return `${clip.opType} alone reads its float output`;
  const found = scalarQuantization(quantize);
  const why = `${clip.opType} stands between it and QuantizeLinear, whose range does not make it redundant`;
  if (found === undefined) return why;
  const low = Math.fround((found.least - found.zeroPoint) * found.scale);
  const high = Math.fround((found.most - found.zeroPoint) * found.scale);
  if (clip.is('Relu')) return low >= 0 ? undefined : why;
  const bound = (index: number, name: string, open: number): number =>
    clip.inputs[index] === undefined
      ? clip.float(name, open)
      : (constantNumbers(clip.inputs[index])?.[0] ?? Number.NaN);
  const inRange = bound(1, 'min', Number.NEGATIVE_INFINITY) <= low && bound(2, 'max', Infinity) >= high;
  return inRange ? undefined : why;
}
