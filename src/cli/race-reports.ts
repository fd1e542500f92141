/** How long compiled files take, beside the float model: measured now, on this machine. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openData } from '../calibration/data.js';
import { syntheticData } from '../calibration/synthetic.js';
import { QuantcError } from '../errors/error.js';
import { readModel } from '../onnx/read.js';
import { nested } from '../prove.js';
import type { RacedLatency } from '../report/pareto.js';
import type { Report, TargetReport } from '../report/report.js';
import { race } from '../runtime/latency.js';

/** A report and the file that it was read from, beside which its models lie. */
export interface PlacedReport {
  readonly file: string;
  readonly report: Report;
}

const ROUNDS = 30;

/**
 * Races every .onnx of the reports that runs on the CPU against the float model, side by side on one sample.
 * @param float path of the float model
 * @param calib data that the sample is taken from; random without
 * @throws QuantcError E_REPORT_RACE where none of the compiled files lies beside its report
 */
export async function raceReports(
  reports: readonly PlacedReport[],
  float: string,
  calib?: string,
): Promise<Map<TargetReport, RacedLatency>> {
  const { inputs } = readModel(float).graph;
  const data = calib === undefined ? syntheticData(inputs) : await openData(calib, 'calib', inputs);
  const found = new Map<TargetReport, RacedLatency>();
  const files = reports.flatMap(({ file, report }) =>
    report.targets.flatMap((target) => {
      const path = join(dirname(file), target.files[0]?.path ?? '');
      return target.target.startsWith('cpu') && path.endsWith('.onnx') && existsSync(path)
        ? [{ target, path }]
        : [];
    }),
  );
  if (files.length === 0) {
    throw new QuantcError('E_REPORT_RACE', 'no compiled model for the CPU lies beside the report', {
      kind: 'usage',
      place: { file: reports[0]?.file },
      hint: 'Give the report in the folder that it was written to, with its models.',
    });
  }
  for await (const feeds of data.rebatched(1).first(1)) {
    for (const { target, path } of files) {
      const contenders = [
        { name: 'float', model: float },
        { name: 'ours', model: path, options: { extra: nested(target.session) } },
      ];
      const [first, second] = await race(contenders, [feeds], { rounds: ROUNDS });
      found.set(target, { float: first!.median, ours: second!.median });
    }
  }
  return found;
}
