/**
 * What a chip may make of a graph of Q and DQ, bounded without the chip: the same file is run with integer kernels where
 * ONNX Runtime's CPU has them, and as written, in float between Q and DQ. The two round at different places, as any chip
 * does again.
 */
import type { DataSet } from '../calibration/dataset.js';
import type { SpreadFigures } from '../report/report.js';
import { type Comparison, compareOutputs } from '../runtime/compare.js';
import type { SessionOptions } from '../runtime/session.js';

/** @param integer how the emitted file lies to the float one with integer kernels */
export async function spreadOf(
  {
    float,
    emitted,
    samples,
  }: { readonly float: string; readonly emitted: string; readonly samples: DataSet },
  integer: readonly Comparison[],
  reference: SessionOptions,
  candidate: SessionOptions,
): Promise<SpreadFigures[]> {
  const asWritten: SessionOptions = { ...candidate, optimization: 'off' };
  const written = await compareOutputs(float, emitted, samples, { reference, candidate: asWritten });
  const between = await compareOutputs(emitted, emitted, samples, { reference: asWritten, candidate });
  return integer.map(({ name, sqnr, identical }, index) => ({
    name,
    integer: figure({ sqnr, identical }),
    asWritten: figure(written[index]!),
    between: figure(between[index]!),
  }));
}

const figure = ({ sqnr, identical }: Pick<Comparison, 'sqnr' | 'identical'>): number | null =>
  identical ? null : sqnr;
