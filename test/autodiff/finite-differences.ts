/** Runs many small graphs as one: their outputs, their gradients, and what finite differences say of those. */
import { differentiate } from '../../src/autodiff/differentiate.js';
import type { DType } from '../../src/ir/dtype.js';
import { addGraphOutput, addInput } from '../../src/ir/edit.js';
import { Graph, Model, type Value } from '../../src/ir/graph.js';
import { inlineGraph } from '../../src/ir/inline.js';
import { Tensor } from '../../src/ir/tensor.js';
import { elementCount, tensorType } from '../../src/ir/type.js';
import { openSession, type Session } from '../../src/runtime/session.js';
import { inferTypes } from '../../src/runtime/types.js';
import { parseModel } from '../../src/text/parse.js';
import type { GradientCase } from './cases.js';

/** Elements of each case that are moved; the same for all, so that one run moves an element of every case. */
const MOVED = 48;

interface Part {
  readonly each: GradientCase;
  readonly dtype: DType;
  readonly feeds: Map<string, Tensor>;
  readonly inputs: Map<string, Value>;
  readonly trained: Value[];
  y: string;
  seed: Float64Array;
}

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function drawn(each: GradientCase, count: number, next: () => number): number[] {
  if (each.draw === 'positive') return Array.from({ length: count }, () => 0.5 + 1.5 * next());
  if (each.draw === 'small') return Array.from({ length: count }, () => 1.4 * next() - 0.7);
  if (each.draw !== 'apart') return Array.from({ length: count }, () => 4 * next() - 2);
  // Steps of 0.17 around zero, never near it: further apart than any element is moved.
  const order = Array.from({ length: count }, (_, at) => [next(), at] as const).sort((a, b) => a[0] - b[0]);
  return order.map(([, at]) => (at - (count >> 1) + 0.5) * 0.17);
}

export const floats = (dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor =>
  Tensor.of(dtype, shape, dtype === 'double' ? Float64Array.from(values) : Float32Array.from(values));

const numbered = (dtype: DType, shape: readonly number[], values: readonly number[]): Tensor =>
  dtype === 'int64' ? Tensor.ints(values, shape) : Tensor.of(dtype, shape, Uint8Array.from(values));

/** The case's graph, with its inputs by name; dims are numbers in the feeds and may be names in the types. */
function parsed(each: GradientCase, dtype: DType): Graph {
  const typed = (text: string) => text.replace(/\bT(?=[[ ])/g, dtype);
  const constants = each.constants ? `<${typed(each.constants)}>` : '';
  const nodes = each.nodes.replace('to=11', `to=${dtype === 'double' ? 1 : 11}`);
  return parseModel(
    `<ir_version: 10, opset_import: ["": 21]> g (${typed(each.inputs)}) => (y) ${constants} { ${nodes} }`,
  ).graph;
}

export interface Found {
  readonly name: string;
  /** Largest |gradient − difference| over all inputs, by the largest of both. */
  readonly error: number;
  readonly checked: number;
}

/** One comparison a case. */
export async function compareGradients(cases: readonly GradientCase[]): Promise<Found[]> {
  const model = new Model(new Graph('cases'));
  const parts = cases.map((each, at) => placed(model, each, at));
  await inferTypes(model);
  const outputs = model.graph.outputs;
  const forward = await openSession(model, { optimization: 'off', threads: 1 });
  const ports = new Map<Part, { seed: Value; gradients: (Value | undefined)[] }>();
  parts.forEach((part, at) => {
    const y = outputs[at]!;
    const seed = addInput(model.graph, `${at}/seed`, y.type);
    const found = differentiate(model, { wrt: part.trained, seeds: new Map([[y, seed]]) });
    ports.set(part, { seed, gradients: part.trained.map((value) => found.get(value)) });
  });
  for (const { gradients } of ports.values())
    for (const value of gradients) if (value && !value.isOutput) addGraphOutput(model.graph, value);
  const backward = await openSession(model, { optimization: 'off', threads: 1 });
  try {
    return await judged(parts, ports, forward, backward);
  } finally {
    await forward.release();
    await backward.release();
  }
}

function placed(model: Model, each: GradientCase, at: number): Part {
  const dtype: DType = each.float ? 'float' : 'double';
  const graph = parsed(each, dtype);
  const next = random(at + 1);
  const part: Part = {
    each,
    dtype,
    feeds: new Map(),
    inputs: new Map(),
    trained: [],
    y: '',
    seed: new Float64Array(),
  };
  const inputs = graph.inputs.map((input) => {
    const dims = input.shape ?? [];
    const type = tensorType(
      input.dtype!,
      dims.map((dim) => (typeof dim === 'string' ? `${dim}_${at}` : dim)),
    );
    const value = addInput(model.graph, `${at}/${input.name}`, type);
    const sizes = dims.map((dim) => (typeof dim === 'string' ? each.dims![dim]! : (dim as number)));
    const given = each.given?.[input.name];
    part.feeds.set(
      value.name,
      given
        ? numbered(input.dtype!, sizes, given)
        : floats(dtype, sizes, drawn(each, elementCount(sizes), next)),
    );
    part.inputs.set(value.name, value);
    if (!given && !each.fixed?.includes(input.name)) part.trained.push(value);
    return value;
  });
  const [y] = inlineGraph(graph, { endOf: model.graph }, inputs, { prefix: `${at}/` });
  addGraphOutput(model.graph, y!);
  part.y = y!.name;
  return part;
}

async function judged(
  parts: readonly Part[],
  ports: ReadonlyMap<Part, { seed: Value; gradients: (Value | undefined)[] }>,
  forward: Session,
  backward: Session,
): Promise<Found[]> {
  const base = Object.fromEntries(parts.flatMap((part) => [...part.feeds]));
  const first = await forward.run(base);
  const seeds: Record<string, Tensor> = {};
  for (const [at, part] of parts.entries()) {
    const y = first[part.y]!;
    const next = random(1000 + at);
    part.seed = Float64Array.from({ length: y.count }, () => Math.fround(2 * next() - 1));
    seeds[ports.get(part)!.seed.name] = floats(y.dtype, y.shape, part.seed);
  }
  const results = await backward.run({ ...base, ...seeds });
  const loss = (part: Part, y: Tensor): number => {
    const values = y.toNumbers();
    return values.reduce((sum, value, at) => sum + value * part.seed[at]!, 0);
  };
  // What is moved in each case: elements of its inputs, spread evenly.
  const moves = parts.map((part) => {
    const all = part.trained.flatMap((value, input) =>
      Array.from({ length: part.feeds.get(value.name)!.count }, (_, element) => ({ value, input, element })),
    );
    const stride = Math.max(1, all.length / MOVED);
    return Array.from({ length: Math.min(MOVED, all.length) }, (_, at) => all[Math.floor(at * stride)]!);
  });
  const differences = parts.map((): number[] => []);
  for (let turn = 0; turn < MOVED; turn++) {
    const losses: number[][] = [];
    for (const step of [1, -1, 2, -2]) {
      const feeds = { ...base };
      parts.forEach((part, at) => {
        const move = moves[at]![turn];
        if (move === undefined) return;
        const given = part.feeds.get(move.value.name)!;
        const values = given.toNumbers();
        values[move.element]! += step * stepOf(part);
        feeds[move.value.name] = floats(part.dtype, given.shape, values);
      });
      const outputs = await forward.run(feeds);
      losses.push(parts.map((part) => loss(part, outputs[part.y]!)));
    }
    parts.forEach((part, at) => {
      if (moves[at]![turn] === undefined) return;
      const [up, down, twiceUp, twiceDown] = losses.map((each) => each[at]!) as [
        number,
        number,
        number,
        number,
      ];
      // Richardson: the errors of steps h and 2h cancel up to the fourth power.
      const h = stepOf(part);
      differences[at]!.push((8 * (up - down) - (twiceUp - twiceDown)) / (12 * h));
    });
  }
  return parts.map((part, at) => {
    const { gradients } = ports.get(part)!;
    const told = moves[at]!.map(({ input, element }) => {
      const value = gradients[input];
      const tensor = value && results[value.name]!;
      if (tensor === undefined) return Number.NaN;
      if (tensor.shape.join() !== part.feeds.get(part.trained[input]!.name)!.shape.join()) return Number.NaN;
      return Number(tensor.data()[element]);
    });
    const largest = Math.max(1e-6, ...told.map(Math.abs), ...differences[at]!.map(Math.abs));
    const errors = told.map((value, each) => Math.abs(value - differences[at]![each]!) / largest);
    return {
      name: part.each.name,
      error: errors.some(Number.isNaN) ? Number.NaN : Math.max(...errors),
      checked: told.length,
    };
  });
}

const stepOf = (part: Part): number => (part.dtype === 'double' ? 1e-3 : 0.02);
