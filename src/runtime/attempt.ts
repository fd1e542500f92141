import { QuantcError } from '../errors/error.js';
import type { Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { type Excerpt, type ExcerptOptions, excerpt, type Origin } from './excerpt.js';
import { canCross } from './tensor.js';

/** Nodes left out before the rest is given up. */
const MOST_CULPRITS = 24;
/** Weights kept for a node that insists on constants; more than that is not worth knowing a type. */
const MOST_KEPT_BYTES = 1 << 26;

/** A node that ONNX Runtime would not take, and what it said. */
export interface Refusal {
  readonly node: Node;
  readonly reason: string;
}

/**
 * Puts as much of an excerpt before ONNX Runtime as it takes: when it refuses, the node that it names (or that bisection
 * finds) is left out, with everything that needs it, and the rest is tried again.
 * @returns what `use` answered, or undefined when nothing was left; and the nodes left out.
 */
export async function attempt<T>(
  origin: Origin,
  options: ExcerptOptions,
  use: (cut: Excerpt) => Promise<T>,
): Promise<{ answer: T | undefined; refusals: Refusal[] }> {
  const nodes = [...options.nodes];
  const without = new Set(options.without);
  const kept = new Set<Tensor>();
  const refusals: Refusal[] = [];
  const pardoned = new Set<Node>();
  const keeps = options.keeps && ((tensor: Tensor) => kept.has(tensor) || options.keeps!(tensor));
  let opsets = origin.opsets;
  const cutOf = (some: readonly Node[], outputs = options.outputs) =>
    excerpt({ ...origin, opsets }, { ...options, nodes: some, outputs, without, keeps });
  // A part of the nodes need not make any value that is wanted: whatever it makes comes out.
  const partOf = (some: readonly Node[]) => cutOf(some, options.probe ? [] : some.flatMap(crossingOutputs));
  while (refusals.length < MOST_CULPRITS) {
    const cut = cutOf(nodes);
    if (cut === undefined) break;
    const error = await use(cut).then(
      (answer) => ({ answer }),
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof Error)) return { answer: (error as { answer: T }).answer, refusals };
    if (!isRefusal(error)) throw error;
    const older = options.probe ? lowered(opsets, error.message) : undefined;
    if (older !== undefined) {
      opsets = older;
      continue;
    }
    const named = namedIn(error.message, cut);
    const culprit = named ?? (await bisect(nodes, without, partOf, use));
    if (culprit === undefined) break;
    if (named !== undefined && options.keeps && !pardoned.has(named) && keepConstants(named, kept)) {
      // Some kernels want their weights to be constants: once, give the node what was withheld.
      pardoned.add(named);
      continue;
    }
    refusals.push({ node: culprit, reason: error.message });
    for (const node of alike(culprit, error.message, nodes, cut)) without.add(node);
  }
  return { answer: undefined, refusals };
}

const isRefusal = (error: Error): error is QuantcError =>
  error instanceof QuantcError && (error.code === 'E_RUNTIME_LOAD' || error.code === 'E_RUNTIME_RUN');

/**
 * Newest operator sets that ONNX Runtime knows, when it complains of newer ones. Good enough to ask for types, which
 * hardly ever change from one version to the next; not for computing.
 */
function lowered(opsets: ReadonlyMap<string, number>, message: string): Map<string, number> | undefined {
  const limit = /support for domain (\S+) is till opset (\d+)/.exec(message);
  if (limit === null) return undefined;
  const domain = limit[1] === 'ai.onnx' ? '' : limit[1]!;
  const newest = Number(limit[2]);
  if ((opsets.get(domain) ?? 0) <= newest) return undefined;
  return new Map(opsets).set(domain, newest);
}

/** ONNX Runtime names nodes in most of its messages; excerpts' names are of one form. */
function namedIn(message: string, cut: Excerpt): Node | undefined {
  for (const [name] of message.matchAll(/\bquantc_n\d+/g)) {
    const node = cut.nodes.get(name);
    if (node !== undefined) return node;
  }
  return undefined;
}

function keepConstants(node: Node, kept: Set<Tensor>): boolean {
  let bytes = 0;
  const before = kept.size;
  for (const input of node.inputs) {
    const tensor = input?.constant ?? input?.producer?.tensor('value');
    if (tensor === undefined || bytes + tensor.byteLength > MOST_KEPT_BYTES) continue;
    bytes += tensor.byteLength;
    kept.add(tensor);
  }
  return kept.size > before;
}

/** An operator that is not there at all is not there for any other node. A node of a subgraph takes its owner along. */
function alike(culprit: Node, message: string, nodes: readonly Node[], cut: Excerpt): Node[] {
  const listed = new Set(nodes);
  const outer = (node: Node): Node | undefined => {
    let at: Node | undefined = node;
    while (at !== undefined && !listed.has(at)) at = at.graph.owner;
    return at;
  };
  const missing = /No Op registered|not a registered function|Could not find an implementation/.test(message);
  const culprits = missing
    ? [...cut.nodes.values()].filter((node) => node.is(culprit.opType, culprit.domain))
    : [culprit];
  return culprits.map(outer).filter((node) => node !== undefined);
}

const crossingOutputs = (node: Node): Value[] =>
  node.outputs.filter(
    ({ isOmitted, type }) => !isOmitted && (type?.kind !== 'tensor' || canCross(type.dtype)),
  );

/** The last node of the shortest prefix that fails. */
async function bisect<T>(
  nodes: readonly Node[],
  without: ReadonlySet<Node>,
  partOf: (some: readonly Node[]) => Excerpt | undefined,
  use: (cut: Excerpt) => Promise<T>,
): Promise<Node | undefined> {
  const candidates = nodes.filter((node) => !without.has(node));
  let [good, bad] = [0, candidates.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    const cut = partOf(candidates.slice(0, middle));
    const fails =
      cut !== undefined &&
      (await use(cut).then(
        () => false,
        () => true,
      ));
    if (fails) bad = middle;
    else good = middle;
  }
  return candidates[bad - 1];
}
