import {
  definePass,
  givenGridsFact,
  type Observation,
  placementOf,
  planFact,
  type Range,
  rangeChoicesFact,
  rangesFact,
  sourcesOf,
  type Value,
} from '../src/index.js';

/**
 * Observes the range of every value that the plan quantizes with parameters of its own. Ranges that came with the model,
 * since it was trained on them, are taken as they are.
 */
export const calibrateRanges = definePass({
  name: 'calibrate-ranges',
  doc: 'run the float model over the calibration data and keep the range of every value that will be quantized',
  needs: ['planned'],
  gives: ['calibrated'],
  async run(model, context) {
    const wanted = new Set<Value>();
    const given = givenGridsFact.find(context)?.activations;
    const known = new Map<Value, Range>();
    for (const parameters of placementOf(planFact.get(context)).values.values()) {
      for (const value of sourcesOf(parameters)) {
        const trained = given?.get(value.name);
        if (value.isConstant) known.set(value, rangeOfConstant(value));
        else if (trained !== undefined) known.set(value, trained);
        else wanted.add(value);
      }
    }
    const found: Map<Value, Observation> =
      wanted.size === 0 ? new Map() : await context.engine.observe(model, [...wanted]);
    const observed = new Map([...found].map(([value, seen]) => [value, clipped(value, seen)]));
    rangesFact.set(context, new Map<Value, Range>([...observed, ...known]));
    const choices = new Map<string, Map<Value, Range>>();
    for (const [value, { alternatives }] of observed) {
      for (const [method, range] of Object.entries(alternatives ?? {})) {
        if (!choices.has(method)) choices.set(method, new Map(known));
        choices.get(method)!.set(value, range);
      }
    }
    if (choices.size > 0) rangeChoicesFact.set(context, choices);
  },
});

/** Of a table whose entries are only moved. */
function rangeOfConstant({ constant }: Value): Range {
  let [min, max] = [0, 0];
  for (const each of constant!.toFloat32()) {
    if (each < min) min = each;
    else if (each > max) max = each;
  }
  return { min, max };
}

/** Ranges are rounded outwards; what a Clip gives ends where it clips. */
function clipped(value: Value, seen: Observation): Observation {
  const clip = value.producer;
  if (!clip?.is('Clip')) return seen;
  const bound = (index: number, otherwise: number): number =>
    clip.inputs[index]?.constant?.toNumbers()[0] ?? otherwise;
  const [least, most] = [bound(1, Number.NEGATIVE_INFINITY), bound(2, Number.POSITIVE_INFINITY)];
  const within = ({ min, max }: Range): Range => ({ min: Math.max(min, least), max: Math.min(max, most) });
  const alternatives =
    seen.alternatives &&
    Object.fromEntries(Object.entries(seen.alternatives).map(([method, range]) => [method, within(range)]));
  return { ...within(seen), ...(alternatives && { alternatives }) };
}
