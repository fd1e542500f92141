/**
 * A thread of calibration: runs the samples that it is sent, one after the other. It ends when it is told to and never
 * otherwise: ONNX Runtime does not bear threads that are stopped from outside while it runs in them.
 */
import { parentPort } from 'node:worker_threads';
import { plainError } from '../errors/plain.js';
import { Lane } from './lane.js';
import { type Answer, type Order, revivedFeeds } from './lane-message.js';

let opening: Promise<Lane> | undefined;
let queue: Promise<void> = Promise.resolve();

parentPort?.on('message', (order: Order) => {
  queue = queue.then(() => obey(order));
});

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case 'open':
      opening = Lane.open(order.job);
      // Whoever asks first is told that it failed; until then nobody waits for it.
      await opening.catch(() => undefined);
      return;
    case 'close':
      await opening?.then(
        (lane) => lane.close(),
        () => undefined,
      );
      parentPort?.close();
      return;
    default:
      parentPort?.postMessage(await answerTo(order));
  }
}

async function answerTo(order: Extract<Order, { kind: 'observe' | 'finish' }>): Promise<Answer> {
  try {
    const lane = await opening!;
    if (order.kind === 'finish') return { kind: 'histograms', histograms: lane.histograms() };
    return { kind: 'seen', extremes: await lane.observe(revivedFeeds(order.feeds)) };
  } catch (error) {
    return { kind: 'error', error: plainError(error, 'F_CALIBRATION_WORKER') };
  }
}
