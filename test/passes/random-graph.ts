/** Random graphs of operators that the clean-up passes rewrite, every value of a known shape. */
import {
  type AttributeInput,
  addGraphOutput,
  addInitializer,
  addInput,
  createNode,
  Graph,
  Model,
  setAttribute,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';

/** Integers from 0 up to (not including) the bound, in a sequence that the seed decides (Lehmer's generator). */
export function randomIntegers(seed: number): (below: number) => number {
  let state = (seed % 2147483646) + 1;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

interface Known {
  readonly value: Value;
  readonly shape: readonly number[];
}

/** Builds one graph; inputs have an open first size when `open`, which is then 2 in every run. */
class Builder {
  readonly graph: Graph;
  readonly pick: (below: number) => number;
  readonly known: Known[];
  readonly depth: number;

  constructor(graph: Graph, pick: (below: number) => number, known: readonly Known[], depth: number) {
    this.graph = graph;
    this.pick = pick;
    this.known = [...known];
    this.depth = depth;
  }

  one<T>(list: readonly T[]): T {
    return list[this.pick(list.length)]!;
  }

  /** A value, more often a late one. */
  any(): Known {
    const { length } = this.known;
    return this.known[this.pick(2) === 0 ? length - 1 - this.pick(Math.min(3, length)) : this.pick(length)]!;
  }

  add(
    opType: string,
    inputs: readonly (Value | undefined)[],
    shape: readonly number[],
    attributes: Record<string, AttributeInput> = {},
  ): Known {
    const made = {
      value: createNode({ endOf: this.graph }, { opType, inputs, attributes }).outputs[0]!,
      shape,
    };
    this.known.push(made);
    return made;
  }

  ints(...numbers: number[]): Value {
    return addInitializer(this.graph, Tensor.ints(numbers), 'ints');
  }

  floats(shape: readonly number[], fill?: number): Value {
    const count = shape.reduce((product, size) => product * size, 1);
    const numbers = Array.from({ length: count }, () => fill ?? (this.pick(9) - 4) / 4);
    return addInitializer(this.graph, Tensor.floats(numbers, shape), 'floats');
  }

  permutation(rank: number): number[] {
    const perm = Array.from({ length: rank }, (_, axis) => axis);
    for (let i = rank - 1; i > 0; i--) {
      const j = this.pick(i + 1);
      [perm[i], perm[j]] = [perm[j]!, perm[i]!];
    }
    return perm;
  }

  transpose({ value, shape }: Known, perm = this.permutation(shape.length)): Known {
    return this.add(
      'Transpose',
      [value],
      perm.map((axis) => shape[axis]!),
      { perm },
    );
  }

  step(): void {
    const x = this.any();
    const { value, shape } = x;
    const rank = shape.length;
    const axis = rank === 0 ? 0 : this.pick(rank);
    const other = this.known.filter((each) => String(each.shape) === String(shape));
    switch (this.pick(rank === 0 ? 4 : 19)) {
      case 0:
        return void this.add(
          this.one(['Relu', 'Abs', 'Neg', 'Sigmoid', 'Identity', 'Floor', 'Tanh']),
          [value],
          shape,
        );
      case 1:
        return void this.add(this.one(['Add', 'Mul', 'Sub', 'Max']), [value, this.one(other).value], shape);
      case 2:
        return void this.add(
          this.one(['Add', 'Mul', 'Sub']),
          [value, this.floats([], this.one([0, 1, 2]))],
          shape,
        );
      case 3: {
        const narrow = this.add('Cast', [value], shape, { to: this.one([1, 11]) });
        this.known.pop();
        return void this.add('Cast', [narrow.value], shape, { to: 1 });
      }
      case 4:
      case 5:
      case 6:
        return void this.transpose(x);
      case 7: {
        const size = shape.slice(axis).map((each) => (this.pick(3) === 0 ? 1 : each));
        return void this.add(this.one(['Add', 'Mul']), [value, this.floats(size)], shape);
      }
      case 8: {
        const mate = this.one(other);
        const joined = shape.map((size, at) => (at === axis ? 2 * size : size));
        if (joined.reduce((a, b) => a * b, 1) > 2000) return;
        return void this.add('Concat', [value, mate.value], joined, {
          axis: this.pick(2) ? axis : axis - rank,
        });
      }
      case 9:
        return void this.add('Softmax', [value], shape, { axis: axis - rank });
      case 10: {
        const keepdims = this.pick(2);
        const reduced = shape.flatMap((size, at) => (at !== axis ? [size] : keepdims ? [1] : []));
        return void this.add(this.one(['ReduceSum', 'ReduceMax']), [value, this.ints(axis)], reduced, {
          keepdims,
        });
      }
      case 11: {
        const flat = shape.slice(axis).reduce((a, b) => a * b, 1);
        const target = [...shape.slice(0, axis), flat];
        return void this.add(
          'Reshape',
          [value, this.ints(...target.map((size, at) => (at === axis ? -1 : size)))],
          target,
        );
      }
      case 12: {
        const target = [...shape.slice(0, axis), 1, ...shape.slice(axis)];
        if (target.length <= 5) this.add('Unsqueeze', [value, this.ints(axis)], target);
        return;
      }
      case 13: {
        if (shape[axis] !== 1) return;
        return void this.add(
          'Squeeze',
          [value, this.ints(axis - rank)],
          shape.filter((_, at) => at !== axis),
        );
      }
      case 14: {
        const pads = Array<number>(2 * rank).fill(0);
        const amount = this.pick(2);
        pads[axis] = amount;
        return void this.add(
          'Pad',
          [value, this.ints(...pads)],
          shape.map((size, at) => size + (at === axis ? amount : 0)),
        );
      }
      case 15: {
        const start = this.pick(2);
        if (shape[axis]! - start < 1) return;
        const inputs = [value, this.ints(start), this.ints(100), this.ints(axis)];
        return void this.add(
          'Slice',
          inputs,
          shape.map((size, at) => size - (at === axis ? start : 0)),
        );
      }
      case 16: {
        // A sandwich: there, something, and back.
        const perm = this.permutation(rank);
        const inner = this.transpose(x, perm);
        const body = this.add(this.one(['Relu', 'Exp', 'Neg']), [inner.value], inner.shape);
        const back: number[] = [];
        for (const [index, each] of perm.entries()) back[each] = index;
        return void this.transpose(body, back);
      }
      case 17: {
        const shapeOf = createNode({ endOf: this.graph }, { opType: 'Shape', inputs: [value] }).outputs[0]!;
        const flat = this.add('Reshape', [value, this.ints(-1)], [shape.reduce((a, b) => a * b, 1)]);
        return void this.add('Reshape', [flat.value, shapeOf], shape);
      }
      default:
        this.branch(x);
    }
  }

  /** An If on the sign of a sum, both branches of the same shape. */
  branch({ value, shape }: Known): void {
    if (this.depth > 1) return;
    const sum = createNode(
      { endOf: this.graph },
      { opType: 'ReduceSum', inputs: [value], attributes: { keepdims: 0 } },
    );
    const condition = createNode(
      { endOf: this.graph },
      { opType: 'Greater', inputs: [sum.outputs[0], this.floats([], 0)] },
    );
    const made = createNode({ endOf: this.graph }, { opType: 'If', inputs: [condition.outputs[0]] });
    for (const name of ['then_branch', 'else_branch']) {
      const graph = new Graph(name);
      setAttribute(made, name, { kind: 'graph', value: graph });
      const inner = new Builder(graph, this.pick, this.known, this.depth + 1);
      for (let i = 0; i < 4; i++) inner.step();
      const fit = inner.known.filter(
        (each) => String(each.shape) === String(shape) && each.value.graph === graph,
      );
      const result = fit.at(-1) ?? { value, shape };
      addGraphOutput(graph, inner.add('Add', [result.value, value], shape).value);
    }
    this.known.push({ value: made.outputs[0]!, shape });
  }
}

/** A random model with one or two inputs and a few outputs, of about `steps` nodes. */
export function randomModel(seed: number, steps: number): Model {
  const pick = randomIntegers(seed);
  const graph = new Graph('random');
  const open = pick(2) === 0;
  const inputs = [
    [2, 3, 4],
    [2, 4, 3],
    [2, 1, 3, 4],
  ].slice(0, 1 + pick(3));
  const known = inputs.map((shape, index) => ({
    value: addInput(graph, `x${index}`, tensorType('float', open ? ['N', ...shape.slice(1)] : shape)),
    shape,
  }));
  const builder = new Builder(graph, pick, known, 0);
  for (let i = 0; i < steps; i++) builder.step();
  const made = builder.known.filter(({ value }) => value.producer !== undefined);
  const outputs = new Set([made.at(-1)!, ...Array.from({ length: 3 }, () => made[pick(made.length)]!)]);
  for (const { value, shape } of outputs) {
    (value as { type: Value['type'] }).type = tensorType(
      'float',
      shape.map(() => null),
    );
    addGraphOutput(graph, value);
  }
  return new Model(graph, { irVersion: 10, opsets: new Map([['', 21]]) });
}
