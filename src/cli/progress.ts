/** A bar on a terminal's stderr while a compilation runs; nothing at all in a pipe. */
import type { CompileEvent, Stage } from '../compile.js';
import { formatBytes } from './quantity.js';

/** What part of the whole each stage is reckoned to take, in order. */
const PARTS: readonly (readonly [stage: Stage, label: string, share: number])[] = [
  ['read', 'reading', 0.05],
  ['rewrite', 'rewriting', 0.3],
  ['calibrate', 'calibrating', 0.15],
  ['search', 'searching for the layers that hurt', 0.1],
  ['write', 'writing', 0.1],
  ['prove', 'proving', 0.15],
  ['evaluate', 'scoring', 0.15],
];

export interface Progress {
  readonly onEvent: (event: CompileEvent) => void;
  /** Takes the bar away. */
  stop(): void;
}

async function barOn(stream: NodeJS.WriteStream | undefined) {
  if (stream?.isTTY !== true) return undefined;
  const { SingleBar } = (await import('cli-progress')).default;
  return new SingleBar({
    stream,
    format: ' {bar} {target} {label}',
    barsize: 24,
    barCompleteChar: '━',
    barIncompleteChar: '·',
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
  });
}

/** A bar for one long thing. @param stream undefined for no bar */
export async function watchShare(
  stream: NodeJS.WriteStream | undefined,
  label: string,
): Promise<{ readonly onShare: (share: number) => void; stop(): void }> {
  const bar = await barOn(stream);
  bar?.start(1, 0, { target: '', label });
  return { onShare: (share) => bar?.update(share, { target: '', label }), stop: () => bar?.stop() };
}

/** Watches compilations for some targets. @param stream undefined for no bar */
export async function watchProgress(
  stream: NodeJS.WriteStream | undefined,
  targets: number,
): Promise<Progress> {
  const bar = await barOn(stream);
  if (bar === undefined) return { onEvent: () => {}, stop: () => {} };
  bar.start(targets, 0, { target: '', label: 'starting' });
  const seen = new Set<string>();
  let label = '';
  let done = 0;
  /** Budgets compile several mixes of one model: which one. */
  let attempt = '';
  return {
    onEvent(event) {
      if (event.kind === 'bindings') return;
      const { target } = event;
      seen.add(target);
      if (event.kind === 'refused') return;
      if (event.kind === 'attempt') {
        attempt = event.attempt > 0 ? `mix ${event.attempt + 1}: ` : '';
        return;
      }
      if (event.kind === 'pass') {
        bar.update(done, { target, label: `${attempt}${label} · ${event.event.pass}` });
        return;
      }
      const at = PARTS.findIndex(([stage]) => stage === event.stage);
      const [, name, part] = PARTS[at]!;
      const before = PARTS.slice(0, at).reduce((sum, [, , share]) => sum + share, 0);
      // A stage that some compilations do without may come after the next one's name: the bar only goes forward.
      done = Math.max(done, seen.size - 1 + before + (event.kind === 'share' ? event.share * part : 0));
      label = name;
      const bytes = event.kind === 'share' ? event.bytes?.map(formatBytes).join(' of ') : undefined;
      const searched = event.kind === 'share' && event.stage === 'search';
      const share = searched ? ` ${Math.round(event.share * 100)} %` : bytes ? ` ${bytes}` : '';
      bar.update(done, { target, label: `${attempt}${label}${share}` });
    },
    stop: () => bar.stop(),
  };
}
