import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dtypeOfCode } from '../ir/dtype.js';
import { setType, valuesOf } from '../ir/edit.js';
import type { Graph, Model, Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Dim, TensorType, Type } from '../ir/type.js';
import { encodeTypeQuery, statedTypes } from '../onnx/type-query.js';
import { attempt, type Refusal } from './attempt.js';
import { concerned, remember } from './concern.js';
import type { Excerpt, Origin } from './excerpt.js';
import { typedFunctions } from './function-types.js';
import { type SessionOptions, withSession } from './session.js';

/** Constants up to this size may decide a shape and go along; larger ones become inputs. */
const KEPT_BYTES = 4096;
const KEPT_INTEGER_BYTES = 1 << 16;

const UNCROSSABLE = /unsupported data type/i;

/** What could not be typed, and why. */
export interface TypeReport {
  /** Values that have a type now and had none. */
  readonly typed: number;
  readonly untyped: readonly Value[];
  /** The nodes that ONNX Runtime did not take, with its words. */
  readonly refusals: readonly Refusal[];
}

/**
 * Sets the type of every value that has none: dtype, and shape as far as ONNX Runtime's inference knows it, symbolic
 * dimensions kept. The nodes concerned, with whatever small integers decide their shapes, are put before it without
 * their weights; types come from the graph that it writes back. Subgraphs are typed with their owners, and by
 * themselves where the owner is refused. Bodies of local functions are typed when all calls agree on types and
 * attributes. Values that already have a type keep it, unknown dimensions filled in.
 */
export async function inferTypes(model: Model): Promise<TypeReport> {
  const refusals: Refusal[] = [];
  const { opsets, functions, irVersion } = model;
  const origin: Origin = { opsets, functions, irVersion };
  const before = untypedValues(model.graphs()).length;
  await inferGraph(model.graph, origin, refusals);
  for (const { body, bindings, opsets: own } of typedFunctions(model)) {
    await inferGraph(body, { opsets: own, functions, bindings }, refusals);
  }
  const untyped = untypedValues(model.graphs());
  return { typed: before - untyped.length, untyped, refusals };
}

function untypedValues(graphs: Iterable<Graph>): Value[] {
  const values: Value[] = [];
  for (const graph of graphs)
    for (const value of valuesOf(graph)) if (value.type === undefined) values.push(value);
  return values;
}

async function inferGraph(graph: Graph, origin: Origin, refusals: Refusal[]): Promise<void> {
  // First what has changed, which mostly tells nothing new; then, if it did, all that may follow from it.
  for (const onward of [false, true]) {
    const nodes = concerned(graph, origin.opsets, onward);
    if (nodes.length === 0) return;
    await inferNodes(graph, nodes, origin, refusals);
  }
}

async function inferNodes(
  graph: Graph,
  nodes: readonly Node[],
  origin: Origin,
  refusals: Refusal[],
): Promise<void> {
  const result = await attempt(origin, { nodes, outputs: [], keeps: decidesShapes, probe: true }, ask);
  if (result.answer) result.answer();
  refusals.push(...result.refusals);
  // What lies inside a node that was left out can still be typed from what it captures.
  for (const node of nodes) {
    for (const inner of node.subgraphs)
      if (inner !== graph && untypedValues(inner.withSubgraphs()).length > 0)
        await inferGraph(inner, origin, refusals);
  }
  remember(nodes, origin.opsets);
}

/** Shape arithmetic is done on small integers; of other constants only small ones (scales, limits) matter. */
function decidesShapes(tensor: Tensor): boolean {
  const integer = tensor.dtype === 'int64' || tensor.dtype === 'int32';
  return tensor.byteLength <= (integer && tensor.shape.length <= 1 ? KEPT_INTEGER_BYTES : KEPT_BYTES);
}

/** One session on an excerpt; the answer sets the types. */
async function ask(cut: Excerpt): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-types-'));
  try {
    const optimizedPath = join(folder, 'typed.onnx');
    const options: SessionOptions = { optimization: 'off', threads: 1, optimizedPath };
    await withSession(encodeTypeQuery(cut.model), options, () => {}).catch((error: unknown) => {
      // Inputs of a dtype that cannot cross into JavaScript: by then the answer is written.
      if (!UNCROSSABLE.test(String(error)) || !existsSync(optimizedPath)) throw error;
    });
    const told = statedTypes(readFileSync(optimizedPath));
    return () => {
      for (const [value, name] of cut.names) {
        const type = told.get(name);
        if (type !== undefined) learn(value, castTo(value, type));
      }
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What a Cast gives is what it says: ONNX Runtime joins chains of casts even with its optimizer off, and then states
 * the dtype of another one.
 */
function castTo({ producer }: Value, told: Type): Type {
  const to = producer?.is('Cast') ? producer.int('to') : undefined;
  return to === undefined || told.kind !== 'tensor' ? told : { ...told, dtype: dtypeOfCode(to) };
}

function learn(value: Value, told: Type): void {
  const known = value.type;
  if (known === undefined) {
    setType(value, told);
    return;
  }
  // A declared input is the model's signature: it says what callers may rely on, not what is so today.
  if (value.isInput || value.constant !== undefined) return;
  const better = refine(known, told);
  if (better !== known) setType(value, better);
}

/** Fills in what a type leaves open. Where the two contradict each other the known one stays. */
function refine(known: Type, told: Type): Type {
  if (known.kind !== 'tensor' || told.kind !== 'tensor' || known.dtype !== told.dtype) return known;
  if (told.shape === undefined) return known;
  if (known.shape === undefined) return { ...known, shape: told.shape } satisfies TensorType;
  if (known.shape.length !== told.shape.length) return known;
  const shape: Dim[] = known.shape.map((dim, axis) => {
    const other = told.shape![axis]!;
    return typeof dim === 'number' || (typeof dim === 'string' && typeof other !== 'number') ? dim : other;
  });
  return shape.every((dim, axis) => dim === known.shape![axis]) ? known : { ...known, shape };
}
