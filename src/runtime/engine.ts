import { QuantcError } from '../errors/error.js';
import type { Engine } from '../pipeline/pass.js';
import { evaluate } from './fold.js';
import { inferTypes } from './types.js';

/**
 * The pipeline's engine on ONNX Runtime, which is loaded when a pass first needs it. It has no calibration data:
 * whoever has replaces `observe`.
 */
export function createEngine(): Engine {
  return {
    async inferTypes(model) {
      await inferTypes(model);
    },
    evaluate,
    async observe() {
      throw new QuantcError('E_CALIBRATION_MISSING', 'ranges are wanted, but there are no calibration data', {
        kind: 'usage',
        hint: 'Give data with --calib, or choose --precision int8-dynamic.',
      });
    },
  };
}
