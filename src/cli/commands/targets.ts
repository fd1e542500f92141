import { Command } from 'commander';
import { targetAliases, targets } from '../../../targets/index.js';
import { columns } from '../columns.js';
import { heading, print, printJson } from '../terminal.js';

export function make(): Command {
  return new Command('quantc targets')
    .description('Lists the targets by name, what each stands for, and which operators it runs in integers.')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nNext: quantc explain <model.onnx> --target <name>')
    .action(({ json }: { json?: boolean }) => {
      if (json) return printJson({ targets: targets.map(facts), aliases: targetAliases });
      for (const target of targets) {
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
