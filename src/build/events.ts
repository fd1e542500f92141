/** What a watcher is told of a build. */
export type BuildEvent =
  /** Jobs are on a queue, and no worker is there yet. */
  | { readonly kind: 'waiting'; readonly queue: string }
  /** The connection to the queue is lost, and being taken up again. */
  | { readonly kind: 'trouble'; readonly message: string }
  /** A job's outputs were kept from an earlier build. */
  | { readonly kind: 'kept'; readonly name: string; readonly target: string }
  /** A job begins; again, where the process that did it was lost. */
  | { readonly kind: 'begun'; readonly name: string; readonly target: string; readonly attempt: number }
  | { readonly kind: 'done'; readonly name: string; readonly target: string };
