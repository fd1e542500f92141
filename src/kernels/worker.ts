/** A thread of the pool: does the tasks that it is sent, one after the other. */
import { parentPort } from 'node:worker_threads';
import { QuantcError } from '../errors/error.js';
import { runTask, type Task } from './task.js';

/** What a worker answers: a result, or an error as plain data. */
export type Answer =
  | { readonly result: ReturnType<typeof runTask> }
  | {
      readonly error: Pick<QuantcError, 'code' | 'message' | 'kind' | 'place' | 'hint'>;
    };

parentPort?.on('message', (task: Task) => {
  let answer: Answer;
  try {
    answer = { result: runTask(task) };
  } catch (error) {
    answer = { error: plain(error) };
  }
  const bytes = 'result' in answer ? answer.result.bytes : undefined;
  parentPort?.postMessage(answer, bytes ? [bytes.buffer as ArrayBuffer] : []);
});

function plain(error: unknown): Extract<Answer, { error: unknown }>['error'] {
  if (error instanceof QuantcError) {
    const { code, message, kind, place, hint } = error;
    return { code, message, kind, place, hint };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'F_KERNEL_WORKER', message, kind: 'fault', place: {}, hint: undefined };
}
