import {
  definePass,
  type Observation,
  placementOf,
  planFact,
  type Range,
  rangeChoicesFact,
  rangesFact,
  sourcesOf,
  type Value,
} from '../src/index.js';

/** Observes the range of every value that the plan quantizes with parameters of its own. */
export const calibrateRanges = definePass({
  name: 'calibrate-ranges',
  doc: 'run the float model over the calibration data and keep the range of every value that will be quantized',
  needs: ['planned'],
  gives: ['calibrated'],
  async run(model, context) {
    const wanted = new Set<Value>();
    for (const parameters of placementOf(planFact.get(context)).values.values()) {
      for (const value of sourcesOf(parameters)) wanted.add(value);
    }
    const observed: Map<Value, Observation> =
      wanted.size === 0 ? new Map() : await context.engine.observe(model, [...wanted]);
    rangesFact.set(context, observed);
    const choices = new Map<string, Map<Value, Range>>();
    for (const [value, { alternatives }] of observed) {
      for (const [method, range] of Object.entries(alternatives ?? {})) {
        if (!choices.has(method)) choices.set(method, new Map());
        choices.get(method)!.set(value, range);
      }
    }
    if (choices.size > 0) rangeChoicesFact.set(context, choices);
  },
});
