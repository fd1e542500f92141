/** The operators that the QNN providers have builders for: their lists as they stand in `op_builder_factory.cc`. */

const set = (...lines: readonly string[]): ReadonlySet<string> =>
  new Set(lines.flatMap((line) => line.split(' ')));

/** Inside ONNX Runtime 1.30; what only its GPU back end takes is left out. */
export const qnnOperators = set(
  'Abs Add And ArgMax ArgMin Asin Atan AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvTranspose Cos CumSum',
  'DepthToSpace DequantizeLinear Div Einsum Elu Equal Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm',
  'GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish InstanceNormalization LRN LSTM',
  'LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization MatMul Max MaxPool Mean Min Mod Mul Neg Not',
  'Or PRelu Pad Pow QuantizeLinear RMSNormalization RandomUniformLike Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin',
  'ReduceProd ReduceSum Relu Reshape Resize Round STFT ScatterElements ScatterND Sigmoid Sign Sin Slice Softmax SpaceToDepth',
  'Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Upsample Where',
  'com.microsoft:FusedMatMul com.microsoft:Gelu com.microsoft:Inverse com.microsoft:QuickGelu',
);

/** The plug-in onnxruntime-qnn 2, which adds to them. */
export const qnnPluginOperators: ReadonlySet<string> = new Set([
  ...qnnOperators,
  ...set(
    'GRU GroupNormalization Identity If IsNaN NonZero RandomNormalLike RoiAlign RotaryEmbedding Selu',
    'SimplifiedLayerNormalization Softplus Tan Xor',
    'com.microsoft:GroupNorm com.microsoft:MatMulNBits com.microsoft:RotaryEmbedding',
  ),
]);
