/** What is delivered and for which binding, by name; `mobile-files.ts` does it. */
import { QuantcError } from '../errors/error.js';

/** `onnx` is always written; `ort` adds ONNX Runtime's own format. */
export const FORMATS = ['onnx', 'ort'] as const;
export type FormatName = (typeof FORMATS)[number];

/** Bindings with demands of their own. */
export const BINDINGS = ['any', 'react-native'] as const;
export type BindingName = (typeof BINDINGS)[number];

/** @throws QuantcError E_FORMAT_UNKNOWN listing those there are */
export const parseFormats = (names: readonly string[]): readonly FormatName[] =>
  names.map((name) => known(FORMATS, name, 'E_FORMAT_UNKNOWN', 'format'));

/** @throws QuantcError E_BINDING_UNKNOWN listing those there are */
export const parseBinding = (name: string): BindingName =>
  known(BINDINGS, name, 'E_BINDING_UNKNOWN', 'binding');

function known<T extends string>(all: readonly T[], name: string, code: string, what: string): T {
  const found = all.find((each) => each === name);
  if (found !== undefined) return found;
  throw new QuantcError(code, `there is no ${what} "${name}"`, {
    kind: 'usage',
    hint: `There are ${all.join(', ')}.`,
  });
}
