import type { LedgerNote, LedgerRow } from '../pipeline/ledger.js';
import type { Sketch } from '../pipeline/sketch.js';
import type { MixReport } from '../target/mix.js';
import type { ProviderName } from '../target/target.js';
import type { ProviderVerdict } from '../target/verdict.js';
import type { WeightMixReport } from '../target/weight-mix.js';
import type { NextMethod } from './next-method.js';
import type { TrainingReport } from './training.js';

/** How one output, or one inner value, of the emitted model lies to the float model's. */
export interface ErrorFigures {
  readonly name: string;
  /** 10·log10(Σ float² / Σ (float − ours)²), in dB; null when both are equal bit for bit. */
  readonly sqnr: number | null;
  readonly cosine: number;
  readonly maxError: number;
  /** Share of samples with the same winning class, for outputs that look like a classifier's. */
  readonly top1Agreement?: number;
}

/** A metric on labelled or held-out data that calibration never saw. */
export interface Evaluation {
  readonly metric: string;
  readonly source: string;
  readonly samples: number;
  readonly float: number;
  readonly quantized: number;
}

/** What running the emitted file on its executor showed. */
export interface Proof {
  /** `passed`, or why there is no proof. */
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly reason?: string;
  readonly executor: string;
  /** Samples compared, and whether they were random for want of data. */
  readonly samples: number;
  readonly synthetic: boolean;
  readonly outputs: readonly ErrorFigures[];
  /** The same outputs on executors beside the CPU, for as many samples as were run there. */
  readonly elsewhere?: readonly {
    readonly executor: string;
    readonly samples: number;
    /** Whether everything ran with falling back to the CPU forbidden. */
    readonly strict: boolean;
    readonly outputs: readonly ErrorFigures[];
  }[];
  /** Where a chip runs the file: by how much two ways of running it on the CPU differ. */
  readonly spread?: readonly SpreadFigures[];
  /** Kernels of the executor's own optimized graph, by name, with how many nodes each takes. */
  readonly kernels: Readonly<Record<string, number>>;
  /** Nodes that the plan promised an integer kernel and the executor did not give one. */
  readonly broken: readonly { readonly node: string; readonly promised: string; readonly found: string }[];
  readonly evaluation?: Evaluation;
}

/** Signal to noise of one output, in dB; null where nothing differs. */
export interface SpreadFigures {
  readonly name: string;
  /** Against the float model, with integer kernels where the CPU has them. */
  readonly integer: number | null;
  /** Against the float model, in float between Q and DQ, as the file is written. */
  readonly asWritten: number | null;
  /** The one against the other: about as much may a chip differ again. */
  readonly between: number | null;
}

/** One limit of a budget, and what a mix came to. */
export interface BudgetFigure {
  /** As the user wrote it. */
  readonly term: string;
  /** In the units of `limit`: shares of 1, dB, bytes, milliseconds, or times the float model's. */
  readonly value: number | null;
  readonly limit: number;
  readonly met: boolean;
}

/** How a budget was met. */
export interface BudgetReport {
  readonly figures: readonly BudgetFigure[];
  /** Every mix that was compiled and measured whole, by its place in `mix.front`. */
  readonly tried: readonly {
    readonly point: number;
    readonly figures: readonly BudgetFigure[];
    readonly measured?: BudgetMeasure;
  }[];
  /** Median milliseconds of one sample, where the budget is on latency: raced side by side, on one machine. */
  readonly latency?: { readonly float: number; readonly ours: number };
}

/** What a mix came to, whatever the budget is on. */
export interface BudgetMeasure {
  readonly bytes: number;
  /** Least signal to noise of the outputs, in dB; null where nothing differs. */
  readonly sqnr: number | null;
  /** By the metric of the evaluation. */
  readonly score?: number;
  readonly latency?: { readonly float: number; readonly ours: number };
}

/** What calibration saw of a value that was quantized. */
export interface ObservedValue {
  readonly value: string;
  /** The node that computes it; absent for an input of the graph. */
  readonly node?: string;
  /** Ends of the grid that it was put on: smaller and larger elements are cut off. */
  readonly low: number;
  readonly high: number;
  readonly bits: number;
  readonly sketch: Sketch;
}

/** What calibration saw, and on which grids values were put. */
export interface CalibrationReport {
  /** The way to choose ranges that was asked for, as `--ranges` spells it. */
  readonly ranges: string;
  /** Quantized activations; only those whose layers lose most have a histogram here, the worst first. */
  readonly values: number;
  readonly histograms: readonly ObservedValue[];
}

/** One emitted file. */
export interface FileFacts {
  readonly path: string;
  readonly bytes: number;
  /** Absent for files over 64 MiB. */
  readonly sha256?: string;
}

/** What one plugin brought to a compilation. */
export interface PluginReport {
  readonly plugin: string;
  /** Its passes that ran, algorithms among them. */
  readonly passes: readonly PluginPassReport[];
  /** The target, or the way to choose ranges, where it is the plugin's. */
  readonly target?: string;
  readonly observer?: string;
}

/** What one pass of a plugin did, all of its runs together. */
export interface PluginPassReport {
  readonly pass: string;
  readonly runs: number;
  /** How often it changed something, and how many reasons it gave for leaving something alone. */
  readonly changed: number;
  readonly declined: number;
  /** What it said of them, with the node: the first hundred of each. */
  readonly changes: readonly string[];
  readonly declines: readonly string[];
}

/** The report of one compilation for one target: `quantc.report.json` holds a list of these. */
export interface TargetReport {
  readonly model: string;
  readonly target: string;
  /** Name of the shape, where the model was compiled for several. */
  readonly shape?: string;
  readonly precision: string;
  readonly opset: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** The same files deflated, where weights were pruned or palettized. */
  readonly deflated?: { readonly before: number; readonly after: number };
  readonly files: readonly FileFacts[];
  /** Session options that this file wants, by ONNX Runtime's keys. */
  readonly session: Readonly<Record<string, string>>;
  /** Execution provider that the session must name, where it is not the CPU: `webgpu`, `coreml`. */
  readonly provider?: ProviderName;
  readonly remarks: readonly string[];
  readonly proof: Proof;
  /** A row a node, in graph order. */
  readonly ledger: readonly LedgerRow[];
  readonly notes: readonly LedgerNote[];
  /** What the search for a mix of precisions found, where there was one. */
  readonly mix?: MixReport;
  /** Bits of single weights, where those were chosen one by one. */
  readonly weightMix?: WeightMixReport;
  readonly budget?: BudgetReport;
  /** What plugins did; absent where none was plugged in. */
  readonly plugins?: readonly PluginReport[];
  /** How the model was trained, where it is one of `quantc finetune`. */
  readonly training?: TrainingReport;
  /** What calibration saw, where it counted elements; see `--ranges`. */
  readonly calibration?: CalibrationReport;
  /** The method to go on with, where the model came out worse than it should. */
  readonly next?: NextMethod;
  /** What the target's provider will take, where it takes graphs whole or in pieces. */
  readonly verdict?: ProviderVerdict;
  /** Names that nodes of the file had before they were dropped, by the name of their first output; empty when kept. */
  readonly names: Readonly<Record<string, string>>;
}

/** What `quantc.report.json` holds. */
export interface Report {
  readonly quantc: string;
  readonly targets: readonly TargetReport[];
  /** Targets of an alias that refused the model; absent where none did. */
  readonly refused?: readonly RefusedTarget[];
}

/** A target that has nothing for a model, and why. */
export interface RefusedTarget {
  readonly target: string;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** The report as bytes: keys in a fixed order, numbers rounded to what they mean, no time or machine in it. */
export function reportText(report: Report): string {
  const text = JSON.stringify(report, (_key, value) => (typeof value === 'number' ? tidy(value) : value), 1);
  return `${text.replace(NUMBERS, (list) => list.replaceAll(/\n\s*/g, ''))}\n`;
}

/** A list of nothing but numbers, which takes one line. No string holds a line break of its own. */
const NUMBERS = /\[(?:\n\s*[-+.\de]+,?)+\n\s*\]/g;

/** Six significant digits: beyond that, figures differ between processors. */
const tidy = (value: number): number | null =>
  Number.isFinite(value) ? (Number.isInteger(value) ? value : Number(value.toPrecision(6))) : null;
