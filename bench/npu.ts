/**
 * What NPU targets make of real models: whether the provider takes the whole graph, and how the outputs lie to the float
 * model's. One line a model and profile; what is left is named with its rule.
 *   npx tsx bench/npu.ts [--target npu-qnn] [--models resnet,kwt] [--profiles a8w8,a16w8] [--samples 8] [--eval]
 *     [--algorithms none] [--json file]
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { FixedInputs } from '../src/compile/fixed-inputs.js';
import { compile } from '../src/compile.js';
import { QuantcError } from '../src/errors/error.js';
import { type Precision, parsePrecision } from '../src/recipe.js';
import type { TargetReport } from '../src/report/report.js';
import { sharedPath } from '../test/shared.js';

interface Given {
  readonly dims?: Readonly<Record<string, number>>;
  readonly fix?: FixedInputs;
}

/** Every model, the profiles that it is held to, the sizes of its open dimensions, and inputs that become constants. */
const MODELS: Readonly<Record<string, Given & { readonly profiles: string }>> = {
  mobilenetv2: { profiles: 'a8w8,a16w8' },
  'resnet20-cifar': { profiles: 'a8w8,a16w8' },
  'resnet8-tiny': { profiles: 'a8w8,a16w8' },
  'mnist-opset8': { profiles: 'a8w8,a16w8' },
  'yolox-nano': { profiles: 'a8w8,a16w8' },
  'ultraface-rfb320': { profiles: 'a8w8,a16w8' },
  'ppocr-det': { profiles: 'a8w8,a16w8', dims: { 'x:2': 320, 'x:3': 320 } },
  'espcn-x3': { profiles: 'a8w8,a16w8' },
  'style-starry': { profiles: 'a8w8,a16w8', dims: { H: 160, W: 160 } },
  'qdq-mobilenetv2': { profiles: 'a8w8,a16w8' },
  magika: { profiles: 'a8w8,a16w8' },
  'kwt1-keyword': { profiles: 'a8w8,a16w8' },
  stories260k: { profiles: 'a16w8', dims: { T: 256 } },
  'shakewiki-3.4m': { profiles: 'a16w8', dims: { T: 256 } },
  'bert-tiny-messy': { profiles: 'a16w8' },
  'silero-vad': { profiles: 'a16w8', dims: { 'input:1': 576, 'state:1': 1 }, fix: { sr: 16000 } },
  'nsnet2-gru': { profiles: 'a16w8', dims: { T: 100 } },
};

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'npu-qnn' },
    models: { type: 'string' },
    profiles: { type: 'string' },
    samples: { type: 'string', default: '8' },
    eval: { type: 'boolean', default: false },
    algorithms: { type: 'string' },
    json: { type: 'string' },
    dim: { type: 'string', multiple: true },
  },
});

const decibels = (each: readonly (number | null)[] = []): string =>
  each.map((value) => (value === null ? 'equal' : value.toFixed(1))).join('/');
const score = (value: number): string => (value <= 1 ? `${(100 * value).toFixed(2)} %` : value.toFixed(3));

const wanted = values.models?.split(',');
const found: Record<string, unknown>[] = [];
for (const [name, { profiles, ...given }] of Object.entries(MODELS)) {
  if (wanted && !wanted.some((part) => name === part || (!(part in MODELS) && name.includes(part)))) continue;
  const folder = sharedPath('models', name);
  if (folder === undefined || !existsSync(join(folder, 'model.onnx'))) {
    console.log(`${name}: not here`);
    continue;
  }
  for (const profile of (values.profiles ?? profiles).split(',')) {
    const started = performance.now();
    const line = await tried(name, folder, parsePrecision(profile), given);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(`${name.padEnd(18)} ${profile.padEnd(6)} ${line.text}  (${seconds} s)`);
    for (const each of line.left) console.log(`    ${each}`);
    found.push({ model: name, profile, ...line });
  }
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(found, undefined, 1)}\n`);

async function tried(
  name: string,
  folder: string,
  precision: Precision,
  { dims, fix }: Given,
): Promise<{ text: string; left: string[]; report?: Partial<TargetReport> }> {
  const out = mkdtempSync(join(tmpdir(), 'quantc-npu-'));
  const given = values.dim?.map((each) => each.split('=') as [string, string]);
  const sizes = given ? Object.fromEntries(given.map(([dim, size]) => [dim, Number(size)])) : dims;
  try {
    const data = existsSync(join(folder, 'data.json')) ? folder : undefined;
    const [report] = await compile({
      model: join(folder, 'model.onnx'),
      targets: [values.target],
      precision,
      ...(data && { calib: data, ...(values.eval && { eval: data }) }),
      ...(sizes && { dims: sizes }),
      ...(fix && { fix }),
      ...(values.algorithms && { algorithms: values.algorithms.split(',') }),
      proofSamples: Number(values.samples),
      out,
    });
    const { verdict, proof, bytesBefore, bytesAfter } = report!;
    return {
      text: [
        ...report!.notes.filter(({ code }) => code === 'bits').map(({ message }) => message),
        `${verdict!.taken}/${verdict!.nodes} in ${verdict!.partitions.length}`,
        `size ${(bytesAfter / bytesBefore).toFixed(2)}`,
        `SQNR ${decibels(proof.spread?.map(({ integer }) => integer))}`,
        `as written ${decibels(proof.spread?.map(({ asWritten }) => asWritten))}`,
        `between ${decibels(proof.spread?.map(({ between }) => between))} dB`,
        ...(proof.evaluation
          ? [
              `${proof.evaluation.metric} ${score(proof.evaluation.float)} → ${score(proof.evaluation.quantized)}`,
            ]
          : []),
      ].join(', '),
      left: summed(verdict!.breaks),
      report: { proof, verdict, notes: report!.notes },
    };
  } catch (error) {
    if (!(error instanceof QuantcError)) throw error;
    return { text: `${name}: ${error.code} ${error.message}`, left: [] };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Rules that are broken, how often, and an example of each. */
function summed(breaks: NonNullable<TargetReport['verdict']>['breaks']): string[] {
  const rules = new Map<string, { count: number; example: string }>();
  for (const { rule, op, node, reason } of breaks) {
    const key = `${rule} ${op}`;
    const seen = rules.get(key);
    if (seen) seen.count += 1;
    else rules.set(key, { count: 1, example: `${node}: ${reason}` });
  }
  return [...rules].map(([key, { count, example }]) => `${count} × ${key}, as ${example}`);
}
