/** What the integers of each layer, or the bits of each weight, do to the outputs: as maps. */
import type { MixReport } from '../../target/mix.js';
import type { WeightMixReport } from '../../target/weight-mix.js';
import { counted, formatBytes, formatDecibels } from '../amounts.js';
import type { TargetReport } from '../report.js';
import type { LayerMap, SensitivityMap, WeightMap } from '../sensitivity.js';
import { type Bar, bars } from './bars.js';
import { FULL, toneOf } from './error-section.js';
import { html, Markup } from './markup.js';
import { plain, plot } from './plot.js';

/** Layers or weights that are told by name. */
const SHOWN = 40;

/** What was measured by itself, and given to the page. */
export function sensitivityMaps(maps: readonly SensitivityMap[]): Markup {
  if (maps.length === 0) return html``;
  const parts = maps.map((map) => ('layers' in map ? layerMap(map) : weightMap(map)));
  return html`<section id="sensitivity"><h2>Sensitivity</h2>${parts}</section>`;
}

function layerMap({ model, target, unit, samples, whole, layers }: LayerMap): Markup {
  const figure = (value: number | null): string =>
    unit === 'dB' ? formatDecibels(value) : value === null ? '' : `${(100 * value).toFixed(2)} % wrong`;
  const most = Math.max(1e-9, ...layers.map(({ alone }) => alone ?? 0));
  const worst = layers.slice(0, SHOWN).map(
    ({ node, opType, alone, without, saves }): Bar => ({
      label: node,
      value: unit === 'dB' ? (alone ?? FULL) : (alone ?? 0),
      text: figure(alone),
      tone: unit === 'dB' ? toneOf(alone) : alone !== null && alone > most / 2 ? 'poor' : 'fair',
      title: `${opType}; all but it: ${figure(without)}; its integers save ${plain(saves)} µs`,
    }),
  );
  const shown = layers.length > SHOWN ? `, the ${SHOWN} that lose most` : '';
  return html`<h3>${model} for ${target}</h3><p class="more">The outputs when one layer alone computes in integers, over ${counted(samples, 'sample')}${shown}; with all in integers: ${figure(whole)}.</p>${bars(worst, unit === 'dB' ? FULL : most)}`;
}

function weightMap({ model, metric, samples, bits, weights }: WeightMap): Markup {
  const noises = weights
    .flatMap(({ figures }) => figures.map(({ noise }) => noise))
    .filter((noise) => noise > 0);
  const [low, high] = [Math.log(least(noises)), Math.log(-least(noises.map((noise) => -noise)))];
  const share = (noise: number): number =>
    noise <= 0 ? 0 : high > low ? (Math.log(noise) - low) / (high - low) : 0.5;
  const rows = weights.slice(0, SHOWN).map(({ nodes, weight, role, figures }) => {
    const cells = bits.map((each) => {
      const found = figures.find((figure) => figure.bits === each);
      return found === undefined
        ? html`<td></td>`
        : html`<td class="heat" style="--heat:${Math.round(100 * share(found.noise))}%" title="${formatBytes(found.bytes)}">${found.noise.toPrecision(2)}</td>`;
    });
    return html`<tr><td class="name" title="${nodes.join(', ')}">${role ?? weight}</td>${cells}</tr>`;
  });
  const unit = metric === 'kl' ? 'nats of divergence' : 'share of the outputs’ energy';
  const shown = weights.length > SHOWN ? `, the ${SHOWN} that cost most` : '';
  return html`<h3>${model}: bits of weights</h3><p class="more">Noise of the outputs when one weight alone has so many bits, in ${unit}, over ${counted(samples, 'sample')}${shown}.</p><div class="wide"><table class="map"><thead><tr><th>weight</th>${bits.map((each) => html`<th>${each} bits</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

const least = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);

/** What compiling measured on its way to a mix: of precisions, or of bits. */
export function mixes({ mix, weightMix }: TargetReport): Markup {
  const parts = [mix && mix.front.length > 1 && layerMix(mix), weightMix && bitMix(weightMix)].filter(
    (each) => each instanceof Markup,
  );
  return parts.length === 0 ? html`` : html`${parts}`;
}

function layerMix({ front, chosen, metric, samples }: MixReport): Markup {
  const points = front.map(({ decibels, saving, integerNodes }, index) => ({
    x: saving / 1000,
    y: decibels ?? Number.NaN,
    ...(index === chosen && { tone: 'chosen' as const, label: 'compiled' }),
    title: `${counted(integerNodes, 'node')} in integers, ${formatDecibels(decibels)}, ${(saving / 1000).toFixed(0)} µs saved`,
  }));
  const gains = front.slice(1).flatMap(({ steps, decibels }, at) => {
    const before = new Set(front[at]!.steps.map(({ source }) => source));
    const added = steps.filter(({ source }) => !before.has(source));
    const from = front[at]!.decibels;
    if (added.length === 0 || decibels === null || from === null) return [];
    return [{ added: added.flatMap(({ nodes }) => nodes), gain: decibels - from }];
  });
  const most = Math.max(0.1, ...gains.map(({ gain }) => gain));
  const list = gains.slice(0, SHOWN).map(
    ({ added, gain }): Bar => ({
      label: added.join(', '),
      value: gain,
      text: `+${gain.toFixed(1)} dB`,
      tone: 'fair',
      title: added.join(', '),
    }),
  );
  const of = metric === 'kl' ? 'scores' : 'outputs';
  return html`<p class="more">From all integers towards float, measured on ${counted(samples, 'sample')}: what is kept float, in the order of what it gains for its time.</p><div class="plots">${plot(
    {
      x: { name: 'microseconds saved, by the cost table', text: plain, better: 'larger' },
      y: { name: `signal to noise of the ${of}, dB`, text: plain, better: 'larger' },
      points,
      line: points,
    },
  )}<div>${list.length > 0 && html`<h4>What each step gains</h4>${bars(list, most)}`}</div></div>`;
}

function bitMix({
  metric,
  samples,
  bytes,
  least: fewest,
  most,
  noise,
  uniform,
  layers,
}: WeightMixReport): Markup {
  const loudest = layers.reduce((a, each) => Math.max(a, each.noise), 0);
  const rows = layers
    .toSorted((a, b) => b.noise - a.noise)
    .slice(0, SHOWN)
    .map(
      ({ nodes, role, bits, bytes: own, noise: alone }): Bar => ({
        label: role ?? nodes.join(', '),
        value: alone,
        text: `${bits} bits, ${formatBytes(own)}`,
        tone: bits <= 2 ? 'poor' : bits <= 4 ? 'fair' : 'good',
        title: `${nodes.join(', ')}: noise ${alone.toPrecision(3)} alone`,
      }),
    );
  const unit = metric === 'kl' ? 'nats' : 'of the outputs’ energy';
  const shown = layers.length > SHOWN ? ` The ${SHOWN} of ${layers.length} weights that cost most:` : '';
  return html`<h4>Bits, weight by weight</h4><p class="more">${formatBytes(bytes)} of weights (${formatBytes(fewest)} with the fewest bits, ${formatBytes(most)} with the most); noise ${noise.toPrecision(3)} ${unit} on ${counted(samples, 'sample')}, against ${uniform.toPrecision(3)} with 4 bits everywhere.${shown}</p>${bars(rows, loudest)}`;
}
