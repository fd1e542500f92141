import { Command } from 'commander';
import { canonicalization, targetFusions, targetLowerings } from '../../../passes/index.js';
import { loadPlugins } from '../../build/load-plugins.js';
import { plugIn, withPlaced } from '../../compile/plugged.js';
import type { Pass } from '../../pipeline/pass.js';
import { PRECISIONS, type Recipe, recipeFor } from '../../recipe.js';
import { columns } from '../columns.js';
import { collect } from '../option.js';
import { heading, print, printJson } from '../terminal.js';

export function make(): Command {
  return new Command('quantc passes')
    .description(
      'Lists the passes in the order in which they run, with what each turns into what; with --plugin, where passes of ' +
        'plugins sit among them.',
    )
    .option('--plugin <file>', 'a module with a plugin, as for compile; may be repeated', collect)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nNext: QUANTC_TRACE=2 quantc compile <model.onnx>   shows what each of them changed and declined',
    )
    .action(async ({ json, plugin = [] }: { json?: boolean; plugin?: readonly string[] }) => {
      const plugged = plugIn(await loadPlugins(plugin));
      const placed = (recipe: Partial<Recipe>): Recipe =>
        withPlaced({ canonicalize: [], adapt: [], quantize: [], finish: [], ...recipe }, plugged);
      const { canonicalize, adapt } = placed({
        canonicalize: canonicalization,
        adapt: [...Object.values(targetFusions), ...Object.values(targetLowerings)],
      });
      const groups: Record<string, readonly Pass[]> = { canonicalize };
      for (const precision of PRECISIONS) {
        if (precision === 'auto') continue;
        const { quantize, finish } = placed(recipeFor(precision, undefined, {}, plugged.algorithms));
        groups[precision] = [...quantize, ...finish];
      }
      groups['by target'] = adapt;
      if (json) {
        return printJson(
          Object.fromEntries(Object.entries(groups).map(([name, list]) => [name, list.map(plain)])),
        );
      }
      for (const [name, list] of Object.entries(groups)) {
        if (list.length > 0) print(`${heading(name)}\n${columns(list.flatMap((pass) => lines(pass, '')))}`);
      }
    });
}

const plain = (pass: Pass): object => ({
  name: pass.name,
  doc: pass.doc,
  ...(pass.plugin && { plugin: pass.plugin }),
  ...(pass.passes && { rounds: pass.rounds ?? 1, passes: pass.passes.map(plain) }),
});

const lines = (pass: Pass, indent: string): string[][] => [
  [indent + pass.name, pass.plugin === undefined ? pass.doc : `plugin ${pass.plugin}: ${pass.doc}`],
  ...(pass.passes ?? []).flatMap((inner) => lines(inner, `${indent}  `)),
];
