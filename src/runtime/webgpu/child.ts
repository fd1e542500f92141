/** Runs one model with ONNX Runtime's WebGPU provider, in a process of its own: a lost device takes nothing else along. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuantcError } from '../../errors/error.js';
import type { Tensor } from '../../ir/tensor.js';
import type { Feed } from '../compare.js';
import { type Execution, FALLBACK, fromWire, toWire, type WireTensor } from '../executor.js';
import { readTrace } from '../profile.js';
import { type ExtraOptions, openSession } from '../session.js';

/** What the parent sends, once. */
export interface ChildJob {
  readonly file: string;
  readonly feeds: readonly Readonly<Record<string, WireTensor>>[];
  readonly extra: ExtraOptions;
  readonly strict: 'required' | 'preferred' | 'off';
}

/** What the child answers, once. */
export type ChildAnswer =
  | {
      readonly ok: true;
      readonly outputs: readonly Readonly<Record<string, WireTensor>>[];
      readonly strict: boolean;
      readonly nodes: Execution['nodes'];
    }
  | { readonly ok: false; readonly message: string };

process.once('message', (job: ChildJob) => {
  answer(job)
    .catch((error: unknown): ChildAnswer => ({ ok: false, message: reasonOf(error) }))
    .then((reply) => process.send!(reply, undefined, undefined, () => process.exit(0)));
});

async function answer(job: ChildJob): Promise<ChildAnswer> {
  if (job.strict === 'off') return execute(job, false);
  try {
    return await execute(job, true);
  } catch (error) {
    if (job.strict === 'required' || !FALLBACK.test(reasonOf(error))) throw error;
    return execute(job, false);
  }
}

async function execute({ file, feeds, extra }: ChildJob, strict: boolean): Promise<ChildAnswer> {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-webgpu-'));
  try {
    const config = typeof extra['session'] === 'object' ? extra['session'] : {};
    const session = await openSession(file, {
      providers: ['webgpu'],
      extra: strict ? { ...extra, session: { ...config, disable_cpu_ep_fallback: '1' } } : extra,
      profile: join(folder, 'trace'),
    });
    const outputs = [];
    try {
      for (const feed of feeds) outputs.push(mapped(await session.run(unwired(feed)), toWire));
      session.endProfiling();
    } finally {
      await session.release();
    }
    const nodes = readTrace(folder, 0).map(({ node, opType, index, provider }) => ({
      name: node,
      opType,
      index,
      provider,
    }));
    return { ok: true, outputs, strict, nodes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const unwired = (feed: Readonly<Record<string, WireTensor>>): Feed =>
  Object.fromEntries(Object.entries(feed).map(([name, tensor]) => [name, fromWire(name, tensor)]));

const mapped = (tensors: Readonly<Record<string, Tensor>>, to: (tensor: Tensor) => WireTensor) =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, to(tensor)]));

const reasonOf = (error: unknown): string =>
  error instanceof QuantcError || error instanceof Error ? error.message : String(error);
