/** Products with a constant right side, whichever way it is written down. */
import { constantOf, isStatic, type Node, type Tensor, type Value } from '../../src/index.js';

export interface Product {
  readonly node: Node;
  /** The constant itself; a Transpose may stand between it and the node. */
  readonly weight: Value;
  readonly tensor: Tensor;
  /** Which dimension of the constant the product sums over. */
  readonly axis: 0 | 1;
  /** A Transpose stands between. */
  readonly turned: boolean;
}

/** What the node multiplies by; why no kernel for weights of few bits takes it; or nothing, where it has no weight. */
export function productOf(node: Node): Product | string | undefined {
  const isGemm = node.is('Gemm');
  if (!isGemm && !node.is('MatMul')) {
    return WEIGHTED.has(node.opType) ? `no kernel for weights of few bits takes ${node.opType}` : undefined;
  }
  const read = weightOf(node.inputs[1]);
  if (read === undefined) return 'its right side is not constant';
  const { tensor } = read;
  if (tensor.dtype !== 'float' && tensor.dtype !== 'float16') return `its weight is ${tensor.dtype}`;
  if (tensor.shape.length !== 2) return `its weight has ${tensor.shape.length} dimensions, not 2`;
  if (node.inputs[0]?.shape?.length === 1) return 'its left side is a vector';
  if (isGemm && node.int('transA', 0) === 1) return 'transA is set';
  if (isGemm && node.float('alpha', 1) !== 1) return 'alpha is not 1';
  if (isGemm && node.inputs[2] !== undefined && node.float('beta', 1) !== 1) return 'beta is not 1';
  const isTransposed = (isGemm && node.int('transB', 0) === 1) !== read.turned;
  return { node, ...read, axis: isTransposed ? 1 : 0 };
}

/** Operators whose weights stay as they are. */
const WEIGHTED = new Set(['Conv', 'ConvTranspose', 'LSTM', 'GRU', 'RNN', 'Einsum', 'Attention']);

/** A constant, or a constant behind a Transpose of its two dimensions. */
function weightOf(value: Value | undefined): Pick<Product, 'weight' | 'tensor' | 'turned'> | undefined {
  const tensor = constantOf(value);
  if (tensor !== undefined) return { weight: value!, tensor, turned: false };
  const turn = value?.producer;
  if (!turn?.is('Transpose')) return undefined;
  const inner = constantOf(turn.inputs[0]);
  const perm = turn.ints('perm', [1, 0]);
  if (inner?.shape.length !== 2 || perm[0] !== 1 || perm[1] !== 0) return undefined;
  return { weight: turn.inputs[0]!, tensor: inner, turned: true };
}

/** A constant of one element a column that is added to the product: Gemm's C, or an Add that alone reads a MatMul. */
export function biasBehind(node: Node, columns: number, dtype: string): { bias?: Value; last: Node } {
  const fits = (value: Value | undefined): boolean => {
    const tensor = constantOf(value);
    return tensor?.dtype === dtype && tensor.shape.length === 1 && tensor.count === columns;
  };
  if (node.is('Gemm')) return fits(node.inputs[2]) ? { bias: node.inputs[2]!, last: node } : { last: node };
  const output = node.outputs[0]!;
  const add = output.uses[0]?.node;
  if (output.uses.length === 1 && !output.isOutput && add?.is('Add') && add.graph === node.graph) {
    const other = add.inputs.find((input) => input !== output);
    // The kernel stands where the MatMul stood: a constant initializer cannot come too late there.
    if (fits(other) && other!.producer === undefined) return { bias: other!, last: add };
  }
  return { last: node };
}

export interface Table {
  readonly node: Node;
  readonly table: Value;
  readonly tensor: Tensor;
}

/** A Gather of rows of a constant table, or undefined. */
export function tableOf(node: Node): Table | undefined {
  if (!node.is('Gather') || node.int('axis', 0) !== 0) return undefined;
  const tensor = constantOf(node.inputs[0]);
  if (tensor === undefined || tensor.shape.length !== 2 || !isStatic(tensor.shape)) return undefined;
  if (tensor.dtype !== 'float' && tensor.dtype !== 'float16') return undefined;
  return { node, table: node.inputs[0]!, tensor };
}
