/**
 * Where a compiled model falls short, the method that docs/which-method.md goes on with, as the very command. Limits
 * and order are that page's.
 */
import { basename } from 'node:path';
import type { ModelKind } from '../recipe-kind.js';
import type { NextMethod } from '../report/next-method.js';
import type { Proof } from '../report/report.js';
import { isProfile } from '../target/profiled.js';
import type { CompileRequest } from './request.js';

/** Points of top-1, as a share of 1, and samples: both must be lost, since few samples tell nothing. */
const MOST_POINTS = 0.005;
const MOST_SAMPLES = 2;
/** Perplexity above the float model's, as a share. */
const MOST_PERPLEXITY = 0.01;
/** Outputs with less signal to noise than this, in dB, fall short where no labels say more. */
const LEAST_DECIBELS = 15;

/** What one compilation came to. */
export interface Outcome {
  readonly request: Pick<
    CompileRequest,
    | 'model'
    | 'calib'
    | 'eval'
    | 'algorithms'
    | 'budget'
    | 'weightMethod'
    | 'prune'
    | 'palettize'
    | 'paletteChannels'
    | 'dims'
    | 'fix'
    | 'kvCache'
    | 'half'
    | 'protect'
    | 'exclude'
  >;
  /** Name of the target, and whether a word on the command line is needed to say it. */
  readonly target: string;
  readonly precision: string;
  /** The weights, or weights and activations, are on grids that they were trained on. */
  readonly trained: boolean;
  readonly proof: Pick<Proof, 'evaluation' | 'outputs' | 'synthetic'>;
  /** Asked only where something falls short. */
  readonly kind: () => ModelKind;
}

/** @returns undefined where nothing falls short, nothing is known, or nothing is left to try */
export function nextMethod(outcome: Outcome): NextMethod | undefined {
  // A budget has its own say on what falls short, and its own way to go on.
  if ((outcome.request.budget ?? []).length > 0) return undefined;
  const because = shortfall(outcome.proof);
  const step = because === undefined ? undefined : stepFrom(outcome);
  return step && { because: because!, command: commandOf(step, outcome) };
}

/** What falls short. Labels decide where there are some; likeness on random samples says nothing. */
export function shortfall({ evaluation, outputs, synthetic }: Outcome['proof']): string | undefined {
  if (evaluation !== undefined) {
    const { metric, float, quantized, samples } = evaluation;
    if (metric === 'sqnr') return fewDecibels(quantized);
    if (metric === 'perplexity') {
      const share = quantized / float - 1;
      return share > MOST_PERPLEXITY ? `perplexity is ${percent(share)} above the float model's` : undefined;
    }
    const lost = float - quantized;
    if (!(lost > MOST_POINTS && Math.round(lost * samples) > MOST_SAMPLES)) return undefined;
    return `${metric} is ${(lost * 100).toFixed(1)} points below the float model's on ${samples} samples`;
  }
  if (synthetic) return undefined;
  return fewDecibels(Math.min(...outputs.map(({ sqnr }) => sqnr ?? Number.POSITIVE_INFINITY)));
}

const fewDecibels = (sqnr: number | null): string | undefined =>
  sqnr !== null && sqnr < LEAST_DECIBELS
    ? `outputs have ${sqnr.toFixed(1)} dB of signal to noise, less than ${LEAST_DECIBELS}`
    : undefined;
const percent = (share: number): string => `${(share * 100).toPrecision(2)} %`;

/** A command in pieces: for `compile`, options that take the place of those given; for `finetune`, how it trains. */
type Step =
  | { readonly verb: 'compile'; readonly options: readonly string[]; readonly needs?: readonly Data[] }
  | { readonly verb: 'finetune'; readonly options: readonly string[]; readonly suffix: string };
type Data = 'calib' | 'eval';

const compileWith = (options: readonly string[], needs: readonly Data[] = []): Step => ({
  ...{ verb: 'compile', options, needs },
});

function stepFrom(outcome: Outcome): Step | undefined {
  const { precision, request } = outcome;
  const { algorithms, prune, calib } = request;
  // What was taken away by hand comes back first.
  if (prune !== undefined) return pruneStep(prune, precision);
  if (request.palettize !== undefined) return paletteStep(request, precision);
  if (calib !== undefined && algorithms?.[0] === 'none' && !outcome.trained)
    return compileWith(['--precision', precision], ['calib']);
  if (precision === 'int8' || isProfile(precision)) return staticStep(outcome);
  if (['int8-dynamic', 'int8-weights'].includes(precision)) return floatStep(outcome);
  return BLOCKS.includes(precision) ? blockStep(outcome) : undefined;
}

const BLOCKS: readonly string[] = ['int4', 'int2', 'auto-weights'];

/** Pruning that counts what weights are multiplied with, and lets the others make up for what goes, loses least. */
function pruneStep(prune: string, precision: string): Step | undefined {
  const [method, ...much] = prune.split(':');
  if (method === 'sparsegpt') return undefined;
  return compileWith(['--precision', precision, '--prune', `sparsegpt:${much.join(':')}`], ['calib']);
}

/** Values chosen by what errors cost, then more palettes. */
function paletteStep(
  { palettize, paletteChannels, calib }: Outcome['request'],
  precision: string,
): Step | undefined {
  const asIs = ['--precision', precision, '--palettize', String(palettize)];
  if (calib === undefined) return compileWith(asIs, ['calib']);
  return paletteChannels === undefined
    ? compileWith([...asIs, '--palette-channels', '8'], ['calib'])
    : undefined;
}

/** Static integers: ranges from data, then another form that searches for ranges as it runs, or more bits, or training. */
function staticStep({ precision, request, trained, kind, proof }: Outcome): Step | undefined {
  if (request.calib === undefined && !trained) return compileWith(['--precision', precision], ['calib']);
  if (isProfile(precision) && precision !== 'a16w8') return compileWith(['--precision', 'a16w8'], ['calib']);
  if (precision === 'int8' && kind() !== 'convolutional')
    return compileWith(['--precision', 'int8-dynamic'], ['calib']);
  const metric = proof.evaluation?.metric;
  if (!trained && metric !== 'sqnr') return { verb: 'finetune', options: ['--static'], suffix: 'static' };
  if (precision !== 'int8') return undefined;
  // Mixes for likeness end up in float altogether: weights alone in integers answer nearly as well, in half of the bytes.
  return metric === 'top1'
    ? compileWith(['--budget', 'top1>=-0.5%'], ['calib', 'eval'])
    : compileWith(['--precision', 'int8-weights'], ['calib']);
}

/** Without static ranges it is the weights that lose: they are rounded over data; then activations stay float. */
function floatStep({ precision, request }: Outcome): Step | undefined {
  if (request.calib === undefined) return compileWith(['--precision', precision], ['calib']);
  if (precision === 'int8-dynamic') return compileWith(['--precision', 'int8-weights'], ['calib']);
  return compileWith(['--precision', 'fp16']);
}

/** Weights of few bits: rounded over data, then trained, then more bits where they count. */
function blockStep({ precision, request, trained, kind, proof }: Outcome): Step | undefined {
  const { calib, weightMethod } = request;
  const asIs = ['--precision', precision];
  const eightBits = compileWith(['--precision', 'int8-weights'], ['calib']);
  if (calib === undefined || (weightMethod !== undefined && !/^gptq/.test(weightMethod)))
    return compileWith(asIs, ['calib']);
  if (kind() !== 'language-model') return eightBits;
  if (!trained && precision !== 'auto-weights') {
    const bits = precision === 'int2' ? '2' : '4';
    return { verb: 'finetune', options: ['--bits', bits, '--own-texts', '256'], suffix: `w${bits}` };
  }
  if (precision !== 'auto-weights' && proof.evaluation?.metric === 'perplexity')
    return compileWith(['--precision', 'auto-weights', '--budget', 'perplexity<=1%'], ['calib', 'eval']);
  return eightBits;
}

function commandOf(step: Step, { request, target }: Outcome): string {
  const data = (kind: Data): string[] => [`--${kind}`, request[kind] ?? '<data>'];
  const where = target === 'cpu-x64' ? [] : ['--target', target];
  if (step.verb === 'compile') {
    const needs = new Set<Data>(step.needs);
    if (request.eval !== undefined) needs.add('eval');
    const options = [...where, ...step.options, ...carried(request), ...[...needs].flatMap(data)];
    return line(['compile', request.model, ...options]);
  }
  const out = `${basename(request.model, '.onnx')}-${step.suffix}.onnx`;
  const on = step.options.includes('--static') ? where : [];
  return line(['finetune', request.model, ...step.options, ...on, ...data('calib'), '--out', out]);
}

/** What was asked of the model itself, which another precision wants as well. */
function carried({
  dims = {},
  fix = {},
  kvCache,
  half,
  protect = [],
  exclude = [],
}: Outcome['request']): string[] {
  return [
    ...Object.entries(dims).flatMap(([name, size]) => ['--dim', `${name}=${size}`]),
    ...Object.entries(fix).flatMap(([name, value]) => ['--fix', `${name}=${value}`]),
    ...(kvCache ? ['--kv-cache'] : []),
    ...(half ? ['--half'] : []),
    ...protect.flatMap((pattern) => ['--protect', pattern]),
    ...exclude.flatMap((pattern) => ['--exclude', pattern]),
  ];
}

/** As a shell takes it. */
const line = (words: readonly string[]): string =>
  ['quantc', ...words]
    .map((word) => (/^[\w@%+=:,./-]+$|^<data>$/.test(word) ? word : quoted(word)))
    .join(' ');
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
