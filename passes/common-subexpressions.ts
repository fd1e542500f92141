import {
  type Attribute,
  contentDigest,
  definePass,
  type Graph,
  type Node,
  type PassContext,
  removeNode,
  replaceAllUses,
  type Tensor,
  type Value,
} from '../src/index.js';

/** Operators that may answer differently when asked twice. */
const RANDOM = new Set([
  'Bernoulli',
  'Dropout',
  'Multinomial',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
]);
/** Domains whose operators are known to be functions of their inputs and attributes. */
const PURE_DOMAINS = new Set(['', 'ai.onnx.ml']);
/** `f(a, b) = f(b, a)` bit for bit. Max and Min are not here: of +0 and −0 they may give either. */
const COMMUTATIVE = new Set([
  'Add',
  'And',
  'BitwiseAnd',
  'BitwiseOr',
  'BitwiseXor',
  'Equal',
  'Mul',
  'Or',
  'Xor',
]);
/** Constants in attributes beyond this size are not compared. */
const COMPARED_BYTES = 1 << 16;

type Known = Map<string, Node>;

/**
 * `y = f(a, b); z = f(a, b)` → `z` is `y`, for equal operators, attributes and inputs.
 *
 * ONNX operators are functions of their inputs and attributes, but for the random ones; equal applications give equal
 * values. Inputs of Add, Mul, And, Or, Xor, Equal and their bitwise kin may come in either order. A node of a subgraph
 * may be replaced by one that stands before the subgraph's owner, never the other way round, since a branch may not
 * run; a Cast is shared within one graph only. Nodes with subgraphs, of other domains, and Identity (a bridge that
 * stands where it must) are left alone.
 */
export const commonSubexpressions = definePass({
  name: 'common-subexpressions',
  doc: 'f(a, b) twice → once: equal operator, attributes and inputs give equal values',
  run(model, context) {
    const numbers = new Map<Value, number>();
    const numberOf = (value: Value | undefined): number => {
      if (value === undefined) return -1;
      let number = numbers.get(value);
      if (number === undefined) {
        number = numbers.size;
        numbers.set(value, number);
      }
      return number;
    };
    share(model.graph, [], numberOf, context);
    for (const each of model.functions) share(each.body, [], numberOf, context);
  },
});

function share(
  graph: Graph,
  around: readonly Known[],
  numberOf: (value: Value | undefined) => number,
  context: PassContext,
): void {
  const known: Known = new Map();
  const scopes = [known, ...around];
  for (const node of graph.nodes()) {
    const inner = node.subgraphs;
    if (inner.length > 0) {
      for (const each of inner) share(each, scopes, numberOf, context);
      continue;
    }
    const key = keyOf(node, numberOf);
    if (key === undefined) continue;
    // ONNX Runtime joins chains of casts, and then forgets about branches that read one of them.
    const visible = node.is('Cast') ? [known] : scopes;
    const twin = visible.map((scope) => scope.get(key)).find((each) => each !== undefined);
    if (twin === undefined) {
      known.set(key, node);
      continue;
    }
    context.changed(`same as ${twin.label}: shared`, node);
    node.outputs.forEach((output, index) => {
      if (!output.isOmitted) replaceAllUses(output, twin.outputs[index]!);
    });
    removeNode(node);
  }
}

/** Equal for two nodes that compute the same; undefined for a node that must not be shared. */
function keyOf(node: Node, numberOf: (value: Value | undefined) => number): string | undefined {
  if (!PURE_DOMAINS.has(node.domain) || RANDOM.has(node.opType) || node.opType === 'Identity')
    return undefined;
  if (node.outputs.length === 0) return undefined;
  const inputs = node.inputs.map(numberOf);
  if (node.domain === '' && COMMUTATIVE.has(node.opType)) inputs.sort((a, b) => a - b);
  const attributes: string[] = [];
  for (const [name, attribute] of node.attributes) {
    const text = attributeText(attribute);
    if (text === undefined) return undefined;
    attributes.push(`${name}=${text}`);
  }
  // How many outputs there are can change what they are (Split).
  const outputs = node.outputs.map((output) => (output.isOmitted ? '-' : '+')).join('');
  return [node.domain, node.opType, node.overload, outputs, inputs, ...attributes.sort()].join('\n');
}

/** Equal for equal attributes; undefined for those that are not compared. */
function attributeText(attribute: Attribute): string | undefined {
  switch (attribute.kind) {
    case 'float':
      return `float ${exact(attribute.value)}`;
    case 'floats':
      return `floats ${attribute.value.map(exact)}`;
    case 'int':
      return `int ${attribute.value}`;
    case 'ints':
      return `ints ${attribute.value}`;
    case 'string':
      return `string ${latin(attribute.value)}`;
    case 'strings':
      return `strings ${attribute.value.map(latin)}`;
    case 'tensor':
      return tensorText(attribute.value);
    case 'ref':
      return `ref ${attribute.type} ${attribute.name}`;
    default:
      return undefined;
  }
}

const exact = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));
const latin = (value: string | Uint8Array): string => Buffer.from(value as string).toString('base64');

function tensorText(tensor: Tensor): string | undefined {
  if (tensor.source.kind === 'derived' || tensor.byteLength > COMPARED_BYTES) return undefined;
  return `tensor ${tensor.dtype}[${tensor.shape}] ${contentDigest(tensor)}`;
}
