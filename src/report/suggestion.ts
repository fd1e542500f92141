/** From what was measured of a layer to what would help it. */
import type { Suggestion } from '../pipeline/ledger.js';
import type { GridFacts } from '../quant/grid-use.js';

/** What a suggestion rests on; figures in dB are 10·log10(signal / noise). */
export interface LayerFacts {
  readonly name: string;
  /** Its node, for `--exclude`; absent for an input of the graph. */
  readonly node?: string;
  /** Whether integers have a part in computing it. */
  readonly quantized: boolean;
  /** Names of the layers that it is computed from. */
  readonly from: readonly string[];
  readonly sqnr: number;
  readonly grid?: GridFacts;
  readonly channelSpread?: number;
  readonly weightSpread?: number;
}

/** Layers with more signal than this need nothing. */
const FINE_DECIBELS = 30;
/** A remedy that lifts a layer by less is not worth naming. */
const WORTH_DECIBELS = 1.5;
/** Channels this much larger than the median one leave the others few steps. */
const WIDE_SPREAD = 8;

/**
 * A suggestion for every layer that wants one, by name. The noise of a layer has three origins: what comes in, the
 * rounding of its own output, and the rest, which the node makes itself (its weights, its arithmetic). The largest one
 * decides; noise that comes in is followed to the layer where it does not.
 */
export function suggestions(layers: readonly LayerFacts[]): Map<string, Suggestion> {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const found = new Map<string, Suggestion>();
  for (const layer of layers) {
    if (!(layer.sqnr < FINE_DECIBELS)) continue;
    const way = wayUp(layer, byName);
    const suggestion = way.length > 1 ? forArriving(way) : ownSuggestion(layer, byName);
    if (suggestion !== undefined) found.set(layer.name, suggestion);
    // Where the error begins may look fine by itself: what would help there is told all the same.
    const origin = way.at(-1)!;
    const own = found.has(origin.name) ? undefined : ownSuggestion(origin, byName);
    if (own !== undefined) found.set(origin.name, own);
  }
  return found;
}

interface Origins {
  readonly all: number;
  readonly rounding: number;
  readonly made: number;
  readonly worst: LayerFacts | undefined;
  readonly kind: 'rounding' | 'arriving' | 'made';
}

/** Where the noise of a layer comes from, as shares of its signal. */
function originsOf(layer: LayerFacts, byName: ReadonlyMap<string, LayerFacts>): Origins {
  const all = noiseOf(layer.sqnr);
  const rounding = layer.grid ? noiseOf(layer.grid.rounding) : 0;
  let worst: LayerFacts | undefined;
  for (const name of layer.from) {
    const source = byName.get(name);
    if (source && source.sqnr < (worst?.sqnr ?? Number.POSITIVE_INFINITY)) worst = source;
  }
  const arriving = worst ? noiseOf(worst.sqnr) : 0;
  const made = Math.max(0, all - rounding - arriving);
  if (layer.grid && rounding >= arriving && rounding >= made)
    return { all, rounding, made, worst, kind: 'rounding' };
  // A node that computes in float adds nothing of its own, however much it magnifies.
  const kind = worst && (arriving >= made || !layer.quantized) ? 'arriving' : 'made';
  return { all, rounding, made, worst, kind };
}

/** The layer, the one that its error comes in with, and so on to the one that makes it. */
function wayUp(layer: LayerFacts, byName: ReadonlyMap<string, LayerFacts>): LayerFacts[] {
  const way = [layer];
  for (;;) {
    const { kind, worst } = originsOf(way.at(-1)!, byName);
    if (kind !== 'arriving' || worst === undefined || way.includes(worst)) return way;
    way.push(worst);
  }
}

function forArriving(way: readonly LayerFacts[]): Suggestion {
  const [source, origin] = [way[1]!, way.at(-1)!];
  const begins = origin === source ? '' : `; it begins at ${nodeOf(origin)} (${decibels(origin.sqnr)})`;
  return {
    kind: 'upstream',
    text: `most of its error comes in with ${nodeOf(source)} (${decibels(source.sqnr)})${begins}`,
    origin: nodeOf(origin),
  };
}

/** What helps against the noise that the layer makes itself. */
function ownSuggestion(layer: LayerFacts, byName: ReadonlyMap<string, LayerFacts>): Suggestion | undefined {
  const origins = originsOf(layer, byName);
  if (origins.kind === 'rounding') return forRounding(layer, layer.grid!, origins);
  if (!layer.quantized || layer.node === undefined) return undefined;
  const spread = layer.weightSpread ?? 1;
  if (spread >= WIDE_SPREAD) {
    return {
      kind: 'equalize',
      text:
        `one scale does for its weights, whose largest channel reaches ${spread.toPrecision(2)}× as far as the median ` +
        `one: a scale a channel, equalized channels, or ${excluding(layer)}`,
    };
  }
  return {
    kind: 'float',
    text: `its own weights and arithmetic make ${percent(origins.made / origins.all)} of its error: ${excluding(layer)}`,
  };
}

/** The output's own rounding loses most. */
function forRounding(layer: LayerFacts, grid: GridFacts, { all, rounding }: Origins): Suggestion {
  // What is left of the noise, were this share of the rounding's gone.
  const liftOf = (share: number): number =>
    10 * Math.log10(all / Math.max(all - rounding * share, all * 1e-6));
  const widening = liftOf(grid.cutShare);
  const narrowing = liftOf(1 - 10 ** (-grid.narrowing / 10));
  if (grid.cutShare > 0.5 && widening >= WORTH_DECIBELS) {
    return {
      kind: 'widen',
      text:
        `its range is too narrow: cutting off ${percent(grid.saturation)} of the elements makes ` +
        `${percent(grid.cutShare)} of its rounding error; try --ranges minmax`,
    };
  }
  if (narrowing >= WORTH_DECIBELS) {
    return {
      kind: 'clip',
      text:
        `its range is too wide: ${percent(grid.rangeUse)} of the steps are used, and clipped it would ` +
        `gain ${decibels(narrowing)}; try --ranges percentile or mse`,
    };
  }
  const spread = layer.channelSpread ?? 1;
  if (spread >= WIDE_SPREAD) {
    return {
      kind: 'equalize',
      text:
        `its largest channel reaches ${spread.toPrecision(2)}× as far as the median one, which leaves the others few ` +
        `steps: equalize the channels, or ${excluding(layer)}`,
    };
  }
  return {
    kind: '16-bit',
    text:
      `its values fill their range, and rounding alone leaves ${decibels(grid.rounding)}: it wants 16-bit ` +
      `activations, or ${excluding(layer)}`,
  };
}

const nodeOf = ({ node, name }: LayerFacts): string => node ?? name;
const noiseOf = (sqnr: number): number => (sqnr === Number.POSITIVE_INFINITY ? 0 : 10 ** (-sqnr / 10));
const decibels = (x: number): string => `${x.toFixed(1)} dB`;
const percent = (x: number): string =>
  `${x >= 0.1 ? Math.round(x * 100) : Number((x * 100).toPrecision(2))} %`;
const excluding = ({ node }: LayerFacts): string =>
  node === undefined ? 'keep its readers out with --exclude' : `keep it float with --exclude '${node}'`;
