import {
  addConstant,
  axisFromFront,
  constantNumbers,
  constantOf,
  type Dim,
  definePass,
  functionAround,
  isStatic,
  type Model,
  type Node,
  outputToInitializer,
  replaceNode,
  Tensor,
  type Value,
} from '../src/index.js';

/** What is known ahead of a small vector (or scalar) of integers, element by element. */
interface Partial {
  readonly elements: readonly (number | undefined)[];
  readonly scalar: boolean;
  readonly dtype: 'int64' | 'int32';
}

/**
 * `Shape(x)`, `Size(x)` and what merely picks and joins their elements → constant, as soon as every element that comes
 * out is known.
 *
 * Elements are followed one by one through Gather, Slice, Concat, Squeeze, Unsqueeze and integer Cast: `Shape(x)[2]` is
 * constant where dimension 2 is a number, though dimension 0 be the batch. What computes with such constants is left
 * to `fold-constants`.
 */
export const staticShapes = definePass({
  name: 'static-shapes',
  doc: 'Shape, Size and elements picked from them → constant, where the dimensions are numbers',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      const known = new Map<Value, Partial | undefined>();
      for (const node of graph.nodes()) {
        const [output] = node.outputs;
        if (output === undefined || !(node.opType in RULES) || node.domain !== '') continue;
        const vector = partialOf(output, known);
        if (vector === undefined || !vector.elements.every((each) => each !== undefined)) {
          if (vector !== undefined) decline('not every dimension is a number', node);
          continue;
        }
        if (output.isOutput) {
          decline('it leaves the graph as it is', node);
          continue;
        }
        changed(`${node.opType} → [${vector.elements}]`, node);
        replace(model, node, vector);
      }
    }
  },
});

function replace(model: Model, node: Node, { elements, scalar, dtype }: Partial): void {
  const [output] = node.outputs;
  const shape = scalar ? [] : [elements.length];
  const numbers = elements as readonly number[];
  const tensor =
    dtype === 'int64' ? Tensor.ints(numbers, shape) : Tensor.of('int32', shape, Int32Array.from(numbers));
  if (functionAround(model, node.graph) === undefined) {
    outputToInitializer(output!, tensor.with({ name: output!.name }));
  } else replaceNode(node, [addConstant(model, node.graph, tensor, output!.name)]);
}

type Rule = (node: Node, input: (index: number) => Partial | undefined) => Partial | undefined;

/** How elements come out of each operator; undefined where nothing can be said. */
const RULES: Readonly<Record<string, Rule>> = {
  Shape: (node) => {
    const shape = node.inputs[0]?.shape;
    if (shape === undefined) return undefined;
    const [start, end] = [node.int('start', 0), node.int('end', shape.length)];
    return vector(shape.slice(clamp(start, shape.length), clamp(end, shape.length)).map(numberOf));
  },
  Size: (node) => {
    const shape = node.inputs[0]?.shape;
    if (!isStatic(shape)) return undefined;
    return { ...vector([shape.reduce((product, dim) => product * dim, 1)]), scalar: true };
  },
  Gather: (node, input) => {
    const data = input(0);
    const index = node.inputs[1];
    const indices = constantNumbers(index);
    const rank = constantOf(index)?.shape.length ?? 2;
    if (data === undefined || data.scalar || indices === undefined || rank > 1) return undefined;
    const { length } = data.elements;
    const at = indices.map((each) => (each < 0 ? each + length : each));
    if (at.some((each) => each < 0 || each >= length)) return undefined;
    return { ...data, elements: at.map((each) => data.elements[each]), scalar: rank === 0 };
  },
  Slice: (node, input) => {
    const data = input(0);
    if (data === undefined || data.scalar) return undefined;
    const read = (index: number, name: string): number | undefined => {
      const list = node.inputs[index] ? constantNumbers(node.inputs[index]) : node.ints(name);
      return list?.length === 1 ? list[0] : undefined;
    };
    const [start, end] = [read(1, 'starts'), read(2, 'ends')];
    const step = node.inputs[4] ? read(4, 'steps') : 1;
    if (start === undefined || end === undefined || step !== 1) return undefined;
    const { length } = data.elements;
    return { ...data, elements: data.elements.slice(clamp(start, length), clamp(end, length)) };
  },
  Concat: (node, input) => {
    const parts = node.inputs.map((_, index) => input(index));
    const [first] = parts;
    if (first === undefined || axisFromFront(node.int('axis', 0), 1) !== 0) return undefined;
    if (!parts.every((part) => part !== undefined && !part.scalar && part.dtype === first.dtype))
      return undefined;
    return { ...first, elements: parts.flatMap((part) => part!.elements) };
  },
  Squeeze: (_, input) => {
    const data = input(0);
    return data?.elements.length === 1 && !data.scalar ? { ...data, scalar: true } : undefined;
  },
  Unsqueeze: (node, input) => {
    const data = input(0);
    const axes = node.inputs[1] ? constantNumbers(node.inputs[1]) : node.ints('axes');
    return data?.scalar && axes?.length === 1 ? { ...data, scalar: false } : undefined;
  },
  Cast: (node, input) => {
    const data = input(0);
    const to = node.int('to');
    if (data === undefined || (to !== 7 && to !== 6)) return undefined;
    // A dimension beyond 2³¹ would wrap around.
    if (to === 6 && data.elements.some((each) => each !== undefined && Math.abs(each) >= 2 ** 31))
      return undefined;
    return { ...data, dtype: to === 7 ? 'int64' : 'int32' };
  },
};

const vector = (elements: readonly (number | undefined)[]): Partial => ({
  elements,
  scalar: false,
  dtype: 'int64',
});

const numberOf = (dim: Dim): number | undefined => (typeof dim === 'number' && dim >= 0 ? dim : undefined);

/** A bound as Shape and Slice read it: counted from the end where negative, inside of the vector in any case. */
const clamp = (bound: number, length: number): number =>
  Math.min(length, Math.max(0, bound < 0 ? bound + length : bound));

function partialOf(value: Value | undefined, known: Map<Value, Partial | undefined>): Partial | undefined {
  if (value === undefined) return undefined;
  if (known.has(value)) return known.get(value);
  const constant = constantOf(value);
  let answer: Partial | undefined;
  if (constant !== undefined) answer = partialOfConstant(constant, value);
  else {
    const node = value.producer;
    const rule = node?.domain === '' ? RULES[node.opType] : undefined;
    answer = rule && node && rule(node, (index) => partialOf(node.inputs[index], known));
  }
  known.set(value, answer);
  return answer;
}

function partialOfConstant(tensor: Tensor, value: Value): Partial | undefined {
  if ((tensor.dtype !== 'int64' && tensor.dtype !== 'int32') || tensor.shape.length > 1) return undefined;
  const elements = constantNumbers(value);
  if (!elements?.every(Number.isSafeInteger)) return undefined;
  return { elements, scalar: tensor.shape.length === 0, dtype: tensor.dtype };
}
