/** Ctrl-C and its like: what is under way cleans up after itself, then the process ends as the signal says. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs something that can be stopped. The first signal stops it; a second one ends the process at once.
 * @returns what it answers. After a signal it never returns: the process dies of the signal once `use` has ended.
 */
export async function interruptible<T>(use: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    release();
    received = signal;
    controller.abort();
  };
  const release = (): void => {
    for (const each of SIGNALS) process.off(each, stop);
  };
  for (const each of SIGNALS) process.on(each, stop);
  try {
    return await use(controller.signal);
  } finally {
    release();
    if (received !== undefined) process.kill(process.pid, received);
  }
}
