/**
 * Names of operators, as types: `op.Neg` is a member of its builder, under `noUncheckedIndexedAccess` as well, and an
 * editor offers it. Names that are not here work all the same: `op.domain<'MyNorm'>('my.domain').MyNorm($.x)`.
 */

type Capital = Uppercase<
  | 'a'
  | 'b'
  | 'c'
  | 'd'
  | 'e'
  | 'f'
  | 'g'
  | 'h'
  | 'i'
  | 'j'
  | 'k'
  | 'l'
  | 'm'
  | 'n'
  | 'o'
  | 'p'
  | 'q'
  | 'r'
  | 's'
  | 't'
  | 'u'
  | 'v'
  | 'w'
  | 'x'
  | 'y'
  | 'z'
>;
/** Operators begin with a capital; what begins otherwise is ours. */
export type OperatorName = `${Capital}${string}`;

/** The words of a text, as a union. The second parameter makes it tail recursive: such types go a thousand deep. */
type Words<Text extends string, Found extends string = never> = Text extends `${infer Word} ${infer Rest}`
  ? Words<Rest, Found | Word>
  : Found | Text;

/** Operators of ONNX's own domain, in any version. */
export type StandardOperator =
  | Words<'Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool'>
  | Words<'BatchNormalization Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow'>
  | Words<'Cast CastLike CausalConvWithState Ceil Celu CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence'>
  | Words<'Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace'>
  | Words<'DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor'>
  | Words<'GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater'>
  | Words<'GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax'>
  | Words<'Identity If ImageDecoder InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less'>
  | Words<'LessOrEqual LinearAttention Log LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool'>
  | Words<'MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Multinomial Neg'>
  | Words<'NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement'>
  | Words<'OptionalHasElement Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN'>
  | Words<'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2'>
  | Words<'ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare'>
  | Words<'RegexFullMatch Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan Scatter'>
  | Words<'ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert'>
  | Words<'SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss'>
  | Words<'Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat StringNormalizer StringSplit'>
  | Words<'Sub Sum SwiGLU Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique'>
  | Words<'Unsqueeze Upsample Where Xor'>
  // ONNX Runtime keeps these there, too, though the standard has no such operators.
  | Words<'SimplifiedLayerNormalization'>;

/** Operators of ONNX Runtime's domain `com.microsoft` that stand in models and in what targets put in their place. */
export type MicrosoftOperator =
  | Words<'Attention BiasAdd BiasGelu BiasSoftmax BiasSplitGelu CDist ComplexMul ComplexMulConj CropAndResize'>
  | Words<'DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention DequantizeLinear DynamicQuantizeLSTM'>
  | Words<'DynamicQuantizeMatMul EPContext EmbedLayerNormalization ExpandDims FastGelu FusedConv FusedGemm FusedMatMul'>
  | Words<'GatedRelativePositionBias GatherBlockQuantized GatherND Gelu GemmFastGelu GemmFloat8 GridSample GroupNorm'>
  | Words<'GroupQueryAttention Inverse Irfft LongformerAttention MatMulBnb4 MatMulFpQ4 MatMulInteger16'>
  | Words<'MatMulIntegerToFloat MatMulNBits MaxpoolWithMask MoE MulInteger MultiHeadAttention NhwcConv NhwcFusedConv'>
  | Words<'NhwcMaxPool PackedAttention PackedMultiHeadAttention Pad PagedAttention QAttention QEmbedLayerNormalization'>
  | Words<'QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu'>
  | Words<'QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere QMoE QuantizeLinear QuickGelu Range'>
  | Words<'ReduceSumInteger RelativePositionBias RemovePadding RestorePadding Rfft RotaryEmbedding SkipGroupNorm'>
  | Words<'SkipLayerNormalization SkipSimplifiedLayerNormalization SparseAttention SparseToDenseMatMul Tokenizer'>
  | Words<'TransposeMatMul Trilu UnfoldTensor Unique WordConvEmbedding'>;

/** A member for each name, and for any other name what an index gives. */
export type ByOperator<Name extends OperatorName, Operator> = { readonly [O in Name]: Operator } & {
  readonly [opType: OperatorName]: Operator;
};
