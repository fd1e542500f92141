import { QuantcError } from '../errors/error.js';
import type { DType } from '../ir/dtype.js';
import type { Node } from '../ir/graph.js';
import type { HalfType } from '../ir/narrowed.js';
import type { WeightBits } from '../quant/block-fit.js';
import type { ExecutorTable } from './operators.js';
import type { ProviderTable } from './provider.js';

/**
 * What an integer kernel does with one input.
 * - `activation`: reads it quantized per tensor, with parameters from calibration (a constant is quantized as data).
 * - `weight`: a constant, quantized per axis where the row names one.
 * - `bias`: a constant, int32 with scale = activation scale × weight scale.
 * - `as-is`: read as it stands (shapes, axes, indices).
 */
export type InputRole = 'activation' | 'weight' | 'bias' | 'as-is';

/**
 * How the output of an integer kernel is quantized (after the four kinds of torchao's quantization specs).
 * - `own`: parameters of its own, from calibration. `same`: those of input 0, since bytes are only moved.
 * - `shared`: one set for the output and all quantized inputs, where the executor wants it so (Concat, pools, sums).
 * - `float`: the kernel writes float32.
 * - a fixed range: known without calibration, such as [0, 1] for Sigmoid.
 */
export type OutputRule = 'own' | 'same' | 'shared' | 'float' | { readonly min: number; readonly max: number };

/** One line of a target's table: this operator, under these conditions, runs on that kernel. */
export interface TargetRow {
  readonly op: string;
  /** '' is ai.onnx. */
  readonly domain?: string;
  /** Name under which the executor's optimized graph shows the kernel. */
  readonly kernel: string;
  /** Role of each input in order; the last role stands for all that follow. */
  readonly inputs: readonly InputRole[];
  readonly output: OutputRule;
  /**
   * `compute`: worth quantizing for its own sake. `follow`: only where its inputs come quantized anyway and a reader
   * takes its output quantized.
   */
  readonly kind: 'compute' | 'follow';
  /** Axis of the weight that gets a scale of its own; undefined quantizes per tensor. `wide`: beside 16-bit activations. */
  readonly weightAxis?: (node: Node, wide?: boolean) => number | undefined;
  /** The weight gets a scale for so many entries along an axis instead; its bias then stays float. */
  readonly weightBlock?: (node: Node) => { readonly axis: number; readonly size: number } | undefined;
  /** It parts what it reads: all of its outputs are data, and leave as `output` says. */
  readonly parts?: boolean;
  /** The kernel takes activations of 16 bits too, and gives them: all of them, or none but `eightBits`. */
  readonly wide?: boolean;
  /** Inputs that it reads in 8 bits even where its activations have 16. */
  readonly eightBits?: readonly number[];
  /** How the weight is stored, where not as the target's weights are. */
  readonly weightType?: { readonly dtype: 'int8' | 'uint8'; readonly symmetric: boolean };
  /** The kernel takes weights of 4 bits beside activations of 16. */
  readonly fourBits?: boolean;
  /**
   * Type of the weight where it is to have 16 bits beside activations of 16: `int16` is symmetric, with scales as
   * `weightAxis` says; `uint16` has one. Undefined for nodes whose weights stay as others are.
   */
  readonly sixteenBits?: (node: Node) => 'int16' | 'uint16' | undefined;
  /** Nanoseconds per output element in float and in integers, where they are not those of an elementwise operator. */
  readonly cost?: { readonly float: number; readonly integer: number };
  /**
   * Why this kernel would be wrong for the node, though the executor takes it between quantized values whether it was
   * asked to or not. Such a node's output is never quantized, so that it does not come to stand there.
   */
  readonly spoils?: (node: Node) => string | undefined;
  /** True when the kernel takes the node, otherwise the reason why not, as `quantc explain` shows it. */
  readonly when?: (node: Node) => true | string;
}

/** Time that the executor takes, in nanoseconds a unit, single thread: what decides whether quantizing pays. */
export interface TargetCosts {
  /** Per multiply-accumulate of a dense product, in float and in integers. */
  readonly floatMac: number;
  readonly integerMac: number;
  /** Per multiply-accumulate of a depthwise convolution. */
  readonly floatDepthwiseMac: number;
  readonly integerDepthwiseMac: number;
  /** Per element that a product gives: what does not shrink with its depth (requantizing, im2col, writing). */
  readonly floatOutput: number;
  readonly integerOutput: number;
  /** Per element: an elementwise float operator, an elementwise integer one, QuantizeLinear, DequantizeLinear. */
  readonly floatElement: number;
  readonly integerElement: number;
  readonly quantize: number;
  readonly dequantize: number;
  /** Output channels that a convolution computes at once; with fewer, lanes idle. */
  readonly vector: number;
  /** Per node, whatever it does. */
  readonly node: number;
}

/**
 * How an executor multiplies by weights of few bits: activations stay float, the weight is packed in blocks along its
 * inner dimension, each with a scale of its own.
 */
export interface WeightOnly {
  /**
   * `MatMulNBits`: the operator of com.microsoft. `DequantizeLinear`: a blocked one (ai.onnx 21) in front of MatMul,
   * for executors that fuse the two or want no operators of ONNX Runtime's own.
   */
  readonly form: 'MatMulNBits' | 'DequantizeLinear';
  /** Block sizes that have a fast kernel, for each number of bits; the first is taken when nothing is said. */
  readonly blockSizes: Readonly<Partial<Record<WeightBits, readonly number[]>>>;
  /** Dtypes of activations that the product takes; another one stays as it is, with the reason in the ledger. */
  readonly activations: readonly DType[];
  /** Attribute `accuracy_level` of MatMulNBits: 4 lets the kernel quantize activations to int8 a block at a time. */
  readonly accuracyLevel?: number;
  /** Bits of tables that GatherBlockQuantized (com.microsoft, uint8 data) reads; none leaves tables as they are. */
  readonly tables: readonly WeightBits[];
}

/**
 * Precisions of targets that take graphs whole: the bits of activations, then those of weights.
 * - `a8w8`, `a16w8`: the same for all. `a16w4`: weights of 4 bits, but for those that lose too much by it.
 * - `mixed`: activations of 8 bits, and of 16 where the outputs gain most by it.
 */
export const PROFILES = ['a8w8', 'a16w8', 'a16w4', 'mixed'] as const;
export type Profile = (typeof PROFILES)[number];

/** An executor as a table: which kernel takes which operator under which conditions. */
export interface Target {
  readonly name: string;
  readonly doc: string;
  /** What is delivered: the ONNX model, or a `.tflite` file made of it; default `onnx`. */
  readonly format?: 'onnx' | 'tflite';
  /** The opset that the emitted model imports. */
  readonly opset: number;
  readonly activation: {
    readonly dtype: DType;
    readonly symmetric: boolean;
    /** Activations of 16 bits, where the executor has kernels for any. */
    readonly wide?: {
      readonly dtype: 'uint16' | 'int16';
      readonly symmetric: boolean;
    };
    /** Nodes whose activations shall have 16 bits, as far as their rows are `wide`, or why; default none. */
    readonly wantsWide?: (node: Node) => boolean | string;
  };
  readonly weight: {
    readonly dtype: DType;
    /** Largest magnitude of a quantized weight: 127, or 64 where a kernel would saturate. */
    readonly limit: number;
    /** Nodes whose weights shall have 4 bits, as far as their rows take them; default none. */
    readonly wantsFour?: (node: Node) => boolean;
  };
  /** Static int8 (Q/DQ form): rows in order of preference. */
  readonly rows: readonly TargetRow[];
  /** Dynamic int8: operators whose activations are quantized while the model runs. */
  readonly dynamicRows: readonly TargetRow[];
  /** Activation functions that vanish into the QuantizeLinear behind them, when its range makes them redundant. */
  readonly absorbed: readonly string[];
  /** Weight-only quantization; absent where the executor has no kernel for it. */
  readonly weightOnly?: WeightOnly;
  /**
   * The executor takes graphs whole and in integers: every node that a row takes is quantized, whatever it costs, and
   * with it every float value from the inputs of the graph to its outputs. The profiles are its precisions.
   */
  readonly whole?: readonly Profile[];
  /**
   * Precisions that the target makes sense in, where not all do. The first serves when nothing is said, or the one after
   * it where the first needs calibration data and there are none.
   */
  readonly precisions?: readonly string[];
  /** Operators that its provider takes on integers themselves, and not between DequantizeLinear and QuantizeLinear. */
  readonly onIntegers?: readonly string[];
  /** Lowerings that the target wants, by their passes' names; see `targetLowerings` in `passes/index.ts`. */
  readonly lowerings?: readonly string[];
  /** Rewrites into the executor's own operators, by the names that `quantc passes` lists; default none. */
  readonly fusions?: readonly string[];
  /** Where the target is not ONNX Runtime's CPU: what its executor has kernels for, and what is lowered for it. */
  readonly executor?: ExecutorTable;
  /** Where it is a provider that takes whole graphs or cuts them up: what it demands of every node. */
  readonly provider?: ProviderTable;
  readonly costs: TargetCosts;
  /** 16-bit floats that its kernels compute in; default float16. Weights alone are stored in others. */
  readonly halves?: readonly HalfType[];
  /** The executor takes graphs whose every size is a number: open leading dimensions of inputs become 1. */
  readonly staticShapes?: boolean;
  /** Most bytes of one external data file, where the executor cannot take more in one piece. */
  readonly dataBytes?: number;
  /** Session options that the executor needs or wants for this target's files, as ONNX Runtime spells them. */
  readonly session: Readonly<Record<string, string>>;
  /** Facts a user should know before shipping: shown in the report. */
  readonly remarks?: readonly string[];
}

/** Declares a target. @throws QuantcError E_TARGET_ROWS when a row has no input role. */
export function defineTarget(target: Target): Target {
  for (const row of [...target.rows, ...target.dynamicRows]) {
    if (row.inputs.length === 0) {
      throw new QuantcError(
        'E_TARGET_ROWS',
        `target ${target.name}: the row of ${row.op} names no input role`,
        { kind: 'usage' },
      );
    }
  }
  return target;
}

/** Role of input `index` under a row. */
export const roleOf = (row: TargetRow, index: number): InputRole =>
  row.inputs[Math.min(index, row.inputs.length - 1)]!;

/** What a table says of a node: the row that takes it, or every reason why none does. */
export type TableAnswer = { readonly row: TargetRow } | { readonly row: undefined; readonly reason: string };

const isFor = (row: TargetRow, node: Node): boolean =>
  row.op === node.opType && (row.domain ?? '') === node.domain;

/** An execution provider that a session names, where it is not the CPU. */
export type ProviderName = ExecutorTable['provider'] | ProviderTable['provider'];

/** The execution provider that the target's sessions name; undefined where it is ONNX Runtime's CPU. */
export const providerName = ({ executor, provider }: Target): ProviderName | undefined =>
  executor?.provider ?? provider?.provider;

/** Why the node must not stand between quantized values; see `spoils`. */
export const spoiltBy = (rows: readonly TargetRow[], node: Node): string | undefined =>
  rows
    .map((row) => (isFor(row, node) ? row.spoils?.(node) : undefined))
    .find((reason) => reason !== undefined);

/** Looks a node up in a table. */
export function lookUp(rows: readonly TargetRow[], node: Node): TableAnswer {
  const reasons: string[] = [];
  for (const row of rows) {
    if (!isFor(row, node)) continue;
    const answer = row.spoils?.(node) ?? row.when?.(node) ?? true;
    if (answer === true) return { row };
    reasons.push(`${row.kernel}: ${answer}`);
  }
  return {
    row: undefined,
    reason: reasons.length ? reasons.join('; ') : `no integer kernel for ${node.opType}`,
  };
}
