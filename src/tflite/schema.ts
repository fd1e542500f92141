/**
 * The numbers of the TensorFlow Lite file format (version 3) that this writer uses: facts of the format, as the LiteRT
 * schema fixes them for good. A table's fields are named in the order of their slots.
 */

/** Element types: `TensorType`. */
export const TENSOR_TYPES = {
  float32: 0,
  float16: 1,
  int32: 2,
  uint8: 3,
  int64: 4,
  bool: 6,
  int16: 7,
  int8: 9,
} as const;
export type TensorTypeName = keyof typeof TENSOR_TYPES;

/** Bytes of one element. */
export const ELEMENT_BYTES: Readonly<Record<TensorTypeName, number>> = {
  float32: 4,
  float16: 2,
  int32: 4,
  uint8: 1,
  int64: 8,
  bool: 1,
  int16: 2,
  int8: 1,
};

/** What a scalar of an options table is stored as. */
type FieldKind = 'byte' | 'bool' | 'int' | 'float' | 'ints';

/** A field of an options table: its slot, how it is stored, and the value that stands for its absence. */
export interface Field {
  readonly slot: number;
  readonly kind: FieldKind;
  readonly otherwise?: number;
}

const fields = (...list: readonly (readonly [name: string, kind: FieldKind, otherwise?: number])[]) =>
  Object.fromEntries(
    list.map(([name, kind, otherwise], slot) => [name, { slot, kind, ...(otherwise && { otherwise }) }]),
  ) as Readonly<Record<string, Field>>;

/** An operator of the format. */
export interface OperatorFacts {
  /** `BuiltinOperator`. */
  readonly code: number;
  /** Version of the operator that its float form needs, and its form in int8. */
  readonly version: number;
  readonly int8Version?: number;
  /** `BuiltinOptions`: which table its options are; 0 is none. */
  readonly options: number;
  readonly fields: Readonly<Record<string, Field>>;
}

const FUSED = ['fused', 'byte'] as const;
const WINDOW = [
  ['padding', 'byte'],
  ['strideW', 'int'],
  ['strideH', 'int'],
] as const;
const DILATED = [
  ['dilationW', 'int', 1],
  ['dilationH', 'int', 1],
] as const;
const POOL = fields(...WINDOW, ['filterW', 'int'], ['filterH', 'int'], FUSED);
const KEEP = fields(['keepDims', 'bool']);
const ARITHMETIC = fields(FUSED);
const NONE = fields();

const op = (
  code: number,
  [version, int8Version]: readonly [number, number?],
  options = 0,
  table: Readonly<Record<string, Field>> = NONE,
): OperatorFacts => ({ code, version, ...(int8Version && { int8Version }), options, fields: table });

export const OPERATORS = {
  ADD: op(0, [1, 2], 11, ARITHMETIC),
  AVERAGE_POOL_2D: op(1, [1, 2], 5, POOL),
  CONCATENATION: op(2, [1, 2], 10, fields(['axis', 'int'], FUSED)),
  CONV_2D: op(3, [1, 3], 1, fields(...WINDOW, FUSED, ...DILATED)),
  DEPTHWISE_CONV_2D: op(4, [1, 3], 2, fields(...WINDOW, ['depthMultiplier', 'int'], FUSED, ...DILATED)),
  DEPTH_TO_SPACE: op(5, [1, 1], 94, fields(['blockSize', 'int'])),
  DEQUANTIZE: op(6, [1, 2], 38),
  FLOOR: op(8, [1]),
  FULLY_CONNECTED: op(9, [1, 4], 8, fields(FUSED, ['weightsFormat', 'byte'], ['keepNumDims', 'bool'])),
  LOGISTIC: op(14, [1, 2]),
  MAX_POOL_2D: op(17, [1, 2], 5, POOL),
  MUL: op(18, [1, 2], 21, ARITHMETIC),
  RELU: op(19, [1, 2]),
  RELU_N1_TO_1: op(20, [1, 1]),
  RELU6: op(21, [1, 2]),
  RESHAPE: op(22, [1, 1], 17, fields(['newShape', 'ints'])),
  RESIZE_BILINEAR: op(
    23,
    [3, 3],
    15,
    fields(['newHeight', 'int'], ['newWidth', 'int'], ['alignCorners', 'bool'], ['halfPixelCenters', 'bool']),
  ),
  SOFTMAX: op(25, [1, 2], 9, fields(['beta', 'float'])),
  SPACE_TO_DEPTH: op(26, [1, 2], 19, fields(['blockSize', 'int'])),
  TANH: op(28, [1, 2]),
  PAD: op(34, [1, 2], 22),
  GATHER: op(36, [1, 2], 23, fields(['axis', 'int'], ['batchDims', 'int'])),
  TRANSPOSE: op(39, [1, 2], 26),
  MEAN: op(40, [1, 2], 27, KEEP),
  SUB: op(41, [1, 2], 28, ARITHMETIC),
  DIV: op(42, [1], 29, ARITHMETIC),
  STRIDED_SLICE: op(
    45,
    [1, 2],
    32,
    fields(
      ['beginMask', 'int'],
      ['endMask', 'int'],
      ['ellipsisMask', 'int'],
      ['newAxisMask', 'int'],
      ['shrinkAxisMask', 'int'],
    ),
  ),
  EXP: op(47, [1], 33),
  CAST: op(53, [1], 37, fields(['inDataType', 'byte'], ['outDataType', 'byte'])),
  PRELU: op(54, [1, 1]),
  MAXIMUM: op(55, [1, 2], 39),
  MINIMUM: op(57, [1, 2], 39),
  NEG: op(59, [1], 42),
  PADV2: op(60, [1, 2], 43),
  SLICE: op(65, [1, 2], 48),
  TRANSPOSE_CONV: op(67, [3, 3], 49, fields(...WINDOW, FUSED)),
  TILE: op(69, [1], 51),
  LOG: op(73, [1]),
  SUM: op(74, [1, 2], 27, KEEP),
  SQRT: op(75, [1]),
  RSQRT: op(76, [1]),
  POW: op(78, [1], 56),
  REDUCE_MAX: op(82, [1, 2], 27, KEEP),
  REDUCE_MIN: op(89, [1, 2], 27, KEEP),
  RESIZE_NEAREST_NEIGHBOR: op(97, [3, 3], 74, fields(['alignCorners', 'bool'], ['halfPixelCenters', 'bool'])),
  LEAKY_RELU: op(98, [1, 2], 75, fields(['alpha', 'float'])),
  MIRROR_PAD: op(100, [1, 2], 77, fields(['mode', 'byte'])),
  ABS: op(101, [1], 78),
  CEIL: op(104, [1]),
  ELU: op(111, [1]),
  QUANTIZE: op(114, [1, 2], 89),
  HARD_SWISH: op(117, [1, 1], 91),
  GELU: op(150, [1], 116, fields(['approximate', 'bool'])),
  BATCH_MATMUL: op(126, [1, 2], 101, fields(['adjX', 'bool'], ['adjY', 'bool'])),
} as const satisfies Record<string, OperatorFacts>;
export type OperatorName = keyof typeof OPERATORS;

/** `ActivationFunctionType`: what an operator does to its output before it is quantized. */
export const FUSED_ACTIVATIONS = { none: 0, relu: 1, 'relu-1-to-1': 2, relu6: 3 } as const;
export type FusedActivation = keyof typeof FUSED_ACTIVATIONS;

export const PADDING = { same: 0, valid: 1 } as const;
