import {
  type Attribute,
  definePass,
  type Graph,
  inlineGraph,
  type LocalFunction,
  type Model,
  type Node,
  replaceNode,
} from '../src/index.js';

/** Functions that call functions that call functions can grow without bound; more nodes than this are left as calls. */
const MOST_NODES = 1_000_000;
const DEEPEST = 256;

/**
 * Calls of functions that read an operator set in another version than the model stay; so do calls whose attributes do
 * not fit, and functions that call themselves. Run it again after `upgrade-opset`, which makes the versions of ai.onnx
 * equal.
 */
export const inlineFunctions = definePass({
  name: 'inline-functions',
  doc: 'f(x) → the body of the local function f with its inputs, outputs and attributes bound; the call says no more than that',
  run(model, context) {
    const functions = new FunctionTable(model);
    const imports = new Map(model.opsets);
    const declined = new Set<Node>();
    for (let again = model.functions.length > 0; again; ) {
      again = false;
      for (const [call, callee] of functions.callsIn(model.graph)) {
        if (declined.has(call)) continue;
        const reason = refuse(call, callee, imports, functions) ?? functions.refuseSize(callee);
        if (reason !== undefined) {
          declined.add(call);
          context.decline(reason, call);
          continue;
        }
        for (const domain of functions.domainsOf(callee)) imports.set(domain, callee.opsets.get(domain)!);
        replaceNode(call, inlineCall(call, callee));
        context.changed(`inlined ${callee.name}`, call);
        again = true;
      }
    }
    for (const [domain, version] of imports) model.opsets.set(domain, version);
    functions.dropUncalled();
  },
});

/** What a call's outputs become. The body's nodes are named after the call. */
function inlineCall(call: Node, callee: LocalFunction) {
  const prefix = call.name === '' ? '' : `${call.name}/`;
  const attribute = (name: string): Attribute | undefined =>
    call.attributes.get(name) ?? callee.attributeDefaults.get(name);
  return inlineGraph(callee.body, { before: call }, call.inputs, { attribute, prefix });
}

function refuse(
  call: Node,
  callee: LocalFunction,
  imports: ReadonlyMap<string, number>,
  functions: FunctionTable,
): string | undefined {
  for (const domain of functions.domainsOf(callee)) {
    const [theirs, ours] = [callee.opsets.get(domain), imports.get(domain)];
    if (theirs === undefined) return `its function imports no version of "${domain || 'ai.onnx'}"`;
    if (ours !== undefined && theirs !== ours)
      return `its function reads ${domain || 'ai.onnx'} ${theirs}, the model ${ours}`;
  }
  const { inputs, outputs } = callee.body;
  if (call.inputs.length > inputs.length || call.outputs.length > outputs.length)
    return 'it has more inputs or outputs than its function';
  for (const [index, output] of outputs.entries()) {
    const from = inputs.indexOf(output);
    const needed = call.outputs[index] !== undefined && !call.outputs[index]!.isOmitted;
    if (needed && from >= 0 && call.inputs[from] === undefined) return 'an output is an input that it omits';
  }
  return refuseAttributes(call, callee);
}

/** An attribute that the call does not give and that has no default is left out of the body, as ONNX says. */
function refuseAttributes(call: Node, callee: LocalFunction): string | undefined {
  for (const graph of callee.body.withSubgraphs()) {
    for (const node of graph.nodes()) {
      for (const [name, attribute] of node.attributes) {
        if (attribute.kind !== 'ref') continue;
        const actual = call.attributes.get(attribute.name) ?? callee.attributeDefaults.get(attribute.name);
        if (actual !== undefined && actual.kind !== attribute.type)
          return `its attribute ${attribute.name} is ${actual.kind}, and ${node.opType} takes ${name} as ${attribute.type}`;
      }
    }
  }
  return undefined;
}

const keyOf = (each: { domain: string; overload: string }, name: string): string =>
  [each.domain, name, each.overload].join('\n');

/** The model's functions by name, and what they come to. */
class FunctionTable {
  readonly #model: Model;
  readonly #byKey: ReadonlyMap<string, LocalFunction>;
  readonly #sizes = new Map<LocalFunction, number>();
  #left = MOST_NODES;

  constructor(model: Model) {
    this.#model = model;
    this.#byKey = new Map(model.functions.map((each) => [keyOf(each, each.name), each]));
  }

  calleeOf(node: Node): LocalFunction | undefined {
    return this.#byKey.get(keyOf(node, node.opType));
  }

  *callsIn(body: Graph): IterableIterator<[Node, LocalFunction]> {
    for (const graph of body.withSubgraphs()) {
      for (const node of graph.nodes()) {
        const callee = this.calleeOf(node);
        if (callee !== undefined) yield [node, callee];
      }
    }
  }

  /** Domains whose operators a function applies, calls of functions aside. */
  domainsOf(callee: LocalFunction): Set<string> {
    const domains = new Set<string>();
    for (const graph of callee.body.withSubgraphs()) {
      for (const node of graph.nodes()) if (this.calleeOf(node) === undefined) domains.add(node.domain);
    }
    return domains;
  }

  /** Takes a call's nodes from the budget, or says why not. */
  refuseSize(callee: LocalFunction): string | undefined {
    const size = this.#sizeOf(callee, new Set());
    if (!Number.isFinite(size)) return `its function calls itself, or calls nest deeper than ${DEEPEST}`;
    if (size > this.#left) return `inlining it would bring the model beyond ${MOST_NODES} nodes`;
    this.#left -= callee.body.nodeCount;
    return undefined;
  }

  /** Nodes of a function with all calls inside inlined; infinite where that has no end. */
  #sizeOf(callee: LocalFunction, around: ReadonlySet<LocalFunction>): number {
    const known = this.#sizes.get(callee);
    if (known !== undefined) return known;
    if (around.has(callee) || around.size >= DEEPEST) return Number.POSITIVE_INFINITY;
    const inside = new Set(around).add(callee);
    let size = 0;
    for (const graph of callee.body.withSubgraphs()) {
      for (const node of graph.nodes()) {
        const inner = this.calleeOf(node);
        size += inner === undefined ? 1 : this.#sizeOf(inner, inside);
      }
    }
    this.#sizes.set(callee, size);
    return size;
  }

  /** Takes out functions that neither the model nor a function that stays calls. */
  dropUncalled(): void {
    const called = new Set<LocalFunction>();
    const bodies = [this.#model.graph];
    for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
      for (const [, callee] of this.callsIn(body)) {
        if (!called.has(callee)) bodies.push(callee.body);
        called.add(callee);
      }
    }
    const { functions } = this.#model;
    functions.splice(0, functions.length, ...functions.filter((each) => called.has(each)));
  }
}
