import { Command } from 'commander';
import { canonicalization, targetFusions, targetLowerings } from '../../../passes/index.js';
import type { Pass } from '../../pipeline/pass.js';
import { PRECISIONS, type Precision, recipeFor } from '../../recipe.js';
import { columns } from '../columns.js';
import { heading, print, printJson } from '../terminal.js';

export function make(): Command {
  return new Command('quantc passes')
    .description('Lists the passes in the order in which they run, with what each turns into what.')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nNext: QUANTC_TRACE=2 quantc compile <model.onnx>   shows what each of them changed and declined',
    )
    .action(({ json }: { json?: boolean }) => {
      const groups: Record<string, readonly Pass[]> = { canonicalize: canonicalization };
      for (const precision of PRECISIONS) {
        if (precision !== 'auto') groups[precision] = quantizing(precision);
      }
      groups['by target'] = [...Object.values(targetFusions), ...Object.values(targetLowerings)];
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

const quantizing = (precision: Exclude<Precision, 'auto'>): readonly Pass[] => {
  const { quantize, finish } = recipeFor(precision);
  return [...quantize, ...finish];
};

const plain = (pass: Pass): object => ({
  name: pass.name,
  doc: pass.doc,
  ...(pass.passes && { rounds: pass.rounds ?? 1, passes: pass.passes.map(plain) }),
});

const lines = (pass: Pass, indent: string): string[][] => [
  [indent + pass.name, pass.doc],
  ...(pass.passes ?? []).flatMap((inner) => lines(inner, `${indent}  `)),
];
