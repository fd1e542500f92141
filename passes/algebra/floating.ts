import { type Node, no, readsFunctionAttributes, type Value, type Verdict } from '../../src/index.js';

/** True for floats that kernels compute in, of a node whose attributes are its own. */
export function floating({ x, node }: { readonly x: Value; readonly node?: Node }): Verdict {
  if (node && readsFunctionAttributes(node)) return no('the caller decides its attributes', node);
  return (
    x.dtype === 'float' || x.dtype === 'float16' || no(`${x.name} is ${x.dtype ?? 'of an unknown type'}`, x)
  );
}
