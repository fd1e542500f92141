import { Command } from 'commander';
import { canonicalModel } from '../../explain.js';
import { readModel } from '../../onnx/read.js';
import { printModel } from '../../text/print.js';
import { print } from '../terminal.js';

interface Options {
  readonly elide?: boolean;
  readonly canonical?: boolean;
  readonly types?: boolean;
}

export function make(): Command {
  return new Command('quantc print')
    .description(
      "Prints a model in ONNX's textual syntax. Printed whole, the text says everything that the model does.",
    )
    .argument('<model.onnx>', 'the model')
    .option('--elide', 'write constants over 256 bytes as a digest of their bytes')
    .option('--canonical', 'print the model as it is after the passes that change no result')
    .option('--no-types', 'leave out the types of inner values')
    .addHelpText(
      'after',
      `
Examples
  quantc print model.onnx --elide | less
  diff <(quantc print --elide a.onnx) <(quantc print --elide b.onnx)`,
    )
    .action(async (path: string, { elide, canonical, types }: Options) => {
      const model = canonical ? await canonicalModel(path) : readModel(path);
      print(printModel(model, { elide: elide ? 256 : Number.POSITIVE_INFINITY, types }));
    });
}
