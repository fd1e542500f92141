import { Command } from 'commander';
import { loadPlugins } from '../../build/load-plugins.js';
import { resolveRequested } from '../../compile/each-target.js';
import { plugIn } from '../../compile/plugged.js';
import { coverageRefusal } from '../../compile/provider-verdict.js';
import type { Specialization } from '../../compile/specialize.js';
import { QuantcError } from '../../errors/error.js';
import { type Explanation, explain } from '../../explain.js';
import { parsePrecision } from '../../recipe.js';
import type { Target } from '../../target/target.js';
import { columns } from '../columns.js';
import { failureJson, failureText, toldOf } from '../failure.js';
import { everyNode, grouped } from '../ledger-text.js';
import { collect, collectDims, collectFixed } from '../option.js';
import { parseCount } from '../quantity.js';
import { heading, print, printJson } from '../terminal.js';
import { passTracer } from '../trace.js';
import { coverageText, verdictText } from '../verdict-text.js';

interface Options {
  readonly target: string;
  readonly precision: ReturnType<typeof parsePrecision>;
  readonly exclude?: readonly string[];
  readonly dim?: Specialization['dims'];
  readonly fix?: Specialization['fix'];
  readonly unroll?: number;
  readonly plugin?: readonly string[];
  readonly asIs?: boolean;
  readonly strict?: boolean;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function make(): Command {
  return new Command('quantc explain')
    .description(
      'Says which kernel of the target takes each node, and of every other node why it stays float. It goes by the ' +
        "target's table and costs; no data are needed and nothing is written. Of a mobile target it also says what its " +
        'provider takes, into how many partitions it cuts the graph, and of every node that it leaves which rule it ' +
        'breaks, where that stands, and what mends it.',
    )
    .argument('<model.onnx>', 'the model')
    .option('--target <name>', 'target to explain for; `quantc targets` lists them', 'cpu')
    .option(
      '--precision <kind>',
      'as for compile; auto chooses as if there were data for calibration',
      parsePrecision,
      'auto',
    )
    .option(
      '--exclude <pattern>',
      'name or operator of nodes that stay float; * stands for anything',
      collect,
    )
    .option('--dim <name=size>', 'as for compile; may be repeated', collectDims)
    .option('--as-is', 'judge the file as it stands, without compiling it: for mobile targets')
    .option('--strict', 'fail where the provider of a mobile target leaves a node')
    .option('--fix <input=value>', 'as for compile; may be repeated', collectFixed)
    .option('--unroll <steps>', 'as for compile', parseCount)
    .option('--plugin <file>', 'as for compile; may be repeated', collect)
    .option('--all', 'a row for every node, in graph order')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples
  quantc explain model.onnx --target cpu
  quantc explain model.onnx --precision int8-dynamic --all
  quantc explain model.onnx --target npu-qnn --dim batch=1
  quantc explain quantized-elsewhere.onnx --target npu --as-is --strict
  quantc explain model.onnx --json | jq '.nodes[] | select(.precision == "float")'

Next: quantc compile model.onnx --target cpu --calib <data>`,
    )
    .action(async (path: string, options: Options) => {
      const { exclude, precision, dim: dims, fix, unroll, asIs, strict } = options;
      const plugins = await loadPlugins(options.plugin ?? []);
      const targets = resolveRequested([options.target], plugIn(plugins).targets);
      const found: (Explanation | Unexplained)[] = [];
      for (const { name: target } of targets) {
        const onPass = passTracer(target);
        const request = { model: path, target, precision, exclude, dims, fix, unroll, asIs, plugins };
        try {
          found.push(await explain({ ...request, ...(onPass && { onPass }) }));
        } catch (thrown) {
          // What one of several cannot do is no reason to be silent of the others.
          if (
            targets.length === 1 ||
            !(thrown instanceof QuantcError) ||
            thrown.kind === 'fault' ||
            thrown.place.plugin
          )
            throw thrown;
          found.push({ target, thrown });
        }
      }
      const refused = found.flatMap((each) => ('thrown' in each ? [each.thrown] : []));
      if (refused.length === found.length) throw refused[0]!;
      const failure = strict ? left(targets, found) : undefined;
      if (options.json) printJson({ ...document(found), ...(failure && failureJson(failure, false)) });
      else {
        for (const each of found) print(textOf(each, options.all));
        if (found.length > 1) print(`${heading('Verdicts')}\n${overview(found)}`);
      }
      if (failure) throw options.json ? toldOf(failure) : failure;
    });
}

/** A line a target. */
const overview = (found: readonly (Explanation | Unexplained)[]): string =>
  columns(
    found.map((each) => {
      if ('thrown' in each) return [each.target, each.thrown.code, each.thrown.message.split('\n')[0]!];
      return [each.target, each.precision, each.verdict ? coverageText(each.verdict) : ''];
    }),
  );

/** A target that nothing can be said of, and why. */
interface Unexplained {
  readonly target: string;
  readonly thrown: QuantcError;
}

/** Why a strict build fails; undefined where every target takes the whole. */
function left(
  targets: readonly Target[],
  found: readonly (Explanation | Unexplained)[],
): QuantcError | undefined {
  for (const [at, each] of found.entries()) {
    if ('thrown' in each) return each.thrown;
    const refusal = coverageRefusal(targets[at]!, each.verdict);
    if (refusal) return refusal;
  }
  return undefined;
}

/** One target as it is, several as a list. */
function document(found: readonly (Explanation | Unexplained)[]): object {
  const plain = found.map((each) =>
    'thrown' in each ? { target: each.target, ...failureJson(each.thrown, false) } : each,
  );
  return plain.length === 1 ? plain[0]! : { targets: plain };
}

const textOf = (each: Explanation | Unexplained, all = false): string =>
  'thrown' in each
    ? `${heading(`for ${each.target}`)}\n${failureText(each.thrown, false)}`
    : explanationText(each, all);

function explanationText(found: Explanation, all: boolean): string {
  const parts = [heading(`${found.model} for ${found.target}, ${found.precision}`)];
  if (found.nodes.length > 0) parts.push(all ? everyNode(found.nodes) : `\n${grouped(found.nodes)}`);
  for (const note of found.notes) parts.push(`${note.level}: ${note.message} (${note.code})`);
  if (found.verdict) parts.push(`\n${verdictText(found.verdict)}`);
  if (found.nodes.length > 0 && !all) parts.push('\n--all shows every node.');
  return `${parts.join('\n')}\n`;
}
