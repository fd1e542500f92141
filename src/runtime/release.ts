import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** A port whose other end is closed: what is sent to it is gone at once, transferred memory included. */
let abyss: MessagePort | undefined;

/**
 * Gives the memory of buffers back now, rather than when the garbage collector comes by: runs that make tens of
 * megabytes each would otherwise pile up. The buffers, and all views of them, are empty from then on.
 */
export function releaseBuffers(buffers: Iterable<ArrayBuffer>): void {
  if (abyss === undefined) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    port1.unref();
    abyss = port1;
  }
  abyss.postMessage(null, [...new Set(buffers)]);
}
