import { definePass, factKey, removeInput, type Value } from '../src/index.js';

/** Leave this fact as `true` to keep weights that callers may override as inputs. */
export const keepInputDefaults = factKey<boolean>('keep-input-defaults');

/** The first IR version in which an initializer need not be an input as well. */
const SEPARATE_IR = 4;
/** Names told before the rest is counted. */
const TOLD = 5;

/**
 * An input with an initializer is a weight that a caller may override, so nothing may be folded into it and it cannot be
 * quantized. Up to IR version 3 every initializer had to be an input, so the model's author chose nothing there.
 */
export const initializerInputs = definePass({
  name: 'initializer-inputs',
  doc: 'an input with a default value → a constant, no longer an input; equal for every caller that does not override it',
  run(model, context) {
    const defaults = model.graph.inputs.filter((input) => model.graph.initializers.has(input));
    if (defaults.length === 0) return;
    if (keepInputDefaults.find(context)) {
      for (const input of defaults) context.decline('stays an input that callers may override', input);
      return;
    }
    for (const input of defaults) {
      removeInput(input);
      context.changed('a constant, no longer an input', input);
    }
    const forced = model.irVersion < SEPARATE_IR;
    model.irVersion = Math.max(model.irVersion, SEPARATE_IR);
    const why = forced ? ', as IR version 3 made them' : '';
    context.ledger.note(
      forced ? 'info' : 'warning',
      'initializer-inputs',
      `callers can no longer override ${listed(defaults)}: ${defaults.length > 1 ? 'they were' : 'it was'} both input and initializer${why}`,
      'initializer-inputs',
    );
  },
});

function listed(values: readonly Value[]): string {
  const names = values.slice(0, TOLD).map((value) => `"${value.name}"`);
  return values.length > TOLD ? `${names.join(', ')} and ${values.length - TOLD} more` : names.join(', ');
}
