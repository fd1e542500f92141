/** The part of the proof that an executor beside the CPU gives: where each node ran, and whether it answers the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataSet } from '../calibration/dataset.js';
import { QuantcError } from '../errors/error.js';
import type { Model, Node } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';
import type { Ledger } from '../pipeline/ledger.js';
import { type Comparison, compareSessions, type Runner } from '../runtime/compare.js';
import type { Executor, LoadedModel, PlacedNode } from '../runtime/executor.js';
import { type SessionOptions, withSession } from '../runtime/session.js';
import { webgpuNative } from '../runtime/webgpu/native.js';
import { computedFromSizes, takes } from '../target/operators.js';
import type { Target } from '../target/target.js';
import { widenHalves } from './widened-twin.js';

export interface ExecutorProofRequest {
  readonly target: Target;
  readonly float: string;
  readonly emitted: string;
  /** The emitted model while its nodes had the names that the ledger knows. */
  readonly after: Model;
  readonly samples: DataSet;
  readonly ledger: Ledger;
  readonly reference: SessionOptions;
}

export interface ExecutorProof {
  readonly executor: string;
  readonly samples: number;
  /** True when the whole graph ran with falling back to the CPU forbidden. */
  readonly strict: boolean;
  /** Outputs against the float model, and against the emitted model on the CPU. */
  readonly outputs: readonly Comparison[];
  readonly agreement: readonly Comparison[];
  /** Why the agreement says nothing; undefined where it does. */
  readonly excused?: string;
  /** How often each kernel ran on the executor; those on the CPU as `cpu:Operator`. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Feeds that are run; a software adapter takes minutes for what a device takes milliseconds for. */
const FEEDS = { device: 4, software: 1 };
/** Below this an executor answers something else than the CPU does, whatever it rounds. In dB. */
const LEAST_AGREEMENT = 20;

const executors: Readonly<Record<string, Executor>> = { webgpu: webgpuNative };

/**
 * Runs the emitted file where it will run, and notes in the ledger what fell back to the CPU and why.
 * @returns undefined where there is no such executor here, which a warning says
 * @throws QuantcError E_EXECUTOR_RUN, E_EXECUTOR_LOST
 */
export async function proveOnExecutor(request: ExecutorProofRequest): Promise<ExecutorProof | undefined> {
  const { target, emitted, ledger } = request;
  const executor = executors[target.executor!.provider]!;
  let ran: Ran;
  let executed = emitted;
  let twin: string | undefined;
  try {
    try {
      ran = await runOn(executor, emitted, request);
    } catch (error) {
      if (!(error instanceof QuantcError) || !NO_HALF.test(error.message)) throw error;
      twin = await writeTwin(emitted);
      executed = join(twin, 'model.onnx');
      ran = await runOn(executor, executed, request);
    }
  } catch (error) {
    if (!(error instanceof QuantcError) || error.code !== 'E_EXECUTOR_ABSENT') throw error;
    ledger.note(
      'warning',
      'W_EXECUTOR_ABSENT',
      `${error.message}: proven on the CPU alone, and nodes placed by the table of ${target.name}`,
    );
    return undefined;
  } finally {
    if (twin !== undefined) rmSync(twin, { recursive: true, force: true });
  }
  if (executed !== emitted) {
    const message = `${executor.name} has no 16-bit arithmetic: the same graph was run there in 32 bits, weights as rounded`;
    ledger.note('info', 'no-half', message);
  }
  const { outputs, agreement, nodes, strict, count } = ran;
  const counts = new Map<string, number>();
  for (const { opType, provider } of nodes) {
    if (MOVED.test(opType)) continue;
    const kernel = provider.startsWith('CPU') ? `cpu:${opType}` : opType;
    counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
  }
  noteFallbacks(request, nodes);
  const excused = excuse(executor.name, request);
  if (excused !== undefined)
    ledger.note('info', 'software-adapter', `outputs there are not held against it: ${excused}`);
  const name = executed === emitted ? executor.name : `${executor.name}, in 32 bits`;
  return { executor: name, samples: count, strict, outputs, agreement, excused, counts };
}

/** How ONNX Runtime words it that a device cannot compute in 16 bits. */
const NO_HALF = /requires f16 but the device does not support it/;

/** What the executor gave for the feeds that it was asked for. */
interface Ran {
  readonly outputs: readonly Comparison[];
  readonly agreement: readonly Comparison[];
  readonly nodes: readonly PlacedNode[];
  readonly strict: boolean;
  readonly count: number;
}

async function runOn(executor: Executor, file: string, request: ExecutorProofRequest): Promise<Ran> {
  const loaded = await executor.open(file);
  const feeds = executor.name.includes(SOFTWARE) ? FEEDS.software : FEEDS.device;
  const { samples } = request;
  const some = samples.first(Math.min(samples.count, feeds * samples.batch));
  return { ...(await compared(request, file, loaded, some)), strict: loaded.strict, count: some.count };
}

/** A folder with the emitted model in 32 bits, as `model.onnx`. */
async function writeTwin(emitted: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-twin-'));
  const model = readModel(emitted);
  widenHalves(model);
  await writeModel(model, join(folder, 'model.onnx'), { externalData: 'auto' });
  return folder;
}

/** Runs each feed once, and holds the outputs against the float model's and the emitted model's on the CPU. */
async function compared(
  { float, reference }: ExecutorProofRequest,
  file: string,
  loaded: LoadedModel,
  feeds: DataSet,
) {
  const ran: Readonly<Record<string, Tensor>>[] = [];
  const recording: Runner = {
    inputs: loaded.inputs,
    outputs: loaded.outputs,
    run: async (feed) => {
      ran.push(await loaded.run(feed));
      return ran.at(-1)!;
    },
  };
  let at = 0;
  const replaying: Runner = { ...recording, run: async () => ran[at++]! };
  try {
    const outputs = await withSession(float, reference, (session) =>
      compareSessions(session, recording, feeds),
    );
    const agreement = await withSession(file, reference, (session) =>
      compareSessions(session, replaying, feeds),
    );
    return { outputs, agreement, nodes: (await loaded.release()) ?? [] };
  } catch (error) {
    await loaded.release().catch(() => undefined);
    throw error;
  }
}

/** How the names of executors say that their adapter is a program. */
const SOFTWARE = 'SwiftShader';

/** Fused attention, whose kernels need subgroups of 8 lanes for long inputs. */
const ATTENTION = /^(GroupQueryAttention|MultiHeadAttention|Attention)$/;

/** Why the executor here may answer otherwise than those that the file is for; undefined where it should not. */
function excuse(executor: string, { after }: ExecutorProofRequest): string | undefined {
  const fused = [...after.graph.nodes()].some((node) => ATTENTION.test(node.opType));
  if (!fused || !executor.includes(SOFTWARE)) return undefined;
  return "SwiftShader's subgroups have 4 lanes, and fused attention counts keys twice there for 32 tokens and more";
}

/** The first output that the executor and the CPU do not agree on, in words. */
export function disagreement({ executor, agreement, excused }: ExecutorProof): string | undefined {
  if (excused !== undefined) return undefined;
  const odd = agreement.find(
    ({ sqnr, identical, mismatched }) => mismatched > 0 || (!identical && sqnr < LEAST_AGREEMENT),
  );
  if (odd === undefined) return undefined;
  return odd.mismatched > 0
    ? `output "${odd.name}" has ${odd.mismatched} elements on ${executor} that are NaN or infinite there or on the CPU alone`
    : `output "${odd.name}" is another on ${executor} than on the CPU (${odd.sqnr.toFixed(1)} dB)`;
}

/** Copies between the two that ONNX Runtime put in. */
const MOVED = /^Memcpy(To|From)Host$/;

/** What ran where, against what the table said: the ledger is told both ways. */
function noteFallbacks(
  { target, emitted, after, ledger }: ExecutorProofRequest,
  ran: readonly PlacedNode[],
): void {
  const table = target.executor!;
  const own = nodesBehind(emitted, after);
  const fromSizes = computedFromSizes(after.graph.nodes());
  const foreseen = new Set(ledger.rows.filter(({ kernel }) => kernel === 'cpu').map(({ opType }) => opType));
  const surprises: string[] = [];
  for (const { name, opType, index, provider } of ran) {
    const node = own(name, opType, index);
    const onCpu = provider.startsWith('CPU');
    if (node === undefined) {
      // Of a subgraph, whose nodes the executor does not number apart: the table foresaw some of its kind.
      if (onCpu && !MOVED.test(opType) && !foreseen.has(opType)) surprises.push(`${name} (${opType})`);
      continue;
    }
    if (!onCpu) {
      if (ledger.find(node)?.kernel === 'cpu')
        ledger.refine(node, { kernel: table.provider, reason: undefined });
      continue;
    }
    if (fromSizes.has(node) || takes(table, node) !== true) continue;
    ledger.record(node, {
      kernel: 'cpu',
      reason: 'ran on the CPU, though there is a kernel: its inputs are there',
    });
    surprises.push(`${node.label} (${opType})`);
  }
  if (surprises.length === 0) return;
  const shown = surprises.slice(0, 3).join(', ');
  const more = surprises.length > 3 ? ` and ${surprises.length - 3} more` : '';
  ledger.note('info', 'on-cpu', `ONNX Runtime put these on the CPU, against the table: ${shown}${more}`);
}

/**
 * Finds nodes of the model with names by what the executor tells: a position among the file's nodes. Nodes of the two
 * are matched by their first outputs, whose names stayed.
 */
function nodesBehind(emitted: string, after: Model) {
  const named = new Map<string, Node>();
  for (const node of after.graph.nodes()) named.set(node.outputs[0]?.name ?? '', node);
  const file = [...readModel(emitted).graph.nodes()];
  return (name: string, opType: string, index: number): Node | undefined => {
    const node = file[index];
    // Nodes of subgraphs count from zero again, and fused ones beyond the end.
    if (node?.opType !== opType || (node.name !== '' && node.name !== name)) return undefined;
    return named.get(node.outputs[0]?.name ?? '');
  };
}
