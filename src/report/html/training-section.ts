/** How a model was trained: its learning curve. */
import type { TrainingReport } from '../training.js';
import { html, type Markup } from './markup.js';
import { plain, plot } from './plot.js';

export function learningCurve({ bits, freeze, loss, steps, heldOut, curve }: TrainingReport): Markup {
  const facts = [
    `${steps} steps`,
    bits !== undefined && `weights of ${bits} bits`,
    freeze !== undefined && freeze !== 'none' && `${freeze} held as rounded`,
    loss !== undefined && `loss ${loss}`,
  ].filter((each) => each !== false);
  const better = heldOut.after < heldOut.before;
  const text = (value: number): string => plain(value);
  const levels = [
    { y: heldOut.before, name: `held out, before: ${text(heldOut.before)}` },
    { y: heldOut.after, name: `held out, after: ${text(heldOut.after)}` },
  ];
  return html`<p class="more">${facts.join(', ')}. On samples that training did not see, the loss went from ${text(heldOut.before)} to <span class="tag ${better ? 'good' : 'poor'}">${text(heldOut.after)}</span></p><div class="plots">${plot(
    {
      x: { name: 'step', text },
      y: { name: 'loss', text, logarithmic: true, better: 'smaller' },
      line: curve.map(({ step, loss: at }) => ({ x: step + 1, y: at })),
      levels,
    },
  )}</div>`;
}
