import { Command } from 'commander';
import { targetAliases, targets } from '../../../targets/index.js';
import { loadPlugins } from '../../build/load-plugins.js';
import { plugIn } from '../../compile/plugged.js';
import { columns } from '../columns.js';
import { collect } from '../option.js';
import { heading, print, printJson } from '../terminal.js';

export function make(): Command {
  return new Command('quantc targets')
    .description('Lists the targets by name, what each stands for, and which operators it runs in integers.')
    .option(
      '--plugin <file>',
      'a module with a plugin, whose targets are listed, too; may be repeated',
      collect,
    )
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nNext: quantc explain <model.onnx> --target <name>')
    .action(async ({ json, plugin = [] }: { json?: boolean; plugin?: readonly string[] }) => {
      const all = [...targets, ...plugIn(await loadPlugins(plugin)).targets];
      if (json) return printJson({ targets: all.map(facts), aliases: targetAliases });
      for (const target of all) {
        print(`${heading(target.name)}  ${target.doc}`);
        const { staticOperators, dynamicOperators, executorOperators } = facts(target);
        const lines = Object.entries({
          static: staticOperators,
          dynamic: dynamicOperators,
          float: executorOperators,
        });
        print(
          columns([
            ...lines
              .filter(([, operators]) => operators.length > 0)
              .map(([kind, all]) => [kind, all.join(', ')]),
            ...Object.entries(target.session).map(([key, value]) => ['session', `${key}=${value}`]),
          ]),
        );
      }
      const aliases = Object.entries(targetAliases).map(([alias, names]) => [alias, `= ${names.join(', ')}`]);
      print(`${heading('aliases')}\n${columns(aliases)}`);
    });
}

function facts(target: (typeof targets)[number]) {
  const operators = (rows: readonly { readonly op: string }[]) => [...new Set(rows.map(({ op }) => op))];
  const { name, doc, opset, session, remarks = [] } = target;
  return {
    name,
    doc,
    opset,
    session,
    remarks,
    staticOperators: operators(target.rows),
    dynamicOperators: operators(target.dynamicRows),
    /** What an executor beside the CPU has kernels for at all. */
    executorOperators: operators(target.executor?.operators ?? []),
  };
}
