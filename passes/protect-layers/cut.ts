/** Cuts a product whose columns have several roles, so that some of them can be treated apart. */
import {
  addConstant,
  constantOf,
  createNode,
  type Model,
  type Node,
  type ProtectedNode,
  replaceNode,
  swapNames,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';

interface Range {
  readonly start: number;
  readonly end: number;
  readonly kept: boolean;
}

/**
 * MatMul(x, W) → Concat(MatMul(x, W₀), MatMul(x, W₁), …), the protected columns in products of their own.
 * @returns those products, or why the node stays whole
 */
export function cutColumns(model: Model, { node, roles }: ProtectedNode): Node[] | string {
  if (!node.is('MatMul')) return `${node.opType} cannot be cut`;
  if (roles.some(({ perHead }) => perHead)) return 'they lie head by head between those of other roles';
  const tensor = constantOf(node.inputs[1]);
  if (tensor?.shape.length !== 2) return 'its weight is no matrix that lies ready';
  if (tensor.dtype !== 'float' && tensor.dtype !== 'float16') return `its weight is ${tensor.dtype}`;
  const columns = tensor.shape[1]!;
  const ranges = rangesOf(
    roles.map((role) => role.columns),
    columns,
  );
  if (ranges === undefined) return 'nothing tells which they are';
  const [data, weight] = node.inputs as [Value, Value];
  const output = node.outputs[0]!;
  const shape = output.shape;
  const parts = ranges.map(({ start, end }) =>
    createNode(
      { before: node },
      {
        opType: 'MatMul',
        name: `${node.label}_${start}_${end}`,
        inputs: [
          data,
          addConstant(model, weight.graph, columnsOf(tensor, start, end), `${weight.name}_${start}_${end}`),
        ],
        outputs: [
          {
            name: `${output.name}_${start}_${end}`,
            type: shape && tensorType(tensor.dtype, [...shape.slice(0, -1), end - start]),
          },
        ],
      },
    ),
  );
  const joined = createNode(
    { before: node },
    {
      opType: 'Concat',
      name: `${node.label}_joined`,
      inputs: parts.map((part) => part.outputs[0]!),
      attributes: { axis: -1 },
      outputs: [{ type: output.type }],
    },
  );
  // The proof compares values by their names.
  if (!output.isOutput) swapNames(output, joined.outputs[0]!);
  replaceNode(node, [joined.outputs[0]!]);
  return parts.filter((_, at) => ranges[at]!.kept);
}

/** All columns in order, cut where protection begins and ends; undefined where some columns are not known. */
function rangesOf(
  wanted: readonly (readonly [number, number] | undefined)[],
  columns: number,
): Range[] | undefined {
  const ranges: Range[] = [];
  let at = 0;
  for (const range of wanted.toSorted((a, b) => (a?.[0] ?? 0) - (b?.[0] ?? 0))) {
    if (range === undefined) return undefined;
    const [start, end] = range;
    if (start < at || end > columns || end <= start || !Number.isInteger(start) || !Number.isInteger(end))
      return undefined;
    if (start > at) ranges.push({ start: at, end: start, kept: false });
    const last = ranges.at(-1);
    if (last?.kept && last.end === start) ranges[ranges.length - 1] = { ...last, end };
    else ranges.push({ start, end, kept: true });
    at = end;
  }
  if (at < columns) ranges.push({ start: at, end: columns, kept: false });
  return ranges;
}

function columnsOf(tensor: Tensor, start: number, end: number): Tensor {
  const [rows, columns] = tensor.shape as [number, number];
  const width = end - start;
  return Tensor.derive(tensor.dtype, [rows, width], [tensor], ([source]) => {
    const bytes = source!.bytes();
    const size = bytes.length / (rows * columns);
    const part = new Uint8Array(rows * width * size);
    for (let row = 0; row < rows; row++) {
      const from = (row * columns + start) * size;
      part.set(bytes.subarray(from, from + width * size), row * width * size);
    }
    return part;
  });
}
