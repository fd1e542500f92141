/**
 * The rules that every model keeps, and that every pass must leave kept. Time and memory are linear in the model; no
 * bytes of constants are read.
 */
import type { Attribute } from './attribute.js';
import type { LocalFunction, Model } from './graph.js';
import { GraphVerifier, type Problem, type Surroundings } from './verify-graph.js';

export type { Problem } from './verify-graph.js';

/**
 * Checks every graph of a model; an empty answer means that all rules hold.
 *
 * - `E_VERIFY_LINK`: nodes, values and graphs point at each other both ways (uses, producers, owners, neighbours).
 * - `E_VERIFY_NAME`: a value's name is not empty, and no other value has it in its graph or those around it.
 * - `E_VERIFY_SCOPE`: what is read belongs to the graph that reads it or to one around that.
 * - `E_VERIFY_ORDER`, `E_VERIFY_CYCLE`: a node stands behind what it reads; none reads, through others, itself.
 * - `E_VERIFY_TYPE`: inputs and outputs of the model have types; constants are what their types say.
 * - `E_VERIFY_OPSET`: every domain that is used is imported.
 * - `E_VERIFY_FUNCTION`: functions have names of their own, do not call themselves, take as many inputs and outputs
 *   as calls give, and hold no initializers; references to attributes name attributes of the function around them.
 */
export function verify(model: Model): Problem[] {
  const problems: Problem[] = [];
  const verifier = new GraphVerifier(problems);
  const functions = functionTable(model, problems);
  const calls = new Map<LocalFunction, Set<LocalFunction>>();
  verifier.check(model.graph, surroundings(model, functions, undefined, calls));
  for (const value of [...model.graph.inputs, ...model.graph.outputs]) {
    if (value.type !== undefined) continue;
    const role = value.isInput ? 'input' : 'output';
    problems.push({
      code: 'E_VERIFY_TYPE',
      message: `${role} ${value.name} of the model has no type`,
      place: { graph: model.graph.name, value: value.name },
    });
  }
  for (const each of model.functions) verifier.check(each.body, surroundings(model, functions, each, calls));
  verifier.finish();
  const circle = recursion(calls);
  if (circle !== undefined) {
    const path = circle.map((each) => each.name).join(' → ');
    problems.push({ code: 'E_VERIFY_FUNCTION', message: `functions call themselves: ${path}`, place: {} });
  }
  return problems;
}

const keyOf = (domain: string, name: string, overload: string): string => `${domain}\n${name}\n${overload}`;

function functionTable(model: Model, problems: Problem[]): Map<string, LocalFunction> {
  const table = new Map<string, LocalFunction>();
  for (const each of model.functions) {
    const key = keyOf(each.domain, each.name, each.overload);
    if (table.has(key)) {
      const name = [each.domain, each.name, each.overload].filter((part) => part !== '').join('.');
      const message = `two functions are named ${name}`;
      problems.push({ code: 'E_VERIFY_FUNCTION', message, place: { graph: each.body.name } });
    }
    table.set(key, each);
  }
  return table;
}

/** What a graph's nodes may refer to besides values: imported domains, functions, attributes of the function. */
function surroundings(
  model: Model,
  functions: ReadonlyMap<string, LocalFunction>,
  around: LocalFunction | undefined,
  calls: Map<LocalFunction, Set<LocalFunction>>,
): Surroundings {
  const opsets = around?.opsets ?? model.opsets;
  const callees = new Set<LocalFunction>();
  if (around !== undefined) calls.set(around, callees);
  const attributes = around && new Set([...around.attributes, ...around.attributeDefaults.keys()]);
  return {
    constants: around === undefined,
    node(node, problem) {
      const { domain } = node;
      if (!opsets.has(domain) && !(domain === '' && opsets.has('ai.onnx'))) {
        problem('E_VERIFY_OPSET', `no opset_import for domain "${domain}", which ${node.opType} belongs to`);
      }
      const callee = functions.get(keyOf(domain, node.opType, node.overload));
      if (callee === undefined) return;
      callees.add(callee);
      const { inputs, outputs } = callee.body;
      if (node.inputs.length > inputs.length || node.outputs.length > outputs.length) {
        const wanted = `${inputs.length} inputs and ${outputs.length} outputs`;
        const given = `${node.inputs.length} and ${node.outputs.length}`;
        problem('E_VERIFY_FUNCTION', `function ${callee.name} has ${wanted}, the call ${given}`);
      }
    },
    attribute(name: string, attribute: Attribute, problem) {
      if (attribute.kind !== 'ref') return;
      if (attributes === undefined) {
        problem(
          'E_VERIFY_FUNCTION',
          `attribute ${name} refers to @${attribute.name} outside of any function`,
        );
      } else if (!attributes.has(attribute.name)) {
        problem(
          'E_VERIFY_FUNCTION',
          `attribute ${name} refers to @${attribute.name}, which the function lacks`,
        );
      }
    },
  };
}

/** A circle of calls, if there is one. */
function recursion(
  calls: ReadonlyMap<LocalFunction, ReadonlySet<LocalFunction>>,
): LocalFunction[] | undefined {
  const done = new Set<LocalFunction>();
  for (const start of calls.keys()) {
    // Depth first with a stack of our own: a file may chain more functions than the call stack is deep.
    const path = [{ at: start, next: (calls.get(start) ?? new Set<LocalFunction>()).values() }];
    const open = new Set([start]);
    while (path.length > 0 && !done.has(start)) {
      const top = path.at(-1)!;
      const step = top.next.next();
      if (step.done) {
        open.delete(top.at);
        done.add(top.at);
        path.pop();
      } else if (open.has(step.value)) {
        const circle = path.map((each) => each.at);
        return [...circle.slice(circle.indexOf(step.value)), step.value];
      } else if (!done.has(step.value)) {
        open.add(step.value);
        path.push({ at: step.value, next: (calls.get(step.value) ?? new Set<LocalFunction>()).values() });
      }
    }
  }
  return undefined;
}
