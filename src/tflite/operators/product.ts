/** Gemm and MatMul. */
import type { Emitter, Operand } from '../emitter.js';
import { isRealConstant, realConstant } from '../grid.js';
import { refuse, shapeOf } from '../refusal.js';
import { FUSED_ACTIVATIONS } from '../schema.js';
import type { Unit } from '../unit.js';
import { broadcast } from './arithmetic.js';
import type { Lowering } from './lowering.js';
import { biasOf, weightOf } from './weights.js';

/** x · W (+ b) with a constant W of two dimensions; the format stores it with outputs first. */
function connected(
  unit: Unit,
  e: Emitter,
  x: Operand,
  transposed: boolean,
  bias: Unit['node']['inputs'][number],
): void {
  const shape = shapeOf(unit.node.inputs[1]!);
  const outputs = shape[transposed ? 0 : 1]!;
  const perm = transposed ? [0, 1] : [1, 0];
  const stored = weightOf(unit, e, 1, { perm, axis: 0, onnxAxis: transposed ? 0 : 1 });
  const b = biasOf(unit, e, bias, outputs, stored, x);
  const options = { fused: FUSED_ACTIVATIONS[unit.fused], keepNumDims: x.shape.length !== 2 };
  e.into(unit, 'plain', (y) => e.operator('FULLY_CONNECTED', [x, stored.operand, b], options, [y]));
}

/** A row that is added alike to every output row. */
function isRow(shape: readonly number[], columns: number): boolean {
  return shape.every((dim, axis) => dim === 1 || (axis === shape.length - 1 && dim === columns));
}

function gemm(unit: Unit, e: Emitter): void {
  const { node } = unit;
  if (node.float('alpha', 1) !== 1) refuse(node, 'its alpha is not 1');
  const [, , c] = node.inputs;
  if (c !== undefined && node.float('beta', 1) !== 1) refuse(node, 'its beta is not 1');
  if (!isRealConstant(node.inputs[1])) refuse(node, 'its second factor is computed while the model runs');
  const columns = shapeOf(node.outputs[0]!)[1]!;
  if (c !== undefined && !(isRealConstant(c) && isRow(shapeOf(c), columns)))
    refuse(node, 'C is not a constant row');
  let x = e.read(unit, 0, 'plain');
  if (node.int('transA', 0) === 1) x = e.transpose(x, [1, 0]);
  connected(unit, e, x, node.int('transB', 0) === 1, c);
}

function matmul(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const ranks = node.inputs.map((input) => shapeOf(input!).length);
  if (isRealConstant(node.inputs[1]) && ranks[1] === 2 && ranks[0]! >= 2 && !isRealConstant(node.inputs[0])) {
    connected(unit, e, e.read(unit, 0, 'plain'), false, undefined);
    return;
  }
  if (ranks.some((rank) => rank < 2)) refuse(node, 'it multiplies vectors');
  const [a, b] = [broadcast(unit, e, 0, 'plain'), broadcast(unit, e, 1, 'plain')];
  if (unit.int8 && node.inputs.some((input, index) => isRealConstant(input) && scaleCount(unit, index) > 1))
    refuse(node, 'its constant factor has a scale a column, and more than two dimensions');
  e.into(unit, 'plain', (y) => e.operator('BATCH_MATMUL', [a, b], { adjX: false, adjY: false }, [y]));
}

const scaleCount = ({ node }: Unit, index: number): number =>
  realConstant(node.inputs[index]?.producer?.inputs[1])?.length ?? 1;

export const PRODUCTS: Readonly<Record<string, Lowering>> = {
  Gemm: { int8: true, fuses: true, layout: 'plain', lower: gemm },
  MatMul: { int8: true, fuses: false, layout: 'plain', lower: matmul },
};
