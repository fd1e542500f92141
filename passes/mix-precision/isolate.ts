/** Which sources of error make the noise: by halves, since most models have a few that make nearly all of it. */
import type { Unit } from './units.js';

/**
 * Noise of each source by itself. Groups whose noise is below the floor are not taken apart: their sources share it
 * evenly.
 * @param measure noise of the outputs with these sources and no others
 */
export async function isolate(
  units: readonly Unit[],
  floor: number,
  measure: (units: readonly Unit[]) => Promise<number>,
): Promise<Map<Unit, number>> {
  const noises = new Map<Unit, number>();
  // Values and weights apart: a group of either is alike in what it costs to measure and in how large it is.
  const waiting = [units.filter(({ weight }) => !weight), units.filter(({ weight }) => weight)];
  for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
    if (group.length === 0) continue;
    const noise = await measure(group);
    if (group.length === 1 || noise < floor) {
      for (const unit of group) noises.set(unit, noise / group.length);
      continue;
    }
    const middle = group.length >> 1;
    waiting.push(group.slice(0, middle), group.slice(middle));
  }
  return noises;
}
