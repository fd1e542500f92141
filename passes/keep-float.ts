import { cloneModel, definePass, factKey, type ModelCopy } from '../src/index.js';

/** The float model as it was before anything in it was quantized, and for each of its values then the copy's. */
export const floatCopyFact = factKey<ModelCopy>('float-copy');

/** Structure alone is copied, constants are shared. */
export const keepFloat = definePass({
  name: 'keep-float',
  doc: 'keeps a copy of the float model, for later passes to compare with; edits nothing',
  run(model, context) {
    floatCopyFact.set(context, cloneModel(model));
  },
});
