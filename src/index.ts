/** The public face: everything that a pass, a target, or a program that compiles models imports. */
import type { BuildRequest, BuildResult } from './build/build.js';
import type { QuantcConfig } from './build/config.js';
import type { WatchRequest } from './build/watch.js';
import type { FinetuneReport, FinetuneRequest } from './compile/finetune/finetune.js';
import type { CompileRequest } from './compile.js';
import type { TargetReport } from './report/report.js';

export { type DifferentiateOptions, differentiate } from './autodiff/differentiate.js';
// Types that those above speak of.
export type { Backward, GradientRule, Gradients } from './autodiff/rule.js';
export { GRADIENT_RULES, hasGradient } from './autodiff/rules/index.js';
export type { BuildRequest, BuildResult } from './build/build.js';
export type { BuildBindings } from './build/build-bindings.js';
export type { ModelConfig, ModelOptions, QuantcConfig } from './build/config.js';
export type { BuildEvent } from './build/events.js';
export type { BuildManifest, ManifestTarget } from './build/manifest.js';
export type { WatchRequest } from './build/watch.js';
export type { BindingsSettings } from './compile/declared-runtimes.js';
export type { FinetuneReport, FinetuneRequest } from './compile/finetune/finetune.js';
export type { FinetuneFiles } from './compile/finetune/output.js';
export type { Start as FinetuneStart } from './compile/finetune/plan.js';
export type { RangeMethod } from './compile/range-method.js';
export type { Stage as CompileStage } from './compile/request.js';
export type { CompileEvent, CompileRequest } from './compile.js';
export { type ErrorPlace, QuantcError } from './errors/error.js';
export * from './ir/attribute.js';
export { cloneModel, type ModelCopy } from './ir/clone.js';
export * from './ir/constant.js';
export * from './ir/digest.js';
export * from './ir/dtype.js';
export * from './ir/edit.js';
export { Graph, LocalFunction, Model, Node, Value } from './ir/graph.js';
export { type InlineOptions, inlineGraph } from './ir/inline.js';
export { largestMagnitude } from './ir/magnitude.js';
export type { Floats as MatrixFloats, GramSum, MatrixEngine, MatrixProduct } from './ir/matrix.js';
export { type HalfType, narrowed } from './ir/narrowed.js';
export * from './ir/real.js';
export { scaledAlong } from './ir/scaled.js';
export * from './ir/scope.js';
export * from './ir/shape.js';
export type { FileRange, TensorOptions } from './ir/tensor.js';
export { Tensor, type TensorJob, type TensorSource } from './ir/tensor.js';
export { isTransposeOf } from './ir/transposed.js';
export * from './ir/type.js';
export { type Problem, verify } from './ir/verify.js';
export { type EncodeOptions, encodeModel, encodeTensor } from './onnx/encode.js';
export type { ExternalPlace } from './onnx/external-data.js';
export type { ExternalChoice } from './onnx/external-layout.js';
export type { PlaceTensor } from './onnx/place-write.js';
export { decodeModel, decodeTensor, readModel } from './onnx/read.js';
export type { LocateTensor } from './onnx/tensor-proto.js';
export { type WriteOptions, type WrittenFile, writeModel } from './onnx/write.js';
export { type FactKey, factKey } from './pipeline/fact.js';
export { decibels, type Judge, type JudgeOptions, type NoiseMetric } from './pipeline/judge.js';
export { Ledger, type LedgerNote, type LedgerRow, type Suggestion } from './pipeline/ledger.js';
export {
  definePass,
  type Engine,
  type Fact,
  type Observation,
  type Pass,
  type PassContext,
  repeatPasses,
} from './pipeline/pass.js';
export { type PassEvent, type PipelineOptions, runPipeline } from './pipeline/run.js';
export type { Sketch } from './pipeline/sketch.js';
export type { TrialFigures, WeightTrials } from './pipeline/weight-trials.js';
export {
  type Algorithm,
  definePlugin,
  type PlacedPass,
  type QuantcPlugin,
} from './plugin/plugin.js';
export type { RangeObserver, SeenValue } from './plugin/range-observer.js';
export * from './quant/affine.js';
export { biasScaleFloor, type QuantizedBias, quantizeBias, quantizedBias } from './quant/bias.js';
export type { BlockGrid } from './quant/block-fit.js';
export {
  type BlockFit,
  fitBlock,
  type GridBits,
  WEIGHT_METHODS,
  type WeightBits,
  type WeightMethod,
} from './quant/block-fit.js';
export { type DequantizedWeight, dequantizedBlocks } from './quant/block-rows.js';
export {
  type BlockBytes,
  type BlockOptions,
  BlockPacker,
  type BlockQuantizedWeight,
  type BlockSpec,
  blockQuantizedWeight,
} from './quant/block-weight.js';
export { type ErrorFacts, ErrorSum, errorOf } from './quant/error.js';
export type { FittedScales, ScaleSearch } from './quant/fit.js';
export { chooseWithin, type KnapsackOption } from './quant/knapsack.js';
export { type Granularity, type Layout, layoutOf } from './quant/layout.js';
export {
  type Metric,
  metricBy,
  metricOf,
  nearestPlane,
  nearestPlaneBy,
  type RowsToRound,
  type Settle,
  settleRows,
  settleRowsBy,
} from './quant/nearest-plane.js';
export { pack, unpack } from './quant/pack.js';
export { nearestTo, type Palette, paletteOf } from './quant/palette.js';
export * from './quant/places.js';
export { dequantize, type QuantizedArray, type QuantizeSpec, quantize } from './quant/quantize.js';
export {
  importanceOf,
  type PutBlock,
  type RoundSpec,
  roundBlocks,
  roundInto,
  roundIntoBy,
} from './quant/round-blocks.js';
export { simulatedBytes, simulatedWeight, Widened } from './quant/simulate.js';
export * from './quant/sparsity.js';
export type { WeightJobParameters } from './quant/weight.js';
export {
  QUANTIZE_WEIGHT,
  type QuantizedWeight,
  quantizedWeight,
  type WeightOptions,
  type WeightSpec,
  weightJob,
} from './quant/weight.js';
export type {
  BudgetFigure,
  BudgetMeasure,
  BudgetReport,
  CalibrationReport,
  ErrorFigures,
  Evaluation,
  FileFacts,
  ObservedValue,
  PluginPassReport,
  PluginReport,
  Proof,
  RefusedTarget,
  Report,
  SpreadFigures,
  TargetReport,
} from './report/report.js';
export type { TrainingReport } from './report/training.js';
export type { Binding as SlotBinding, RequiredBinding as RequiredSlotBinding } from './rewrite/binding.js';
export { type Bindings, type Bound, constant, node, scalar, value } from './rewrite/binding.js';
export type { ByOperator, MicrosoftOperator, OperatorName, StandardOperator } from './rewrite/operators.js';
export type {
  NodePattern,
  OutputPattern,
  Pattern,
  PatternArguments,
  PatternBuilder,
  PatternInput,
  PatternOperator,
  Slot,
  SlotName,
  Slots,
} from './rewrite/pattern.js';
export type { PlannedNode, ReplacementArguments, ReplacementOperator } from './rewrite/replacement.js';
export { PlannedValue, type ReplacementBuilder, type ReplacementInput } from './rewrite/replacement.js';
export type { Refusal as RewriteRefusal, Rule as RewriteRule } from './rewrite/rewrite.js';
export {
  no,
  type RewriteOptions,
  type RewritePass,
  rewrite,
  type Site,
  type Verdict,
} from './rewrite/rewrite.js';
export * from './target/conditions.js';
export { leadsToLog } from './target/eight-bits.js';
export * from './target/facts.js';
export { constantAtLoad } from './target/folded.js';
export { type GivenGrid, type GivenGrids, givenGridsFact } from './target/given-grids.js';
export * from './target/mix.js';
export { computedFromSizes, type ExecutorTable, type OperatorRow, takes } from './target/operators.js';
export * from './target/palettes.js';
export { type Parameters, type Placement, placementOf, rangeOf, sourcesOf } from './target/placement.js';
export { type Exclusion, type NodePlan, type Plan, planStatic } from './target/plan.js';
export { planSaving } from './target/plan-saving.js';
export { isProfile, profiled } from './target/profiled.js';
export * from './target/provider.js';
export * from './target/pruning.js';
export {
  integersOf,
  type ScalarQuantization,
  scalarQuantization,
  zeroPointsOf,
} from './target/quantized-scalar.js';
export * from './target/target.js';
export * from './target/usability.js';
export {
  causeOf,
  type Partition,
  type ProviderVerdict,
  type RuleBreak,
  verdictOf,
} from './target/verdict.js';
export { type AssignedBits, weightBitsFact } from './target/weight-bits.js';
export {
  type WeightMixLayer,
  type WeightMixReport,
  weightBytesFact,
  weightMixFact,
} from './target/weight-mix.js';
export { zeroPointType } from './target/zero-point-type.js';
export { modelDigest } from './text/model-digest.js';
export { parseModel } from './text/parse.js';
export {
  type PrintOptions,
  printAttribute,
  printGraph,
  printModel,
  printNode,
  printType,
} from './text/print.js';
export { tfliteForm, tfliteOperators } from './tflite/form.js';
export type { Given as ProbeInputs } from './transformer/cone.js';
export * from './transformer/index.js';
export type { Upstream as ProjectionSource } from './transformer/projection.js';

/**
 * Compiles a model for each target: writes the proven files and their report, and answers with the report. Loaded when
 * it is first called, so that passes and targets, which import this face, do not load the compiler that loads them.
 * @throws QuantcError as `compile` in `compile.ts` says.
 */
export async function compile(request: CompileRequest): Promise<TargetReport[]> {
  return (await import('./compile.js')).compile(request);
}

/** Builds every model of a config for each of its targets. @throws QuantcError as `build` in `build/build.ts` says. */
export async function build(request: BuildRequest = {}): Promise<BuildResult> {
  return (await import('./build/build.js')).build(request);
}

/** Builds a config, and again when what it is made from changes, until the signal says so. */
export async function watch(request: WatchRequest): Promise<void> {
  return (await import('./build/watch.js')).watch(request);
}

/** Trains a model's weights on the grid that they will be stored on. @throws QuantcError as `compile/finetune/finetune.ts` says */
export async function finetune(request: FinetuneRequest): Promise<FinetuneReport> {
  return (await import('./compile/finetune/finetune.js')).finetune(request);
}

/** Gives a config back as it is: for the types that an editor shows while it is written. */
export const defineConfig = (config: QuantcConfig): QuantcConfig => config;
