import { Command } from 'commander';
import { AUGMENTATIONS, type Augmentation } from '../../compile/finetune/augment.js';
import { type FinetuneReport, type FinetuneRequest, finetune } from '../../compile/finetune/finetune.js';
import { FREEZES } from '../../compile/finetune/plan.js';
import { STARTS, type StartMethod } from '../../compile/finetune/start.js';
import { QuantcError } from '../../errors/error.js';
import type { CurvePoint } from '../../training/curve.js';
import { TERNARY } from '../../training/fake-quant.js';
import { columns } from '../columns.js';
import { interruptible } from '../interrupt.js';
import { parseBytes, parseCount } from '../quantity.js';
import { heading, print, printJson } from '../terminal.js';

interface Options
  extends Omit<
    FinetuneRequest,
    'model' | 'bits' | 'blockSize' | 'start' | 'startFrom' | 'static' | 'blocks'
  > {
  readonly blocks?: boolean;
  readonly blockLayers?: number;
  readonly scaleSteps?: number;
  readonly start: StartMethod;
  readonly static?: boolean;
  readonly target: string;
  readonly bits?: number;
  readonly blockSize: number;
  readonly json?: boolean;
}

/** Lines of the curve that are shown while it runs. */
const SHOWN = 20;

export function make(): Command {
  return new Command('quantc finetune')
    .description(
      'Trains the weights of a float model on the grid of few bits that they will be stored on. The float model is the ' +
        'teacher, so no labels are needed; an eighth of the samples is held out and tells whether it helped. Written ' +
        'are the float model with weights that lie on their grids, and the grids.',
    )
    .argument('<model.onnx>', 'the float model')
    .option(
      '--calib <data>',
      'samples to train on, as for compile (default: texts that a decoder draws from itself)',
    )
    .option(
      '--own-texts <n>',
      'texts that a decoder draws from itself, beside --calib or alone (no labels are needed)',
      parseCount,
    )
    .requiredOption('--out <file>', 'the .onnx to write; its grids are written beside it')
    .option(
      '--bits <n>',
      'bits of weights: 2 to 8; 1.58, which is −1, 0 and 1; or 1, signs alone. The last two are stored in 2 ' +
        '(default: 4; with --static 8)',
      parseBits,
    )
    .option(
      '--static',
      'activations too, on the grids that the integer kernels of --target will have (static int8)',
    )
    .option('--target <name>', 'with --static: whose kernels', 'cpu')
    .option(
      '--augment <kinds>',
      `move pictures at random before each step: ${AUGMENTATIONS.join(', ')}, or both with a comma`,
      parseAugment,
    )
    .option('--block-size <n>', 'elements that share a scale; 0: one scale an output channel', parseBlock, 0)
    .option(
      '--freeze <set>',
      `weights that stay as they were rounded: ${FREEZES.join(', ')}; auto tries each and keeps the best`,
      parseFreeze,
      'auto',
    )
    .option(
      '--protect <what>',
      'keep weights in 8 or 16 bits: roles, layers or names, as for compile (ov:int8, lm-head); repeatable',
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option(
      '--start <method>',
      `where weights start: ${STARTS.join(', ')} (auto: gptq for products, rtn for convolutions)`,
      parseStart,
      'auto',
    )
    .option('--steps <n>', 'steps of training (default: by bits)', parseCount)
    .option('--rate <x>', 'highest learning rate (default: by bits)', parsePositive)
    .option('--batch <n>', 'samples a step', parseCount, 4)
    .option('--temperature <x>', 'of the distillation (default: 1)', parsePositive)
    .option('--labels <share>', 'share of labels (next tokens, classes) in the loss, 0 to 1', parseShare, 0)
    .option('--weight-decay <x>', 'decay of weights (default: none)', parsePositive)
    .option('--tables', 'tables of embeddings, and what --protect keeps in 16 bits, learn too')
    .option('--no-floats', 'gains of normalizations and biases stay as they are, instead of learning too')
    .option('--seed <n>', 'of the order of samples (default: 1)', parseCount)
    .option('--threads <n>', 'threads of a step', parseCount)
    .option(
      '--blocks',
      'train layer after layer, then the scales of all: for models too large to be trained whole (--steps: of each block)',
    )
    .option('--block-layers <n>', 'with --blocks: layers that are trained together (default: 1)', parseCount)
    .option(
      '--scale-steps <n>',
      'with --blocks: steps for the scales of all; 0: none (default: a quarter of --steps)',
      parseBlock,
    )
    .option('--max-memory <size>', 'most that training may take, by estimate (default: no limit)', parseBytes)
    .option('--checkpoint <folder>', 'where to keep what is needed to go on after being stopped')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc finetune decoder.onnx --calib data/ --out decoder-w3.onnx --bits 3
  quantc finetune decoder.onnx --calib data/ --own-texts 256 --out w4.onnx --protect lm-head:int8 --checkpoint run/
  quantc finetune cnn.onnx --calib data/ --out cnn-w4.onnx --bits 4 --batch 16
  quantc finetune cnn.onnx --calib data/ --out cnn-int8.onnx --static --batch 32
  quantc finetune cnn.onnx --calib data/ --out cnn-a8w4.onnx --static --bits 4 --augment flip,shift --batch 32
  quantc finetune large.onnx --calib data/ --out large-w3.onnx --bits 3 --blocks --max-memory 8GiB
  quantc compile cnn-a8w4.onnx --target cpu     (takes the grids that lie beside it; no samples are needed)

Next: quantc compare decoder.onnx decoder-w3.onnx --eval data/`,
    )
    .action(run);
}

const parseBlock = (text: string): number => (text.trim() === '0' ? 0 : parseCount(text));

function parsePositive(text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new QuantcError('E_CLI_VALUE', `"${text}" is no positive number`, { kind: 'usage' });
}

function parseShare(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number <= 1) return number;
  throw new QuantcError('E_CLI_VALUE', `"${text}" is no number from 0 to 1`, { kind: 'usage' });
}

function parseAugment(text: string): Augmentation[] {
  return text.split(',').map((each) => {
    const found = AUGMENTATIONS.find((kind) => kind === each.trim());
    if (found !== undefined) return found;
    throw new QuantcError('E_CLI_VALUE', `there is no way "${each}" to move pictures`, {
      kind: 'usage',
      hint: `Ways: ${AUGMENTATIONS.join(', ')}.`,
    });
  });
}

function parseStart(text: string): StartMethod {
  const found = STARTS.find((each) => each === text);
  if (found !== undefined) return found;
  throw new QuantcError('E_CLI_VALUE', `weights cannot start from "${text}"`, {
    kind: 'usage',
    hint: `Starts: ${STARTS.join(', ')}.`,
  });
}

function parseBits(text: string): number {
  return text === String(TERNARY) ? TERNARY : parseCount(text);
}

function parseFreeze(text: string): FinetuneRequest['freeze'] {
  const found = (['auto', ...FREEZES] as const).find((each) => each === text);
  if (found !== undefined) return found;
  throw new QuantcError('E_CLI_VALUE', `there is no set "${text}" to freeze`, {
    kind: 'usage',
    hint: `Sets: auto, ${FREEZES.join(', ')}.`,
  });
}

async function run(model: string, options: Options): Promise<void> {
  const { json, blockSize, start, static: isStatic = false, target, bits = isStatic ? 8 : 4 } = options;
  const { blocks, blockLayers: layers, scaleSteps } = options;
  const blockwise = blocks === true || layers !== undefined || scaleSteps !== undefined;
  const onStep = ({ step, loss, norm, rate }: CurvePoint, phase: string, steps: number): void => {
    if (json || (step % Math.max(1, Math.floor(steps / SHOWN)) !== 0 && step !== steps - 1)) return;
    process.stderr.write(
      `${phase}  step ${step + 1}/${steps}  loss ${number(loss)}  gradient ${number(norm)}  rate ${number(rate)}\n`,
    );
  };
  const report = await interruptible((signal) =>
    finetune({
      ...options,
      ...{ model, bits, start: undefined, startFrom: start },
      static: isStatic ? target : undefined,
      blockSize: blockSize > 0 ? blockSize : undefined,
      blocks: blockwise ? { layers, scaleSteps } : undefined,
      signal,
      onStep,
    }),
  );
  if (json) printJson(report);
  else print(text(report));
}

const number = (value: number): string => value.toPrecision(4);

function text(report: FinetuneReport): string {
  const { bits, blockSize, freeze, heldOut, samples, trials, weights, files, static: on } = report;
  const grid = blockSize ? `blocks of ${blockSize}` : 'one scale a channel';
  const kept = weights.filter(({ frozen }) => frozen).length;
  const { blockwise } = report;
  const rows = [
    ['as training began', number(heldOut.before)],
    ['trained', number(heldOut.after)],
    ...trials.map((trial) => [`trial, freezing ${trial.freeze}`, number(trial.heldOut)]),
  ];
  return [
    heading(`${report.model}: ${weights.length} weights of ${bits} bits, ${grid}`),
    ...(on ? [`activations on ${on.grids} grids, as ${on.precision} of ${on.target} has them`] : []),
    `freeze ${freeze}: ${kept} held, ${weights.length - kept} trained on ${samples.trained} samples`,
    `\nloss on ${samples.heldOut} samples held out`,
    columns(rows),
    ...(blockwise ? blockwiseText(blockwise) : []),
    `\nwritten: ${files.model}, ${files.manifest}, ${files.arrays}, ${files.picture}\n`,
  ].join('\n');
}

/** Blocks by their numbers, and what they lost before and after. */
function blockwiseText({ blocks, scales }: NonNullable<FinetuneReport['blockwise']>): string[] {
  const cells = ({ before, after }: { before: number; after: number }, taken: boolean): string[] => [
    number(before),
    number(after),
    taken ? '' : 'left as it began',
  ];
  const rows = blocks.map(({ weights, heldOut, taken }, at) => [
    `${at + 1}`,
    `${weights.length}`,
    ...cells(heldOut, taken),
  ]);
  const together = 'skipped' in scales ? undefined : ['scales', '', ...cells(scales.heldOut, scales.taken)];
  return [
    blocks.length === 1 ? '\none block: the model cannot be cut' : `\n${blocks.length} blocks`,
    columns([['block', 'weights', 'before', 'after', ''], ...rows, ...(together ? [together] : [])]),
    ...('skipped' in scales ? [`scales were not trained together: ${scales.skipped}`] : []),
  ];
}
