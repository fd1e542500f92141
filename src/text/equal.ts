/**
 * Whether two models say the same: names, order, types, attributes and the bytes of constants. What the codec keeps
 * aside (`extras`), names of initializers' tensors and the file are not compared.
 */
import type { Attribute, SparseTensor } from '../ir/attribute.js';
import type { Graph, LocalFunction, Model, Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { decodeUtf8, printType } from './print-tensor.js';

/** The first difference between two models, as a path and what lies on each side; `undefined` when there is none. */
export function equalModels(a: Model, b: Model): string | undefined {
  return (
    differ('ir_version', a.irVersion, b.irVersion) ??
    differ('opset_import', entries(a.opsets), entries(b.opsets)) ??
    differ('metadata_props', entries(a.metadata), entries(b.metadata)) ??
    differ('producer', `${a.producerName} ${a.producerVersion}`, `${b.producerName} ${b.producerVersion}`) ??
    equalGraphs(a.graph, b.graph) ??
    all('functions', a.functions, b.functions, equalFunctions)
  );
}

const entries = (map: ReadonlyMap<string, unknown>): string => JSON.stringify([...map]);

function differ(what: string, a: unknown, b: unknown): string | undefined {
  return Object.is(a, b) ? undefined : `${what}: ${String(a)} is not ${String(b)}`;
}

function all<T>(
  what: string,
  a: readonly T[],
  b: readonly T[],
  compare: (a: T, b: T, what: string) => string | undefined,
): string | undefined {
  if (a.length !== b.length) return `${what}: ${a.length} are not ${b.length}`;
  for (let i = 0; i < a.length; i++) {
    const difference = compare(a[i]!, b[i]!, `${what}[${i}]`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function equalFunctions(a: LocalFunction, b: LocalFunction, what: string): string | undefined {
  const key = (each: LocalFunction): string =>
    JSON.stringify([
      [each.domain, each.name, each.overload],
      each.attributes.filter((name) => !each.attributeDefaults.has(name)),
      [...each.attributeDefaults.keys()],
      [...each.opsets],
    ]);
  return (
    differ(what, key(a), key(b)) ??
    all(
      `${what}.defaults`,
      [...a.attributeDefaults.values()],
      [...b.attributeDefaults.values()],
      equalAttributes,
    ) ??
    equalBodies(a.body, b.body, `${what} ${a.name}`)
  );
}

/** The first difference between two graphs; `undefined` when there is none. */
export function equalGraphs(a: Graph, b: Graph, what = 'graph'): string | undefined {
  return differ(`${what}.name`, a.name, b.name) ?? equalBodies(a, b, `${what} ${a.name}`);
}

function equalBodies(a: Graph, b: Graph, what: string): string | undefined {
  return (
    all(`${what}.inputs`, a.inputs, b.inputs, equalValues) ??
    all(`${what}.initializers`, [...a.initializers], [...b.initializers], equalInitializers) ??
    all(
      `${what}.sparse`,
      [...a.sparse],
      [...b.sparse],
      (x, y, path) => differ(path, x[0].name, y[0].name) ?? equalSparse(x[1], y[1], path, false),
    ) ??
    all(`${what}.nodes`, [...a.nodes()], [...b.nodes()], equalNodes) ??
    all(`${what}.outputs`, a.outputs, b.outputs, equalValues)
  );
}

function equalValues(a: Value, b: Value, what: string): string | undefined {
  return (
    differ(`${what}.name`, a.name, b.name) ??
    differ(`${what}.type of ${a.name}`, a.type && printType(a.type), b.type && printType(b.type))
  );
}

const equalInitializers = (a: Value, b: Value, what: string): string | undefined =>
  equalValues(a, b, what) ?? equalTensors(a.constant!, b.constant!, `${what} ${a.name}`, false);

function equalNodes(a: Node, b: Node, what: string): string | undefined {
  const place = `${what} ${a.label}`;
  const names = (values: readonly (Value | undefined)[]): string =>
    JSON.stringify(values.map((value) => value?.name ?? ''));
  return (
    differ(`${place}.name`, a.name, b.name) ??
    differ(
      `${place}.operator`,
      `${a.domain}/${a.opType}:${a.overload}`,
      `${b.domain}/${b.opType}:${b.overload}`,
    ) ??
    differ(`${place}.inputs`, names(a.inputs), names(b.inputs)) ??
    all(`${place}.outputs`, a.outputs, b.outputs, equalValues) ??
    differ(`${place}.attributes`, [...a.attributes.keys()].join(), [...b.attributes.keys()].join()) ??
    all(`${place}.attributes`, [...a.attributes.values()], [...b.attributes.values()], equalAttributes)
  );
}

function equalAttributes(a: Attribute, b: Attribute, what: string): string | undefined {
  if (a.kind !== b.kind) return differ(what, a.kind, b.kind);
  switch (a.kind) {
    case 'graph':
      return equalGraphs(a.value, (b as typeof a).value, what);
    case 'graphs':
      return all(what, a.value, (b as typeof a).value, equalGraphs);
    case 'tensor':
      return equalTensors(a.value, (b as typeof a).value, what);
    case 'tensors':
      return all(what, a.value, (b as typeof a).value, equalTensors);
    case 'sparse':
      return equalSparse(a.value, (b as typeof a).value, what);
    case 'sparses':
      return all(what, a.value, (b as typeof a).value, equalSparse);
    case 'type':
      return differ(what, printType(a.value), printType((b as typeof a).value));
    case 'types':
      return all(what, a.value.map(printType), (b as typeof a).value.map(printType), (x, y) =>
        differ(what, x, y),
      );
    case 'ref':
      return differ(what, `${a.type} @${a.name}`, `${(b as typeof a).type} @${(b as typeof a).name}`);
    default: {
      const scalar = (value: unknown): unknown =>
        typeof value === 'number' && a.kind.startsWith('float') ? Math.fround(value) : plain(value);
      const [x, y] = [a.value, (b as typeof a).value].map((value) =>
        (Array.isArray(value) ? value : [value]).map(scalar),
      );
      return all(what, x!, y!, (one, other, path) => differ(path, one, other));
    }
  }
}

/** Integers and strings in one form, whichever of their two they were given in. */
function plain(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (value instanceof Uint8Array) return decodeUtf8(value) ?? `hex ${Buffer.from(value).toString('hex')}`;
  return value;
}

function equalTensors(a: Tensor, b: Tensor, what: string, named = true): string | undefined {
  const head = (tensor: Tensor): string => `${tensor.dtype}[${tensor.shape}] ${named ? tensor.name : ''}`;
  return differ(what, head(a), head(b)) ?? (sameElements(a, b) ? undefined : `${what}: elements differ`);
}

function sameElements(a: Tensor, b: Tensor): boolean {
  if (a.source.kind !== 'strings' || b.source.kind !== 'strings') {
    return (
      a.source.kind !== 'strings' && b.source.kind !== 'strings' && Buffer.compare(a.bytes(), b.bytes()) === 0
    );
  }
  const others = b.source.values;
  return (
    others.length === a.source.values.length &&
    a.source.values.every((value, index) => Buffer.compare(value, others[index]!) === 0)
  );
}

function equalSparse(a: SparseTensor, b: SparseTensor, what: string, named = true): string | undefined {
  return (
    differ(what, String(a.shape), String(b.shape)) ??
    equalTensors(a.values, b.values, `${what}.values`, named) ??
    equalTensors(a.indices, b.indices, `${what}.indices`)
  );
}
