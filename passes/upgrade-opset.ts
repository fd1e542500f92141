import {
  definePass,
  type Graph,
  type LocalFunction,
  type Model,
  type Node,
  type PassContext,
  type Type,
  valuesOf,
} from '../src/index.js';
import { lower, refuseLowering } from './upgrade-opset/lowering.js';
import { OPERATORS } from './upgrade-opset/operators.js';
import type { Scope, Step } from './upgrade-opset/step.js';

const TARGET = 21;
/** The IR version that came with opset 21. */
const TARGET_IR = 10;
/** The newest IR version that ONNX Runtime 1.30 loads. */
const NEWEST_IR = 13;

/** A body of nodes under one import of ai.onnx: the main graph with its subgraphs, or a local function. */
interface Unit extends Scope {
  readonly graph: Graph;
  readonly opsets: Map<string, number>;
}

/** What is to be done to one node, decided before anything is edited. */
interface Plan {
  readonly node: Node;
  readonly scope: Scope;
  readonly from: number;
  readonly steps: readonly Step[];
}

/**
 * All or nothing: when one node of the model or of a local function has no known way, the whole model stays as it
 * came, the ledger says which node and why, and passes that need opset 21 pass by.
 */
export const upgradeOpset = definePass({
  name: 'upgrade-opset',
  doc: 'ai.onnx N → 21, main graph, subgraphs and functions: each node is rewritten to what 21 calls the same computation',
  needs: ['typed'],
  gives: ['opset-21'],
  run(model, context) {
    const plans: Plan[] = [];
    const refusals: string[] = [];
    for (const unit of units(model)) {
      const from = unit.opsets.get('') ?? TARGET;
      if (from === TARGET) continue;
      for (const node of nodesOf(unit.graph)) {
        if (node.domain !== '' || isCall(node, model)) continue;
        const outcome = from > TARGET ? (refuseLowering(node, from) ?? []) : stepsOf(node, from, unit);
        if (typeof outcome !== 'string') plans.push({ node, scope: unit, from, steps: outcome });
        else {
          context.decline(outcome, node);
          refusals.push(`${node.label} (${node.opType}): ${outcome}`);
        }
      }
    }
    if (refusals.length > 0) return decline(model, refusals, context);
    for (const { node, scope, from, steps } of plans) {
      for (const step of steps) step.apply?.(node, scope);
      if (from > TARGET) lower(node, from);
      if (steps.length > 0) context.changed(`${node.opType} ${from} → ${TARGET}`, node);
    }
    for (const { opsets } of units(model)) {
      const from = opsets.get('');
      if (from !== undefined && from !== TARGET) context.changed(`ai.onnx ${from} → ${TARGET}`);
      if (from !== undefined || opsets === model.opsets) opsets.set('', TARGET);
    }
    const comesDown = plans.some(({ from }) => from > TARGET);
    model.irVersion = comesDown ? loadableIr(model) : Math.max(model.irVersion, TARGET_IR);
    context.facts.set('opset-21', true);
  },
});

function decline(model: Model, refusals: readonly string[], context: PassContext): void {
  const more = refusals.length > 1 ? `; and ${refusals.length - 1} more nodes` : '';
  const message = `the model stays at ai.onnx ${model.opset}: ${refusals[0]}${more}`;
  context.ledger.note('warning', 'upgrade-opset', message, 'upgrade-opset');
  context.facts.set('opset-21', false);
}

/**
 * IR 11 to 13 brought element types, which operators of 21 do not take, and fields for several devices; 14 only lets
 * opaque types into every model. One that has none means the same as 13.
 */
function loadableIr(model: Model): number {
  if (model.irVersion !== NEWEST_IR + 1) return Math.max(model.irVersion, TARGET_IR);
  for (const graph of model.graphs()) {
    for (const value of valuesOf(graph)) if (isOpaque(value.type)) return model.irVersion;
  }
  return NEWEST_IR;
}

function isOpaque(type: Type | undefined): boolean {
  if (type?.kind === 'sequence' || type?.kind === 'optional') return isOpaque(type.element);
  return type?.kind === 'opaque' || (type?.kind === 'map' && isOpaque(type.value));
}

function* units(model: Model): IterableIterator<Unit> {
  yield { model, function: undefined, graph: model.graph, opsets: model.opsets };
  for (const each of model.functions) yield { model, function: each, graph: each.body, opsets: each.opsets };
}

function* nodesOf(graph: Graph): IterableIterator<Node> {
  for (const each of graph.withSubgraphs()) yield* each.nodes();
}

/** True for a call of a local function that goes by the name of an operator. */
function isCall(node: Node, model: Model): boolean {
  return model.functions.some((each: LocalFunction) => node.is(each.name, each.domain));
}

/** The steps that bring a node from a version to 21, or why there are none. */
function stepsOf(node: Node, from: number, scope: Scope): Step[] | string {
  const taken: Step[] = [];
  let opType = node.opType;
  let version = from;
  for (;;) {
    const history = OPERATORS[opType];
    if (history === undefined) return `${opType} has no known versions`;
    const first = typeof history[0] === 'number' ? history[0] : history[0]!.version;
    if (first > version) return `${opType} does not exist in ai.onnx ${version}`;
    const step = history.find(
      (each): each is Step => typeof each !== 'number' && each.version > version && each.version <= TARGET,
    );
    if (step === undefined) return taken;
    const reason = step.refuse?.(node, scope);
    if (reason !== undefined) return `${opType} ${step.version}: ${reason}`;
    taken.push(step);
    opType = step.becomes ?? opType;
    version = step.version;
  }
}
