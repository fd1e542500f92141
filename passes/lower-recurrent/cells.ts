import { type Node, Tensor, type Value } from '../../src/index.js';
import type { Emitter } from '../algebra/emitter.js';
import { type GateRows, sumOf, transposedGates, vectorGates } from './weights.js';

/** One direction of a recurrent node: its constants, and the functions that it applies. */
export interface Direction {
  readonly node: Node;
  readonly index: number;
  /** H, elements of a state. */
  readonly size: number;
  readonly w: Tensor;
  readonly r: Tensor;
  /** [D, 2·G·H]: those of the inputs, then those of the states. */
  readonly b: Tensor | undefined;
  readonly peepholes: Tensor | undefined;
  /** Operators, in the order of the node's `activations`. */
  readonly activations: readonly string[];
}

/** States after a step: h, and c of an LSTM. */
export type States = readonly Value[];

/** A cell written out: what all steps share is made once. */
export interface Cell {
  /** Gates in the order of the weight's rows. */
  readonly gates: number;
  /** Added to what the inputs give for all gates at once: [G·H], or nothing. */
  readonly inputBias: Tensor | undefined;
  /** States [B, H] after a step from those before it, and from what the inputs give: [B, G·H]. */
  step(inputs: Value, states: States): States;
}

const rowsOf = ({ index, size }: Direction, gate: number, gates: number): GateRows => ({
  direction: index,
  gate,
  gates,
  size,
});

/** Biases of inputs and of states for some gates, added up. */
function bothBiases(of: Direction, gate: number, gates: number, all: number): Tensor | undefined {
  if (of.b === undefined) return undefined;
  return sumOf(vectorGates(of.b, rowsOf(of, gate, gates)), vectorGates(of.b, rowsOf(of, all + gate, gates)));
}

/** Gates z (LSTM: i, o, f, c; GRU: z, r, h), each [B, H], of a value [B, G·H]. */
const parted = (emit: Emitter, value: Value, gates: number): readonly Value[] =>
  gates === 1 ? [value] : emit.ops('Split', [value], { axis: -1, num_outputs: gates }, gates);

/** `H = f(x·Wᵀ + h·Rᵀ + Wb + Rb)`. */
export function plainCell(emit: Emitter, of: Direction): Cell {
  const recurrent = emit.constant(transposedGates(of.r, rowsOf(of, 0, 1)), `${of.node.name}_R`);
  return {
    gates: 1,
    inputBias: bothBiases(of, 0, 1, 1),
    step: (inputs, [h]) => [
      emit.op(of.activations[0]!, [emit.op('Add', [inputs, emit.op('MatMul', [h, recurrent])])]),
    ],
  };
}

/**
 * i, o, f by the first function and c̃ by the second; `C = f·c + i·c̃`, `H = o·third(C)`. Peepholes weigh the cell into
 * i and f as it was, into o as it has become; `input_forget` makes f = 1 − i.
 */
export function longShortCell(emit: Emitter, of: Direction): Cell {
  const recurrent = emit.constant(transposedGates(of.r, rowsOf(of, 0, 4)), `${of.node.name}_R`);
  const [first, second, third] = of.activations as readonly [string, string, string];
  const peep = (gate: number): Value | undefined =>
    of.peepholes && emit.constant(vectorGates(of.peepholes, rowsOf(of, gate, 1)), `${of.node.name}_P`);
  const [peepI, peepO, peepF] = [peep(0), peep(1), peep(2)];
  const coupled = of.node.int('input_forget', 0) === 1;
  const one = coupled ? emit.scalar(1, of.w.dtype) : undefined;
  const seen = (gate: Value, cell: Value, weight: Value | undefined): Value =>
    weight ? emit.op('Add', [gate, emit.op('Mul', [cell, weight])]) : gate;
  return {
    gates: 4,
    inputBias: bothBiases(of, 0, 4, 4),
    step: (inputs, [h, c]) => {
      const sum = emit.op('Add', [inputs, emit.op('MatMul', [h, recurrent])]);
      const [i, o, f, candidate] = parted(emit, sum, 4) as readonly [Value, Value, Value, Value];
      const input = emit.op(first, [seen(i, c!, peepI)]);
      const forget = one ? emit.op('Sub', [one, input]) : emit.op(first, [seen(f, c!, peepF)]);
      const kept = emit.op('Mul', [forget, c]);
      const cell = emit.op('Add', [kept, emit.op('Mul', [input, emit.op(second, [candidate])])]);
      const output = emit.op(first, [seen(o, cell, peepO)]);
      return [emit.op('Mul', [output, emit.op(third, [cell])]), cell];
    },
  };
}

/**
 * z, r by the first function, h̃ by the second; `H = (1 − z)·h̃ + z·h`. With `linear_before_reset` r weighs what the
 * state gives, `h̃ = g(x + r·(h·Rᵀ + Rb))`; without, the state itself, `h̃ = g(x + (r·h)·Rᵀ + Rb)`.
 */
export function gatedCell(emit: Emitter, of: Direction): Cell {
  const { dtype } = of.w;
  const [first, second] = of.activations as readonly [string, string];
  const after = of.node.int('linear_before_reset', 0) !== 0;
  const name = `${of.node.name}_R`;
  const both = emit.constant(transposedGates(of.r, rowsOf(of, 0, after ? 3 : 2)), name);
  const last = after ? undefined : emit.constant(transposedGates(of.r, rowsOf(of, 2, 1)), name);
  const lastBias = after && of.b ? emit.constant(vectorGates(of.b, rowsOf(of, 5, 1))) : undefined;
  const one = emit.scalar(1, dtype);
  const zr = bothBiases(of, 0, 2, 3);
  const candidateBias = !of.b
    ? undefined
    : after
      ? vectorGates(of.b, rowsOf(of, 2, 1))
      : bothBiases(of, 2, 1, 3);
  return {
    gates: 3,
    inputBias:
      zr &&
      Tensor.derive('float', [3 * of.size], [zr, candidateBias!], ([a, b]) =>
        Float32Array.from([...a!.toFloat32(), ...b!.toFloat32()]),
      ),
    step: (inputs, [h]) => {
      const [xz, xr, xh] = parted(emit, inputs, 3) as readonly [Value, Value, Value];
      const products = parted(emit, emit.op('MatMul', [h, both]), after ? 3 : 2);
      const update = emit.op(first, [emit.op('Add', [xz, products[0]])]);
      const reset = emit.op(first, [emit.op('Add', [xr, products[1]])]);
      const linear = products[2] && lastBias ? emit.op('Add', [products[2], lastBias]) : products[2];
      const state = linear
        ? emit.op('Mul', [reset, linear])
        : emit.op('MatMul', [emit.op('Mul', [reset, h]), last]);
      const candidate = emit.op(second, [emit.op('Add', [xh, state])]);
      const fresh = emit.op('Mul', [emit.op('Sub', [one, update]), candidate]);
      return [emit.op('Add', [fresh, emit.op('Mul', [update, h])])];
    },
  };
}
