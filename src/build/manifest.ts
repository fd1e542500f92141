/** `manifest.json`: what an app needs to know of what was built, to load it and to tell one build from another. */
import { basename } from 'node:path';
import type { TargetReport } from '../report/report.js';
import type { ProviderName } from '../target/target.js';
import type { StoredFile } from './store.js';

export const MANIFEST_NAME = 'manifest.json';

/** One compiled model. Paths are relative to the manifest. */
export interface ManifestTarget {
  /** The model itself; what it reads lies beside it. */
  readonly file: string;
  readonly files: readonly StoredFile[];
  readonly precision: string;
  /** Bytes of all files, and of the float model. */
  readonly bytes: number;
  readonly bytesBefore: number;
  /** Session options that the file wants. */
  readonly session: Readonly<Record<string, string>>;
  /** Execution provider that the session must name, where it is not the CPU. */
  readonly provider?: ProviderName;
  readonly proof: string;
  /** What was scored: the metric, and what the float model and this one came to. */
  readonly metric?: { readonly name: string; readonly float: number; readonly quantized: number };
}

export interface BuildManifest {
  readonly quantc: string;
  readonly models: Readonly<Record<string, Readonly<Record<string, ManifestTarget>>>>;
  /** Typed bindings, where they were asked for. */
  readonly bindings?: readonly StoredFile[];
}

/** @param files of the target, by their paths from the manifest */
export function manifestTarget(report: TargetReport, files: readonly StoredFile[]): ManifestTarget {
  const model = basename(report.files[0]!.path);
  const { evaluation } = report.proof;
  return {
    file: files.find(({ path }) => basename(path) === model)!.path,
    files,
    precision: report.precision,
    bytes: report.bytesAfter,
    bytesBefore: report.bytesBefore,
    session: report.session,
    ...(report.provider !== undefined && { provider: report.provider }),
    proof: report.proof.status,
    ...(evaluation && {
      metric: { name: evaluation.metric, float: evaluation.float, quantized: evaluation.quantized },
    }),
  };
}
