/** What plugins did to one model: their passes, what those changed and left alone, and what else of them was used. */
import { counted } from '../amounts.js';
import type { PluginPassReport, PluginReport, TargetReport } from '../report.js';
import { html, type Markup } from './markup.js';

/** Places that a list shows; the report has more. */
const SHOWN = 20;

/** @returns nothing where none was plugged in */
export function pluginSection({ plugins = [] }: TargetReport): Markup {
  if (plugins.length === 0) return html``;
  return html`<div class="wide"><table><thead><tr><th>plugin</th><th>what of it ran</th><th>did</th></tr></thead><tbody>${plugins.flatMap(rows)}</tbody></table></div>`;
}

function rows({ plugin, passes, target, observer }: PluginReport): Markup[] {
  const parts = passes.map((each): [Markup, Markup] => [html`pass <code>${each.pass}</code>`, done(each)]);
  if (target !== undefined) parts.push([html`target <code>${target}</code>`, html`compiled for`]);
  if (observer !== undefined) parts.push([html`ranges <code>${observer}</code>`, html`chose the grids`]);
  if (parts.length === 0) parts.push([html`nothing`, html`no pass of it runs here`]);
  return parts.map(
    ([what, did]) => html`<tr><td class="name">${plugin}</td><td>${what}</td><td>${did}</td></tr>`,
  );
}

function done({ runs, changed, declined, changes, declines }: PluginPassReport): Markup {
  const told = [
    changes.length > 0 && list(counted(changed, 'change'), changes, changed),
    declines.length > 0 && list(`${declined} declined`, declines, declined),
  ];
  // A pass may change something and say nothing of it.
  const plain =
    changes.length === 0 && html`${changed > 0 ? counted(changed, 'change') : 'changed nothing'} `;
  return html`${plain}<span class="more">in ${counted(runs, 'run')}</span>${told}`;
}

function list(title: string, places: readonly string[], all: number): Markup {
  const more = all > SHOWN && html`<li class="more">and ${all - Math.min(SHOWN, places.length)} more</li>`;
  return html`<details><summary>${title}</summary><ul>${places.slice(0, SHOWN).map((each) => html`<li>${each}</li>`)}${more}</ul></details>`;
}
