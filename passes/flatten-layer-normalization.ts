import {
  constantOf,
  isStatic,
  no,
  node,
  type ReplacementInput,
  rewrite,
  Tensor,
  type Value,
  value,
} from '../src/index.js';
import { alone, firstAxis } from './algebra/layer-normalization.js';

/** A scale or bias over several axes as one row: its elements stand in the same order. */
function row(of: Value): ReplacementInput {
  const tensor = constantOf(of)!;
  return tensor.with({ shape: [tensor.count] });
}

/** For executors that normalize over the last axis alone: several become one. */
export const flattenLayerNormalization = rewrite({
  name: 'flatten-layer-normalization',
  doc: 'LayerNormalization over several axes → over one, between Reshapes',
  needs: ['typed'],
  opset: 17,
  bind: { x: value, scale: value, bias: value.optional, norm: node },
  pattern: (op, $) => $.norm(op.LayerNormalization($.x, $.scale, $.bias)),
  check: (match) => {
    const { x, scale, bias, norm } = match;
    const answer = alone(match);
    if (answer !== true) return answer;
    const first = firstAxis(x, norm)!;
    if (first === x.shape!.length - 1) return no('it goes over the last axis alone', norm);
    if (!isStatic(x.shape) || x.shape.includes(0)) return no(`the shape of ${x.name} is not known`, x);
    const size = x.shape.slice(first).reduce((product, each) => product * each, 1);
    const whole = [scale, bias].every((each) => each === undefined || constantOf(each)?.count === size);
    return whole || no('its scale or bias is broadcast or computed', norm);
  },
  replace: ({ x, scale, bias, norm }, op) => {
    const shape = x.shape as readonly number[];
    const first = firstAxis(x, norm)!;
    const size = shape.slice(first).reduce((product, each) => product * each, 1);
    const flat = op.Reshape(x, Tensor.ints([...shape.slice(0, first), size]));
    const normal = op.like(norm).LayerNormalization(flat, row(scale), bias && row(bias), { axis: -1 });
    return op.Reshape(normal, Tensor.ints(shape));
  },
});
