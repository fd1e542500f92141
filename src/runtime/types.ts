import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attribute } from '../ir/attribute.js';
import { dtypeOfCode } from '../ir/dtype.js';
import { setType, valuesOf, valuesRead } from '../ir/edit.js';
import type { Graph, LocalFunction, Model, Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { Dim, TensorType, Type } from '../ir/type.js';
import { encodeTypeQuery, statedTypes } from '../onnx/type-query.js';
import { attempt, type Refusal } from './attempt.js';
import type { Excerpt, Origin } from './excerpt.js';
import { type SessionOptions, withSession } from './session.js';

/** Constants up to this size may decide a shape and go along; larger ones become inputs. */
const KEPT_BYTES = 4096;
const KEPT_INTEGER_BYTES = 1 << 16;

const UNCROSSABLE = 'Unsupported data type';

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
  const before = count(model);
  await inferGraph(model.graph, origin, refusals);
  await inferFunctions(model, refusals);
  const untyped = [...untypedIn(model.graphs())];
  return { typed: before - untyped.length, untyped, refusals };
}

const MOST_NESTING = 8;

/** Types function bodies from their calls, outermost first, since a body's own calls are typed only with it. */
async function inferFunctions(model: Model, refusals: Refusal[]): Promise<void> {
  const done = new Set<LocalFunction>();
  for (let round = 0; round < MOST_NESTING && done.size < model.functions.length; round++) {
    let progress = false;
    for (const each of model.functions) {
      if (done.has(each) || concerned(each.body).length === 0) continue;
      const bindings = agreed(model, each);
      if (bindings === undefined) continue;
      done.add(each);
      progress = true;
      const origin: Origin = { opsets: each.opsets, functions: model.functions, bindings };
      await inferGraph(each.body, origin, refusals);
    }
    if (!progress) return;
  }
}

/**
 * Types a function's inputs by what all calls have in common and answers with the attributes that they bind; undefined
 * when there is no call, when one is not typed yet, or when dtypes, ranks or attributes differ among them.
 */
function agreed(model: Model, callee: LocalFunction): Map<string, Attribute> | undefined {
  const calls: Node[] = [];
  for (const graph of model.graphs()) {
    for (const node of graph.nodes())
      if (node.is(callee.name, callee.domain) && node.overload === callee.overload) calls.push(node);
  }
  const [first] = calls;
  if (first === undefined) return undefined;
  const bindings = bindingsOf(first, callee);
  for (const call of calls) if (!sameBindings(bindings, bindingsOf(call, callee))) return undefined;
  const types = callee.body.inputs.map((_, index) => commonType(calls.map((call) => call.inputs[index])));
  if (types.includes('differ')) return undefined;
  callee.body.inputs.forEach((input, index) => {
    const type = types[index] as Type | undefined;
    if (input.type === undefined && type !== undefined) setType(input, type);
  });
  return bindings;
}

function bindingsOf(call: Node, callee: LocalFunction): Map<string, Attribute> {
  const bindings = new Map(callee.attributeDefaults);
  for (const [name, attribute] of call.attributes) bindings.set(name, attribute);
  return bindings;
}

function sameBindings(a: ReadonlyMap<string, Attribute>, b: ReadonlyMap<string, Attribute>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, attribute] of a) {
    const other = b.get(name);
    if (other === attribute) continue;
    // Tensors and graphs are the same only when they are one object; the rest is plain data.
    if (/^(ref|tensors?|graphs?|sparses?)$/.test(attribute.kind)) return false;
    if (JSON.stringify(attribute, bigintText) !== JSON.stringify(other, bigintText)) return false;
  }
  return true;
}

const bigintText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);

/** One type for what calls pass: dimensions in which they differ unknown. Undefined where none passes anything. */
function commonType(passed: readonly (Value | undefined)[]): Type | undefined | 'differ' {
  if (passed.every((value) => value === undefined)) return undefined;
  const types = passed.map((value) => value?.type);
  const [first] = types;
  if (first === undefined || types.some((type) => type === undefined)) return 'differ';
  if (first.kind !== 'tensor') {
    return types.every((type) => JSON.stringify(type) === JSON.stringify(first)) ? first : 'differ';
  }
  let shape = first.shape;
  for (const type of types) {
    if (type?.kind !== 'tensor' || type.dtype !== first.dtype) return 'differ';
    const other = type.shape;
    shape =
      shape === undefined || other?.length !== shape.length
        ? undefined
        : shape.map((dim, axis) => (dim === other[axis] ? dim : null));
  }
  return { kind: 'tensor', dtype: first.dtype, shape };
}

const count = (model: Model): number => [...untypedIn(model.graphs())].length;

function* untypedIn(graphs: Iterable<Graph>): IterableIterator<Value> {
  for (const graph of graphs) for (const value of valuesOf(graph)) if (value.type === undefined) yield value;
}

async function inferGraph(graph: Graph, origin: Origin, refusals: Refusal[]): Promise<void> {
  const nodes = concerned(graph);
  if (nodes.length === 0) return;
  const result = await attempt(origin, { nodes, outputs: [], keeps: decidesShapes, probe: true }, ask);
  if (result.answer) result.answer();
  refusals.push(...result.refusals);
  // What lies inside a node that was left out can still be typed from what it captures.
  for (const node of nodes) {
    for (const inner of node.subgraphs) {
      if (concerned(inner).length > 0 && inner !== graph) await inferGraph(inner, origin, refusals);
    }
  }
}

/** Shape arithmetic is done on small integers; of other constants only small ones (scales, limits) matter. */
function decidesShapes(tensor: Tensor): boolean {
  const integer = tensor.dtype === 'int64' || tensor.dtype === 'int32';
  return tensor.byteLength <= (integer && tensor.shape.length <= 1 ? KEPT_INTEGER_BYTES : KEPT_BYTES);
}

/** The nodes that make an untyped value, in order, and those before them that compute shapes. */
function concerned(graph: Graph): Node[] {
  const needed = new Set<Node>();
  const visit = (node: Node): void => {
    if (needed.has(node)) return;
    needed.add(node);
    const pending = [node];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      for (const value of valuesRead(at)) {
        const { producer } = value;
        if (producer === undefined || value.graph !== graph || needed.has(producer)) continue;
        if (!mayHoldShape(value)) continue;
        needed.add(producer);
        pending.push(producer);
      }
    }
  };
  for (const node of graph.nodes()) if (lacksTypes(node)) visit(node);
  if (needed.size === graph.nodeCount) return [...graph.nodes()];
  return [...graph.nodes()].filter((node) => needed.has(node));
}

function lacksTypes(node: Node): boolean {
  if (node.outputs.some((output) => !output.isOmitted && output.type === undefined)) return true;
  for (const inner of node.subgraphs) {
    for (const _ of untypedIn(inner.withSubgraphs())) return true;
  }
  return false;
}

function mayHoldShape(value: Value): boolean {
  const { type } = value;
  if (type === undefined) return true;
  if (type.kind !== 'tensor') return false;
  return (type.dtype === 'int64' || type.dtype === 'int32') && (type.shape?.length ?? 0) <= 1;
}

/** One session on an excerpt; the answer sets the types. */
async function ask(cut: Excerpt): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'quantc-types-'));
  try {
    const optimizedPath = join(folder, 'typed.onnx');
    const options: SessionOptions = { optimization: 'off', threads: 1, optimizedPath };
    await withSession(encodeTypeQuery(cut.model), options, () => {}).catch((error: unknown) => {
      // Inputs of a dtype that cannot cross into JavaScript: by then the answer is written.
      if (!String(error).includes(UNCROSSABLE) || !existsSync(optimizedPath)) throw error;
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
