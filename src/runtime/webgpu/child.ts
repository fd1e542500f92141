/** Runs models with ONNX Runtime's WebGPU provider, in a process of its own: a lost device takes nothing else along. */
import { join } from 'node:path';
import {
  fromWireRecord,
  openStrictly,
  type PlacedNode,
  type Strictness,
  toWireRecord,
  type WireRecord,
  withoutFallback,
} from '../executor.js';
import { readTrace } from '../profile.js';
import { type ExtraOptions, openSession, type Port, type Session } from '../session.js';

/** What the parent asks, one question at a time. */
export type ChildJob =
  | {
      readonly kind: 'open';
      readonly file: string;
      readonly extra: ExtraOptions;
      readonly strict: Strictness;
      /** For the profile; the parent's, which removes it however this process ends. */
      readonly folder: string;
    }
  | { readonly kind: 'run'; readonly feeds: WireRecord }
  | { readonly kind: 'release' };

/** What the child answers to each. */
export type ChildAnswer =
  | {
      readonly kind: 'open';
      readonly strict: boolean;
      readonly inputs: readonly Port[];
      readonly outputs: readonly Port[];
    }
  | { readonly kind: 'run'; readonly outputs: WireRecord }
  | { readonly kind: 'release'; readonly nodes: readonly PlacedNode[] }
  | { readonly kind: 'failed'; readonly message: string };

let session: Session | undefined;
let folder = '';

process.on('message', (job: ChildJob) => {
  answer(job)
    .catch((error: unknown): ChildAnswer => ({ kind: 'failed', message: reasonOf(error) }))
    .then((reply) => process.send!(reply, undefined, undefined, () => end(reply)));
});
// Without a parent there is nobody to work for.
process.once('disconnect', () => process.exit(0));

async function answer(job: ChildJob): Promise<ChildAnswer> {
  switch (job.kind) {
    case 'open': {
      folder = job.folder;
      const opened = await openStrictly(job.strict, async (strict) => ({
        session: await openSession(job.file, {
          providers: ['webgpu'],
          extra: strict ? withoutFallback(job.extra) : job.extra,
          profile: join(folder, 'trace'),
        }),
        strict,
      }));
      session = opened.session;
      const { inputs, outputs } = session;
      return { kind: 'open', strict: opened.strict, inputs, outputs };
    }
    case 'run':
      return { kind: 'run', outputs: toWireRecord(await session!.run(fromWireRecord(job.feeds))) };
    case 'release': {
      session!.endProfiling();
      await session!.release();
      const nodes = readTrace(folder, 0).map(({ node, opType, index, provider }) => ({
        name: node,
        opType,
        index,
        provider,
      }));
      return { kind: 'release', nodes };
    }
  }
}

/** Goes when the last answer is out; what failed is not asked again. */
function end(reply: ChildAnswer): void {
  if (reply.kind !== 'release' && reply.kind !== 'failed') return;
  process.exit(0);
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
