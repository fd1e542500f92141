import { Command } from 'commander';
import type { DimSizes } from '../../compile/dims.js';
import { explain } from '../../explain.js';
import { parsePrecision } from '../../recipe.js';
import { everyNode, grouped } from '../ledger-text.js';
import { collect, collectDims } from '../option.js';
import { heading, print, printJson } from '../terminal.js';
import { passTracer } from '../trace.js';

interface Options {
  readonly target: string;
  readonly precision: ReturnType<typeof parsePrecision>;
  readonly exclude?: readonly string[];
  readonly dim?: DimSizes;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc explain')
    .description(
      'Says which kernel of the target takes each node, and of every other node why it stays float. It goes by the ' +
        "target's table and costs; no data are needed and nothing is written.",
    )
    .argument('<model.onnx>', 'the model')
    .option('--target <name>', 'target to explain for; `quantc targets` lists them', 'cpu')
    .option(
      '--precision <kind>',
      'as for compile; auto is int8, or int4 for targets beside the CPU',
      parsePrecision,
      'auto',
    )
    .option(
      '--exclude <pattern>',
      'name or operator of nodes that stay float; * stands for anything',
      collect,
    )
    .option('--dim <name=size>', 'as for compile; may be repeated', collectDims)
    .option('--all', 'a row for every node, in graph order')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc explain model.onnx --target cpu
  quantc explain model.onnx --precision int8-dynamic --all
  quantc explain model.onnx --json | jq '.nodes[] | select(.precision == "float")'

Next: quantc compile model.onnx --target cpu --calib <data>`,
    )
    .action(async (path: string, options: Options) => {
      const { target, exclude, precision, dim: dims } = options;
      const onPass = passTracer(target);
      const found = await explain({
        model: path,
        target,
        precision,
        exclude,
        dims,
        ...(onPass && { onPass }),
      });
      if (options.json) return printJson(found);
      print(heading(`${found.model} for ${found.target}, ${found.precision}`));
      print(options.all ? everyNode(found.nodes) : `\n${grouped(found.nodes)}`);
      for (const note of found.notes) print(`${note.level}: ${note.message} (${note.code})`);
      if (!options.all) print('\n--all shows every node.');
    });
}
