/** The one composition root: a model file goes in; for each target, a proven file and its report come out. */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { originalNames } from '../passes/shorten-names.js';
import { resolveTargets } from '../targets/index.js';
import { type CalibrateOptions, calibrate } from './calibration/calibrate.js';
import { openData } from './calibration/data.js';
import type { DataSet } from './calibration/dataset.js';
import { syntheticData } from './calibration/synthetic.js';
import { QuantcError } from './errors/error.js';
import { cloneModel } from './ir/clone.js';
import type { Model, Node, Value } from './ir/graph.js';
import { KernelPool } from './kernels/pool.js';
import { readModel } from './onnx/read.js';
import { writeModel } from './onnx/write.js';
import { Ledger } from './pipeline/ledger.js';
import type { Engine, Pass } from './pipeline/pass.js';
import { type PassEvent, runPipeline } from './pipeline/run.js';
import { prove } from './prove.js';
import { type Precision, recipeFor } from './recipe.js';
import type { FileFacts, Proof, TargetReport } from './report/report.js';
import { createEngine } from './runtime/engine.js';
import { exclusionFact, type Range, targetFact } from './target/facts.js';
import type { Target } from './target/target.js';

/** What to compile, for whom, and how. */
export interface CompileRequest {
  /** Path of an .onnx file. It is never written to. */
  readonly model: string;
  /** Names of built-in targets or aliases (`cpu`), or targets of your own. Default `cpu`. */
  readonly targets?: readonly (string | Target)[];
  /** Default `auto`. */
  readonly precision?: Precision;
  /** Data for calibration and for evaluation; see `openData`. */
  readonly calib?: string;
  readonly eval?: string;
  /** Folder for the outputs, made when absent. Default `dist`. */
  readonly out?: string;
  /** Names or opTypes (with `*`) of nodes that stay float. A pattern that matches nothing is an error. */
  readonly exclude?: readonly string[];
  /** Bytes that the compilation may hold at once. Default 1 GiB. */
  readonly maxMemory?: number;
  /** Threads of every engine inside; the bytes do not depend on it. */
  readonly threads?: number;
  /** Samples of the calibration data that the proof compares outputs on. Default 16. */
  readonly proofSamples?: number;
  /** Warnings become errors. */
  readonly strict?: boolean;
  readonly onEvent?: (event: CompileEvent) => void;
}

/** What a watcher is told while a compilation runs. */
export type CompileEvent =
  | {
      readonly kind: 'stage';
      readonly target: string;
      readonly stage: 'read' | 'rewrite' | 'write' | 'prove';
    }
  | { readonly kind: 'pass'; readonly target: string; readonly event: PassEvent; readonly model: Model }
  | { readonly kind: 'bytes'; readonly target: string; readonly done: number; readonly total: number };

type Stage = Extract<CompileEvent, { kind: 'stage' }>['stage'];

/** Version of quantc, as written into the model and the report. */
export const VERSION = '0.1.0';

/** Float weights, int8 weights, and what executors keep packed beside them. */
const PROOF_FACTOR = 2.5;
const DEFAULT_MEMORY = 1 << 30;
const PROOF_SAMPLES = 16;

/**
 * Compiles one model for each target.
 * @returns a report a target; the files it names are in `out`, whole, or were not written at all.
 * @throws QuantcError with kind `input` or `usage` for what is wrong with the request, `proof` when the emitted model
 * does not do what the plan promised.
 */
export async function compile(request: CompileRequest): Promise<TargetReport[]> {
  const targets = resolveRequested(request.targets ?? ['cpu']);
  const reports: TargetReport[] = [];
  for (const target of targets) reports.push(await compileFor(target, request));
  return reports;
}

function resolveRequested(wanted: readonly (string | Target)[]): Target[] {
  const own = wanted.filter((each): each is Target => typeof each !== 'string');
  return resolveTargets(
    wanted.map((each) => (typeof each === 'string' ? each : each.name)),
    own,
  );
}

async function compileFor(target: Target, request: CompileRequest): Promise<TargetReport> {
  const tell = request.onEvent ?? (() => {});
  const stage = (name: Stage) => tell({ kind: 'stage', target: target.name, stage: name });
  stage('read');
  const model = readModel(request.model);
  const bytesBefore = bytesOf(request.model, model);
  const ledger = new Ledger();
  const calib =
    request.calib === undefined ? undefined : openData(request.calib, 'calib', model.graph.inputs);
  const evaluation =
    request.eval === undefined ? undefined : openData(request.eval, 'eval', model.graph.inputs);
  const precision = choosePrecision(request.precision ?? 'auto', calib);
  const samples = calib ?? evaluation ?? randomSamples(model, precision, ledger);

  stage('rewrite');
  const recipe = recipeFor(precision);
  const maxMemory = request.maxMemory ?? DEFAULT_MEMORY;
  const engine: Engine = {
    ...createEngine(),
    observe: (at, values) =>
      observeRanges(at, values, calib ?? samples, { maxMemory: maxMemory / 4, threads: request.threads }),
  };
  const facts = new Map<string, unknown>();
  targetFact.set({ facts }, target);
  const onPass = (event: PassEvent, at: Model) =>
    tell({ kind: 'pass', target: target.name, event, model: at });
  const run = (passes: readonly Pass[]) => runPipeline(model, passes, { engine, ledger, facts, onPass });
  await run(recipe.canonicalize);
  exclusionFact.set({ facts }, exclusionOf(model, request.exclude ?? []));
  for (const graph of model.graphs()) for (const node of graph.nodes()) ledger.record(node, {});
  const before = cloneModel(model).model;
  await run(recipe.quantize);
  const after = cloneModel(model).model;
  await run(recipe.finish);
  model.producerName = 'quantc';
  model.producerVersion = VERSION;

  stage('write');
  const out = resolve(request.out ?? 'dist');
  const name = `${basename(request.model, extname(request.model))}.${target.name}.onnx`;
  mkdirSync(out, { recursive: true });
  refuseOverwrite(request.model, join(out, name));
  const staging = mkdtempSync(join(out, '.quantc-'));
  const pool = new KernelPool({ threads: request.threads, maxMemory: maxMemory / 4 });
  try {
    const written = await writeModel(model, join(staging, name), {
      ...pool.writing,
      valueInfo: 'none',
      onProgress: (done, total) => tell({ kind: 'bytes', target: target.name, done, total }),
    });
    stage('prove');
    const threads = request.threads;
    const proof = await withinMemory(maxMemory, bytesBefore, ledger, samples, (present) =>
      prove({
        target,
        float: request.model,
        emitted: join(staging, name),
        before,
        after,
        samples: present.first(request.proofSamples ?? PROOF_SAMPLES),
        ...(evaluation && { evaluation }),
        ledger,
        threads,
      }),
    );
    checkStrict(request.strict ?? false, ledger, proof);
    const files: FileFacts[] = [];
    for (const file of written.files) {
      files.push({ path: basename(file.path), bytes: file.bytes, sha256: await digestOf(file.path) });
    }
    for (const file of files) renameSync(join(staging, file.path), join(out, file.path));
    return {
      model: basename(request.model),
      target: target.name,
      precision,
      opset: model.opset,
      bytesBefore,
      bytesAfter: files.reduce((sum, file) => sum + file.bytes, 0),
      files,
      session: target.session,
      remarks: target.remarks ?? [],
      proof,
      ledger: ledger.rows,
      notes: ledger.notes,
      names: Object.fromEntries(originalNames.find({ facts }) ?? []),
    };
  } finally {
    await pool.close();
    rmSync(staging, { recursive: true, force: true });
  }
}

function choosePrecision(wanted: Precision, calib: DataSet | undefined): Exclude<Precision, 'auto'> {
  if (wanted === 'auto') return calib ? 'int8' : 'int8-dynamic';
  return wanted;
}

/** Ranges over the data that there are. @throws QuantcError E_CALIBRATION_MISSING, E_CALIBRATION_VALUE */
async function observeRanges(
  model: Model,
  values: readonly Value[],
  data: DataSet | undefined,
  options: CalibrateOptions,
): Promise<Map<Value, Range>> {
  if (data === undefined) {
    throw new QuantcError('E_CALIBRATION_MISSING', 'static int8 needs calibration data', {
      kind: 'usage',
      hint: 'Give data with --calib, or choose --precision int8-dynamic.',
    });
  }
  return calibrate(model, values, data, {
    ...options,
    onSkip: (value, reason) => {
      throw new QuantcError('E_CALIBRATION_VALUE', `a value to quantize cannot be observed: ${reason}`, {
        place: { value: value.name },
      });
    },
  });
}

/** Without data the proof still runs the model, on random feeds; static ranges from them are a guess and say so. */
function randomSamples(model: Model, precision: Precision, ledger: Ledger): DataSet | undefined {
  try {
    const samples = syntheticData(model.graph.inputs);
    if (precision === 'int8') {
      ledger.note(
        'warning',
        'W_CALIBRATION_SYNTHETIC',
        'no calibration data: activation ranges come from random feeds, so accuracy is not to be trusted',
      );
    }
    return samples;
  } catch (error) {
    if (!(error instanceof QuantcError) || error.code !== 'E_DATA_SYNTHETIC' || precision === 'int8')
      throw error;
    ledger.note('warning', 'W_PROOF_FEEDS', `no data and none can be drawn: ${error.message}`);
    return undefined;
  }
}

/** Proof holds the float model and the emitted one at once: where that is over the ceiling, it says so instead. */
async function withinMemory(
  maxMemory: number,
  bytesBefore: number,
  ledger: Ledger,
  samples: DataSet | undefined,
  run: (samples: DataSet) => Promise<Proof>,
): Promise<Proof> {
  const needed = bytesBefore * PROOF_FACTOR;
  if (samples !== undefined && needed <= maxMemory) return run(samples);
  const reason =
    samples === undefined
      ? 'there are no feeds to run the model on'
      : `running both models needs about ${megabytes(needed)}, over the ceiling of ${megabytes(maxMemory)}`;
  ledger.note('warning', 'W_PROOF_SKIPPED', reason);
  return {
    status: 'skipped',
    reason,
    executor: '',
    samples: 0,
    synthetic: false,
    outputs: [],
    kernels: {},
    broken: [],
  };
}

/** Nodes whose name or opType matches a pattern stay float. @throws QuantcError E_EXCLUDE_NOTHING */
function exclusionOf(model: Model, patterns: readonly string[]): (node: Node) => string | undefined {
  const tests = patterns.map((pattern) => ({
    pattern,
    test: new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`),
  }));
  const matches = (node: Node) =>
    tests.find(({ test }) => test.test(node.name) || test.test(node.opType))?.pattern;
  const all = [...model.graphs()].flatMap((graph) => [...graph.nodes()]);
  for (const { pattern, test } of tests) {
    if (all.some((node) => test.test(node.name) || test.test(node.opType))) continue;
    throw new QuantcError('E_EXCLUDE_NOTHING', `the pattern "${pattern}" matches no node`, {
      kind: 'usage',
      hint: `Names are as in: ${all
        .slice(0, 5)
        .map((node) => node.label)
        .join(', ')} …; \`quantc print\` shows them all.`,
    });
  }
  return (node) => {
    const pattern = matches(node);
    return pattern === undefined ? undefined : `kept float by the pattern "${pattern}"`;
  };
}

function refuseOverwrite(input: string, output: string): void {
  if (!existsSync(output) || realpathSync(output) !== realpathSync(input)) return;
  throw new QuantcError('E_OUT_IS_INPUT', `the output would overwrite the input ${input}`, {
    kind: 'usage',
    place: { file: input },
    hint: 'Choose another folder with --out.',
  });
}

/** @throws QuantcError E_STRICT when a warning was noted, E_PROOF when the proof failed (strict or not). */
function checkStrict(strict: boolean, ledger: Ledger, proof: Proof): void {
  if (proof.status === 'failed') {
    const { node, promised, found } = proof.broken[0]!;
    throw new QuantcError(
      'E_PROOF',
      `${proof.reason}: ${node} was promised ${promised} and runs as ${found}`,
      {
        kind: 'proof',
        place: { node },
        hint: "Exclude the node, or report it: the target's table is wrong for this graph.",
      },
    );
  }
  const warning = ledger.notes.find((note) => note.level === 'warning');
  if (strict && warning) {
    throw new QuantcError('E_STRICT', `${warning.code}: ${warning.message}`, { kind: 'proof' });
  }
}

/** The file and everything it reads from beside it. */
function bytesOf(path: string, model: Model): number {
  const beside = new Set<string>();
  for (const graph of model.graphs()) {
    for (const value of graph.initializers) {
      const source = value.constant!.source;
      if (source.kind === 'file' && resolve(source.path) !== resolve(path)) beside.add(source.path);
    }
  }
  return [path, ...beside].reduce((sum, each) => sum + statSync(each).size, 0);
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
