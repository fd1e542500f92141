/** Palettes of a weight: one, or one for every few of its output channels. */
import { type PaletteChoice, paletteOf, type Tensor } from '../../src/index.js';

export interface GroupedPalette {
  /** 2^bits values a group, ascending. */
  readonly values: Float32Array;
  readonly groups: number;
  readonly channelsAGroup: number;
  /** The axis of the channels. */
  readonly axis: number;
  /** The weight's own values are all in it. */
  readonly lossless: boolean;
}

/** Costs count this much, of their mean, even where samples saw none. */
const LEAST_COST = 0.01;

/** @param costs what an error of each element costs; absent: all alike */
export function paletteFor(
  tensor: Tensor,
  axis: number,
  { bits, channels }: PaletteChoice,
  costs: Float64Array | undefined,
): GroupedPalette {
  const values = tensor.toFloat32();
  const all = tensor.shape[axis]!;
  const channelsAGroup = Math.min(channels ?? all, all);
  const groups = Math.ceil(all / channelsAGroup);
  const weights = costs && raised(costs);
  if (groups === 1) {
    const palette = paletteOf(values, bits, weights);
    return { values: palette.values, groups, channelsAGroup, axis, lossless: palette.lossless };
  }
  const entries = 2 ** bits;
  const joined = new Float32Array(groups * entries);
  const inner = tensor.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  let lossless = true;
  for (let group = 0; group < groups; group++) {
    const [from, to] = [group * channelsAGroup, Math.min(all, (group + 1) * channelsAGroup)];
    const places: number[] = [];
    for (let outer = 0; outer < values.length; outer += all * inner)
      for (let at = outer + from * inner; at < outer + to * inner; at++) places.push(at);
    const own = Float32Array.from(places, (at) => values[at]!);
    const palette = paletteOf(own, bits, weights && Float32Array.from(places, (at) => weights[at]!));
    joined.set(palette.values, group * entries);
    lossless &&= palette.lossless;
  }
  return { values: joined, groups, channelsAGroup, axis, lossless };
}

/** Nothing where nothing costs anything. */
function raised(costs: Float64Array): Float32Array | undefined {
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  if (!(mean > 0 && Number.isFinite(mean))) return undefined;
  return Float32Array.from(costs, (cost) => cost / mean + LEAST_COST);
}
