import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { median } from './latency.js';
import { openSession, type SessionOptions } from './session.js';

/** What one node of the graph that ONNX Runtime really runs costs. */
export interface KernelTime {
  /** Name of the node in the optimized graph; fused nodes carry one that ONNX Runtime made. */
  readonly node: string;
  /** Operator of the kernel, e.g. `QLinearConv`. */
  readonly opType: string;
  /** Position among the nodes of the file, main graph; nodes that ONNX Runtime made come behind them. */
  readonly index: number;
  readonly provider: string;
  /** Median over the runs, in microseconds. */
  readonly microseconds: number;
  readonly runs: number;
}

interface TraceEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly dur?: number;
  readonly args?: { readonly op_name?: string; readonly provider?: string; readonly node_index?: string };
}

/**
 * Runs a model with ONNX Runtime's profiler on and says what each kernel takes, the costliest first.
 * Nodes of subgraphs are told apart by their names; runs inside loops are counted one by one.
 * @param feeds run in order, `rounds` times (default 10), after one uncounted round.
 */
export async function profile(
  model: Model | Uint8Array | string,
  feeds: readonly Readonly<Record<string, Tensor>>[],
  options: SessionOptions & { readonly rounds?: number } = {},
): Promise<KernelTime[]> {
  const { rounds = 10, ...sessionOptions } = options;
  const folder = mkdtempSync(join(tmpdir(), 'quantc-profile-'));
  try {
    const session = await openSession(model, { ...sessionOptions, profile: join(folder, 'trace') });
    try {
      for (let round = 0; round <= rounds; round++) for (const feed of feeds) await session.run(feed);
      session.endProfiling();
    } finally {
      await session.release();
    }
    return readTrace(folder, rounds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The kernels of every trace in a folder; `rounds` as for {@link profile}. */
export function readTrace(folder: string, rounds: number): KernelTime[] {
  const nodes = new Map<string, { event: TraceEvent; times: number[] }>();
  for (const file of readdirSync(folder)) {
    for (const event of JSON.parse(readFileSync(join(folder, file), 'utf8')) as TraceEvent[]) {
      if (event.cat !== 'Node' || !event.name?.endsWith('_kernel_time')) continue;
      const key = `${event.args?.node_index} ${event.name}`;
      const entry = nodes.get(key) ?? { event, times: [] };
      entry.times.push(event.dur ?? 0);
      nodes.set(key, entry);
    }
  }
  return [...nodes.values()]
    .map(({ event, times }) => {
      // The first round warms caches and allocators; what it took says nothing.
      const counted = times.slice(Math.ceil(times.length / (rounds + 1)));
      return {
        node: event.name!.slice(0, -'_kernel_time'.length),
        opType: event.args?.op_name ?? '',
        index: Number(event.args?.node_index ?? -1),
        provider: event.args?.provider ?? '',
        microseconds: median(counted.length > 0 ? counted : times),
        runs: counted.length,
      };
    })
    .sort((a, b) => b.microseconds - a.microseconds);
}
