import { definePass, placementOf, planFact, rangesFact, type Value } from '../src/index.js';

/** Observes the range of every value that the plan quantizes with parameters of its own. */
export const calibrateRanges = definePass({
  name: 'calibrate-ranges',
  doc: 'run the float model over the calibration data and keep the range of every value that will be quantized',
  needs: ['planned'],
  gives: ['calibrated'],
  async run(model, context) {
    const wanted = new Set<Value>();
    for (const parameters of placementOf(planFact.get(context)).values.values()) {
      if (parameters.kind === 'range') wanted.add(parameters.of);
    }
    rangesFact.set(context, wanted.size === 0 ? new Map() : await context.engine.observe(model, [...wanted]));
  },
});
