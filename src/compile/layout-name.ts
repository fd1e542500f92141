/** How outputs may lie, by name; `layout.ts` does it. */
import { QuantcError } from '../errors/error.js';

/**
 * - `flat`: `<model>.<target>.onnx` beside each other.
 * - `transformers.js`: `onnx/<model><suffix>.onnx`, the suffix by what the weights are, and the `config.json` that tells
 *   of it, with the tokenizer's files where the model came with them.
 */
export const LAYOUTS = ['flat', 'transformers.js'] as const;
export type LayoutName = (typeof LAYOUTS)[number];

/** @throws QuantcError E_LAYOUT_UNKNOWN listing those there are */
export function parseLayout(name: string): LayoutName {
  if ((LAYOUTS as readonly string[]).includes(name)) return name as LayoutName;
  throw new QuantcError('E_LAYOUT_UNKNOWN', `there is no layout "${name}"`, {
    kind: 'usage',
    hint: `Layouts: ${LAYOUTS.join(', ')}.`,
  });
}

/** @throws QuantcError E_LAYOUT_CLASH when two targets would give one file */
export function refuseClash(
  layout: LayoutName | undefined,
  targets: readonly { readonly name: string }[],
): void {
  if (layout !== 'transformers.js' || targets.length < 2) return;
  throw new QuantcError(
    'E_LAYOUT_CLASH',
    `${targets.map(({ name }) => name).join(' and ')} would give the same file: ${layout} has one a data type`,
    { kind: 'usage', hint: 'Compile for one target at a time, each into a folder of its own.' },
  );
}
