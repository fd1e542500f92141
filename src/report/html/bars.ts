/** Figures as bars: plain elements, which need no script. */
import { html, type Markup } from './markup.js';

/** One bar of several that share a scale. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The value as people read it. */
  readonly text: string;
  /** `plain` for what is compared with, `good`, `poor`. */
  readonly tone: 'plain' | 'good' | 'fair' | 'poor';
  /** Told when the bar is pointed at. */
  readonly title?: string;
}

/** Bars below each other. @param most the value that fills the width; default the largest */
export function bars(all: readonly Bar[], most = Math.max(...all.map(({ value }) => value))): Markup {
  const rows = all.map(({ label, value, text, tone, title }) => {
    const share = most > 0 ? Math.max(0, Math.min(100, (100 * value) / most)) : 0;
    return html`<div class="bar" title="${title ?? ''}"><span class="label">${label}</span><span class="track"><span class="fill ${tone}" style="width:${share.toFixed(2)}%"></span></span><span class="figure">${text}</span></div>`;
  });
  return html`<div class="bars">${rows}</div>`;
}
