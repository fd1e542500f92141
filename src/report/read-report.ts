import { readFileSync } from 'node:fs';
import { QuantcError } from '../errors/error.js';
import type { Report } from './report.js';

/** Reads a `quantc.report.json`. @throws QuantcError E_REPORT_READ where it is none */
export function readReport(file: string): Report {
  let cause: unknown;
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Partial<Report> | null;
    if (typeof report?.quantc === 'string' && Array.isArray(report.targets)) return report as Report;
  } catch (error) {
    cause = error;
  }
  throw new QuantcError('E_REPORT_READ', cause ? (cause as Error).message : 'it is no report of quantc', {
    place: { file },
    hint: 'Give the quantc.report.json that `quantc compile` wrote.',
    cause,
  });
}
