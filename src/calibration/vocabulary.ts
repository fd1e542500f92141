/** How many entries the table has that an input's ids are looked up in, where the graph shows it. */
import { QuantcError } from '../errors/error.js';
import { isInteger } from '../ir/dtype.js';
import type { Use } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { InputSignature } from './dataset.js';

/** Nodes that hand ids on as they are. */
const HANDS_ON: ReadonlySet<string> = new Set([
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
]);

interface Table {
  readonly size: number;
  /** Node that looks the ids up. */
  readonly node: string;
}

/** The smallest table that ids of this input are looked up in. */
export function tableOf(input: InputSignature): Table | undefined {
  let found: Table | undefined;
  const seen = new Set<Use>();
  const walk = (uses: readonly Use[]): void => {
    for (const use of uses) {
      if (seen.has(use)) continue;
      seen.add(use);
      const { node, index } = use;
      if (HANDS_ON.has(node.opType) && index === 0) walk(node.outputs[0]?.uses ?? []);
      else if (node.opType === 'Gather' && index === 1) {
        const axis = node.attributes.get('axis');
        const shape = node.inputs[0]?.shape ?? node.inputs[0]?.constant?.shape;
        const at = axis?.kind === 'int' ? Number(axis.value) : 0;
        const size = shape?.at(at);
        if (typeof size === 'number' && size > 0 && size < (found?.size ?? Number.POSITIVE_INFINITY))
          found = { size, node: node.label };
      }
    }
  };
  walk(input.uses ?? []);
  return found;
}

/** A check of ids against the table of their input; undefined where there is nothing to check. */
export function idChecker(input: InputSignature): ((ids: Tensor, file: string) => void) | undefined {
  const type = input.type?.kind === 'tensor' ? input.type : undefined;
  const table = type && isInteger(type.dtype) ? tableOf(input) : undefined;
  if (table === undefined) return undefined;
  const { size, node } = table;
  return (ids, file) => {
    const data = ids.data();
    for (let i = 0; i < data.length; i++) {
      // Indices may count from the end.
      if (data[i]! < size && data[i]! >= -size) continue;
      throw new QuantcError('E_DATA_RANGE', `${data[i]} is looked up in a table of ${size} entries`, {
        place: { file, value: input.name, node },
        hint: 'The ids belong to another tokenizer, or to another model.',
      });
    }
  };
}
