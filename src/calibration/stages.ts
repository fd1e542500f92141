/**
 * A model cut into stages that run one after the other, so that the values to look at need not be held all at once.
 * Each stage is a model of its own; what later ones read of earlier ones is handed on. Nothing is computed twice, and
 * weights lie in the stage that reads them.
 */
import { constantOf } from '../ir/constant.js';
import { valuesRead } from '../ir/edit.js';
import type { Model, Node, Value } from '../ir/graph.js';
import { excerpt } from '../runtime/excerpt.js';
import { canTap, tapped } from '../runtime/tap.js';

/** One stage: a model, and where its inputs come from and its outputs go. */
export interface Stage {
  readonly model: Model;
  /** Name of each input, by the value that it takes. */
  readonly inputs: ReadonlyMap<Value, string>;
  /** Name of each output, by the value that it gives: those to look at, and those that later stages read. */
  readonly outputs: ReadonlyMap<Value, string>;
  /** Those of the outputs that later stages read. */
  readonly handsOn: ReadonlySet<Value>;
  /** Inputs that no later stage reads. */
  readonly last: ReadonlySet<Value>;
}

/**
 * Stages that together give the wanted values, each of them no more than about `ceiling` bytes, what it is handed
 * included. One value that is larger has a stage to itself. Where a cut would go through what cannot leave ONNX Runtime
 * (sequences, 4-bit integers), it is made further on.
 * @param wanted values that nodes of the main graph make
 * @param bytesOf size of a value in one run
 */
export function stagesOf(
  model: Model,
  wanted: readonly Value[],
  ceiling: number,
  bytesOf: (value: Value) => number,
): Stage[] {
  const whole = (): Stage[] => [wholeOf(model, wanted)];
  if (wanted.reduce((sum, value) => sum + bytesOf(value), 0) <= ceiling) return whole();
  const nodes = neededFor(wanted);
  const ordered = [...model.graph.nodes()].filter((node) => nodes.has(node));
  const pieces = cut(ordered, new Set(wanted), ceiling, bytesOf);
  if (pieces.length === 1) return whole();
  const stages: Stage[] = [];
  for (const [at, piece] of pieces.entries()) {
    const stage = stageOf(model, piece, new Set(wanted), new Set(pieces.slice(at + 1).flat()));
    // What an excerpt cannot hold (sparse constants, mostly) has the model run whole.
    if (stage === undefined) return whole();
    stages.push(stage);
  }
  return stages;
}

function wholeOf(model: Model, wanted: readonly Value[]): Stage {
  const inputs = model.graph.inputs.filter((value) => value.constant === undefined);
  return {
    model: tapped(model, wanted),
    inputs: new Map(inputs.map((value) => [value, value.name])),
    outputs: new Map(wanted.map((value) => [value, value.name])),
    handsOn: new Set(),
    last: new Set(),
  };
}

/** The nodes of the main graph that must run for these values. */
function neededFor(values: readonly Value[]): Set<Node> {
  const needed = new Set<Node>();
  const open = [...values];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const { producer } = value;
    if (producer === undefined || needed.has(producer)) continue;
    needed.add(producer);
    open.push(...outerReads(producer));
  }
  return needed;
}

/** What a node reads of its own graph and those around it, its subgraphs' reads included. */
const outerReads = (node: Node): Value[] => {
  const inner = new Set(node.subgraphs.flatMap((graph) => [...graph.withSubgraphs()]));
  return [...valuesRead(node)].filter((value) => !inner.has(value.graph));
};

/** Cuts the nodes, which are in order, wherever the next would make a piece too large. */
function cut(
  nodes: readonly Node[],
  wanted: ReadonlySet<Value>,
  ceiling: number,
  bytesOf: (value: Value) => number,
): Node[][] {
  /** Place of the last node that reads each value. */
  const lastRead = new Map<Value, number>();
  nodes.forEach((node, at) => {
    for (const value of outerReads(node)) lastRead.set(value, at);
  });
  const pieces: Node[][] = [[]];
  const alive = new Set<Value>();
  let room = ceiling;
  nodes.forEach((node, at) => {
    const made = node.outputs.filter((value) => wanted.has(value));
    const bytes = made.reduce((sum, value) => sum + bytesOf(value), 0);
    if (bytes > room && pieces.at(-1)!.length > 0 && [...alive].every(canTap)) {
      pieces.push([]);
      room = ceiling - [...alive].reduce((sum, value) => sum + bytesOf(value), 0);
    }
    pieces.at(-1)!.push(node);
    room -= bytes;
    for (const value of node.outputs) if ((lastRead.get(value) ?? -1) > at) alive.add(value);
    for (const value of alive) if (lastRead.get(value)! <= at) alive.delete(value);
  });
  return pieces;
}

function stageOf(
  model: Model,
  nodes: readonly Node[],
  wanted: ReadonlySet<Value>,
  later: ReadonlySet<Node>,
): Stage | undefined {
  const readLater = new Set([...later].flatMap(outerReads));
  const made = nodes.flatMap((node) => node.outputs);
  const given = made.filter((value) => !value.isOmitted && (wanted.has(value) || readLater.has(value)));
  const part = excerpt(model, { nodes, outputs: given });
  if (part === undefined || part.model.graph.outputs.length < given.length) return undefined;
  const names = new Set(part.model.graph.inputs.map((input) => input.name));
  const inputs = new Map([...part.names].filter(([, name]) => names.has(name)));
  const sound = [...inputs.keys()].every(
    (value) =>
      value.graph === model.graph && constantOf(value) === undefined && (value.isInput || value.producer),
  );
  if (!sound || inputs.size < names.size) return undefined;
  const outputs = new Map(given.map((value) => [value, part.names.get(value)!]));
  const handsOn = new Set(given.filter((value) => readLater.has(value)));
  const last = new Set([...inputs.keys()].filter((value) => !readLater.has(value)));
  return { model: part.model, inputs, outputs, handsOn, last };
}
