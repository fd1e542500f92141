import {
  constantNumbers,
  constantOf,
  definePass,
  factKey,
  isStatic,
  type Model,
  type Node,
  opsetOf,
  readsFunctionAttributes,
  replaceNode,
  Tensor,
  type Value,
} from '../src/index.js';
import { Emitter } from './algebra/emitter.js';
import {
  type Cell,
  type Direction,
  gatedCell,
  longShortCell,
  plainCell,
  type States,
} from './lower-recurrent/cells.js';
import { transposedGates } from './lower-recurrent/weights.js';

/** Most steps that a recurrent node is written out for, where nobody says otherwise. */
export const UNROLL_LIMIT = 128;
/** Another limit. */
export const unrollFact = factKey<number>('unroll');

/**
 * `LSTM`, `GRU`, `RNN` over a fixed number of steps → products, sums and functions, step by step, with the very weights.
 *
 * What the inputs give is one product over all steps, biases of inputs and states in it; each step adds the product of
 * its state. All steps read the same constants. Both directions, initial states, peepholes, coupled gates,
 * `linear_before_reset` and the functions Sigmoid, Tanh and Relu are written out; clipping, samples of different
 * lengths, other functions, weights that are no constants, and more steps than the limit are left, with the reason.
 */
export const lowerRecurrent = definePass({
  name: 'lower-recurrent',
  doc: 'LSTM, GRU, RNN over few, fixed steps → their arithmetic, step by step',
  needs: ['typed'],
  run(model, context) {
    const limit = unrollFact.find(context) ?? UNROLL_LIMIT;
    for (const graph of model.graphs()) {
      if (opsetOf(model, graph) < 18) continue;
      for (const node of graph.nodes()) {
        if (node.domain !== '' || !(node.opType in KINDS)) continue;
        const parts = partsOf(node, limit);
        if (typeof parts === 'string') {
          context.decline(parts, node);
          continue;
        }
        context.changed(`${node.opType} → ${parts.steps} steps`, node);
        unroll(model, node, parts);
      }
    }
  },
});

interface Kind {
  readonly gates: number;
  readonly functions: readonly string[];
  readonly cell: (emit: Emitter, of: Direction) => Cell;
}
const KINDS: Readonly<Record<string, Kind>> = {
  LSTM: { gates: 4, functions: ['Sigmoid', 'Tanh', 'Tanh'], cell: longShortCell },
  GRU: { gates: 3, functions: ['Sigmoid', 'Tanh'], cell: gatedCell },
  RNN: { gates: 1, functions: ['Tanh'], cell: plainCell },
};
const FUNCTIONS = new Set(['Sigmoid', 'Tanh', 'Relu']);

interface Parts {
  readonly steps: number;
  readonly batch: number;
  readonly size: number;
  readonly directions: readonly { readonly reverse: boolean; readonly activations: readonly string[] }[];
  readonly w: Tensor;
  readonly r: Tensor;
  readonly b: Tensor | undefined;
  readonly peepholes: Tensor | undefined;
}

/** What the node is made of, or why it is left. */
function partsOf(node: Node, limit: number): Parts | string {
  const kind = KINDS[node.opType]!;
  const [x, weight, recurrence, bias, lengths] = node.inputs;
  if (readsFunctionAttributes(node)) return 'the caller decides its attributes';
  if (x?.dtype !== 'float') return `its input is ${x?.dtype ?? 'of an unknown type'}, not float`;
  if (!isStatic(x.shape) || x.shape.length !== 3) return 'the number of steps or of samples is not fixed';
  if (node.int('layout', 0) !== 0) return 'its samples come before its steps (layout = 1)';
  if (node.attributes.has('clip')) return 'it clips its sums';
  const [steps, batch] = x.shape as readonly [number, number, number];
  if (steps > limit) return `it has ${steps} steps, more than the limit of ${limit}`;
  if (steps === 0 || batch === 0) return 'it has nothing to go over';
  const known = lengths === undefined || constantNumbers(lengths)?.every((each) => each === steps);
  if (!known) return 'samples may have different lengths';
  const [w, r, b, peepholes] = [weight, recurrence, bias, node.inputs[7]].map(constantOf);
  if (!w || !r || (bias && !b) || (node.inputs[7] && !peepholes)) return 'its weights are not constant';
  const direction = node.string('direction', 'forward');
  const count = direction === 'bidirectional' ? 2 : 1;
  const stated = node.attributes.get('activations');
  const names =
    stated?.kind === 'strings'
      ? stated.value.map(String)
      : Array.from({ length: count }, () => kind.functions).flat();
  const functions = names.map((name) =>
    [...FUNCTIONS].find((each) => each.toLowerCase() === name.toLowerCase()),
  );
  if (functions.length !== count * kind.functions.length || functions.includes(undefined))
    return `it applies ${names.join(', ')}`;
  const size = w.shape[1]! / kind.gates;
  return {
    steps,
    batch,
    size,
    w,
    r,
    b,
    peepholes,
    directions: Array.from({ length: count }, (_, at) => ({
      reverse: at === 1 || direction === 'reverse',
      activations: (functions as string[]).slice(
        at * kind.functions.length,
        (at + 1) * kind.functions.length,
      ),
    })),
  };
}

function unroll(model: Model, node: Node, parts: Parts): void {
  const emit = new Emitter(model, node);
  const runs = parts.directions.map(({ reverse, activations }, index) => {
    const direction: Direction = { node, index, ...parts, activations };
    return run(emit, direction, parts, reverse);
  });
  const { steps, batch, size } = parts;
  const stacked = (values: readonly Value[], axis: number): Value =>
    values.length === 1 ? values[0]! : emit.op('Concat', values, { axis });
  const last = (state: number) => (): Value =>
    stacked(
      runs.map(({ states }) => emit.op('Reshape', [states[state], emit.ints([1, batch, size])])),
      0,
    );
  const all = (): Value =>
    stacked(
      runs.map(({ outputs }) =>
        emit.op('Reshape', [stacked(outputs, 0), emit.ints([steps, 1, batch, size])]),
      ),
      1,
    );
  const made = [all, last(0), last(1)];
  replaceNode(
    node,
    node.outputs.map((output, at) =>
      output.isOmitted || (output.uses.length === 0 && !output.isOutput) ? undefined : made[at]!(),
    ),
  );
}

/** Goes over the steps in one direction: the states [B, H] at the end, and h after each step in the order of steps. */
function run(
  emit: Emitter,
  of: Direction,
  { steps, batch, size, directions }: Parts,
  reverse: boolean,
): { readonly states: States; readonly outputs: readonly Value[] } {
  const { node } = of;
  const kind = KINDS[node.opType]!;
  const cell = kind.cell(emit, of);
  const x = node.inputs[0]!;
  const rows = { direction: of.index, gate: 0, gates: cell.gates, size };
  const weight = emit.constant(transposedGates(of.w, rows), `${node.name}_W`);
  const product = emit.op('MatMul', [x, weight]);
  const sum = cell.inputBias ? emit.op('Add', [product, emit.constant(cell.inputBias)]) : product;
  const parts = steps === 1 ? [sum] : emit.ops('Split', [sum], { axis: 0, num_outputs: steps }, steps);
  const row = emit.ints([batch, cell.gates * size]);
  const initial = (index: number): Value => {
    const given = node.inputs[index];
    if (given === undefined)
      return emit.constant(Tensor.of('float', [batch, size], new Float32Array(batch * size)));
    const [from, to] = [of.index, of.index + 1].map((each) => emit.ints([each]));
    const own = directions.length === 1 ? given : emit.op('Slice', [given, from, to, emit.ints([0])]);
    return emit.op('Reshape', [own, emit.ints([batch, size])]);
  };
  let states: States = kind.gates === 4 ? [initial(5), initial(6)] : [initial(5)];
  const outputs: Value[] = [];
  for (let step = 0; step < steps; step++) {
    const at = reverse ? steps - 1 - step : step;
    states = cell.step(emit.op('Reshape', [parts[at], row]), states);
    outputs[at] = states[0]!;
  }
  return { states, outputs };
}
