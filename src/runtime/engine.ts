import { QuantcError } from '../errors/error.js';
import type { Engine } from '../pipeline/pass.js';
import { evaluate } from './fold.js';
import { type ObserveOptions, observe } from './observe.js';
import { inferTypes } from './types.js';

export interface EngineOptions {
  /** What calibration runs on. Without it, passes that calibrate fail. */
  readonly calibration?: ObserveOptions;
}

/** The pipeline's engine on ONNX Runtime, which is loaded when a pass first needs it. */
export function createEngine(options: EngineOptions = {}): Engine {
  return {
    async inferTypes(model) {
      await inferTypes(model);
    },
    evaluate,
    async observe(model, values) {
      if (options.calibration === undefined) {
        throw new QuantcError(
          'E_CALIBRATION_MISSING',
          'ranges are wanted, but there are no calibration data',
          {
            kind: 'usage',
            hint: 'Give data with --calib, or choose --precision int8-dynamic.',
          },
        );
      }
      const watchers = await observe(model, values, options.calibration);
      return new Map([...watchers].map(([value, watcher]) => [value, watcher.extremes()]));
    },
  };
}
