/**
 * A thread of calibration: runs the samples that it is sent, one after the other. It ends when it is told to and never
 * otherwise: ONNX Runtime does not bear threads that are stopped from outside while it runs in them.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { plainError } from '../errors/plain.js';
import { Lane, type LaneJob } from './lane.js';
import { type Answer, type Order, revivedFeeds } from './lane-message.js';

const opening = Lane.open(workerData as LaneJob);
// Whoever asks first is told; until then nobody waits for it.
opening.catch(() => undefined);
let queue: Promise<void> = Promise.resolve();

parentPort?.on('message', (order: Order) => {
  queue = queue.then(() => obey(order));
});

async function obey(order: Order): Promise<void> {
  if (order.kind === 'close') {
    await opening.then(
      (lane) => lane.close(),
      () => undefined,
    );
    parentPort?.close();
    return;
  }
  let answer: Answer;
  try {
    const lane = await opening;
    answer =
      order.kind === 'observe'
        ? { kind: 'seen', extremes: await lane.observe(revivedFeeds(order.feeds)) }
        : { kind: 'histograms', histograms: lane.histograms() };
  } catch (error) {
    answer = { kind: 'error', error: plainError(error, 'F_CALIBRATION_WORKER') };
  }
  parentPort?.postMessage(answer);
}
