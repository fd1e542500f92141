/** One model for several named shapes: a graph each, and one file of weights that all of them read. */
import { basename, extname } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { shareData } from '../onnx/shared-data.js';
import type { TargetReport } from '../report/report.js';
import type { Target } from '../target/target.js';
import { Meeting } from './meeting.js';
import type { CompileRequest } from './request.js';
import { isShapeName } from './shape-name.js';
import { Staging } from './staging.js';

const usage = (code: string, message: string, hint?: string): QuantcError =>
  new QuantcError(code, message, { kind: 'usage', hint });

/** @throws QuantcError E_SHAPES_OPTIONS for what cannot be had for several shapes at once */
function refuse({ shapes = {}, budget, layout, dims = {} }: CompileRequest, target: Target): void {
  for (const [name, sizes] of Object.entries(shapes)) {
    if (!isShapeName(name)) throw usage('E_SHAPES_FORM', `"${name}" is no name for a shape`);
    const both = Object.keys(sizes).find((dim) => Object.hasOwn(dims, dim) && dims[dim] !== sizes[dim]);
    if (both !== undefined)
      throw usage(
        'E_DIM_CONFLICT',
        `dimension "${both}" has one size by --dim and another in shape "${name}"`,
      );
  }
  const why =
    budget !== undefined && budget.length > 0
      ? 'a budget chooses a mix of precisions for one graph'
      : layout !== undefined && layout !== 'flat'
        ? `the layout ${layout} has one graph a data type`
        : target.format !== undefined && target.format !== 'onnx'
          ? `${target.name} writes .${target.format} files, which hold their weights`
          : undefined;
  if (why)
    throw usage(
      'E_SHAPES_OPTIONS',
      `several shapes cannot be had: ${why}`,
      'Compile for one shape at a time, with --dim.',
    );
}

/** What `compileShapes` works with. */
export interface ShapesRun {
  readonly request: CompileRequest;
  readonly target: Target;
  readonly staging: Staging;
  compile(request: CompileRequest, staging: Staging, meeting: Meeting): Promise<TargetReport>;
}

/**
 * Compiles for every shape side by side. They meet over the ranges of their values, so that scales, zero points and
 * with them the weights are the same, and nothing else is fitted to data; then equal weights move into one file.
 * `{shape}` in the paths of data stands for the shape's name.
 * @returns a report a shape, in the order of the request
 * @throws QuantcError as `compile` does, of the first shape that failed
 */
export async function compileShapes({
  request,
  target,
  staging,
  compile,
}: ShapesRun): Promise<TargetReport[]> {
  refuse(request, target);
  const shapes = Object.entries(request.shapes!);
  const meeting = new Meeting(shapes.length);
  const folders = shapes.map(() => new Staging(request.out ?? 'dist'));
  const placed = (path: string | undefined, shape: string) => path?.replaceAll('{shape}', shape);
  try {
    const done = await Promise.allSettled(
      shapes.map(async ([shape, sizes], at) => {
        const own: CompileRequest = {
          ...request,
          shapes: undefined,
          shape,
          dims: { ...request.dims, ...sizes },
          calib: placed(request.calib, shape),
          eval: placed(request.eval, shape),
        };
        try {
          const report = await compile(own, folders[at]!, meeting);
          meeting.leave();
          return { ...report, shape };
        } catch (error) {
          meeting.leave(error);
          throw error;
        }
      }),
    );
    const errors = done.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    const first = errors.find((error) => (error as QuantcError).code !== 'E_SHAPES_OTHER') ?? errors[0];
    if (first !== undefined) throw first;
    const reports = done.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    for (const folder of folders) staging.take(folder);
    return await share(request, target, staging, reports);
  } finally {
    for (const folder of folders) folder.remove();
  }
}

/** Moves what the graphs have in common into one file, and says so in their reports. */
async function share(
  request: CompileRequest,
  target: Target,
  staging: Staging,
  reports: readonly TargetReport[],
): Promise<TargetReport[]> {
  const models = reports.map(({ files }) => files[0]!.path);
  const data = `${basename(request.model, extname(request.model))}.${target.name}.onnx_data`;
  const { bytes, apart } = await shareData(
    models.map((name) => staging.path(name)),
    staging.path(data),
  );
  const shared = await staging.add(data, [request.model]);
  const message = `${reports.length} graphs read ${data}: ${bytes} bytes, where files of their own would hold ${apart}`;
  return Promise.all(
    reports.map(async (report) => {
      const files = [await staging.facts(report.files[0]!.path), shared, ...report.files.slice(1)];
      return {
        ...report,
        files,
        bytesAfter: files.reduce((sum, each) => sum + each.bytes, 0),
        notes: [...report.notes, { level: 'info' as const, code: 'shapes-shared', message }],
      };
    }),
  );
}
